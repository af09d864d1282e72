"""A bot's earlier entries as the store keeps them: one line each, and one more where it was refused or sized down.

A gate remembers the lines it was told: with an order come only those that are new since (see ``scripts/hold.lua``).
What a line says is read when somebody looks as far back as that, and is kept for as long as somebody does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Self

from proxy.decoding import build
from proxy.store.codec import load
from rules.account import Attempt, HeldOrder

ATTEMPTS_MAX: Final = 400
"""Lines kept for a bot on an account: at least the last 200 attempts, for at most a day."""

LINES_KEPT: Final = 16_384
"""Lines that a gate remembers, those of forty bots as busy as can be; some 0.4 kB each, and 0.9 more while somebody
looks back at it. Where bots that take turns have more, every order brings all lines of its bot."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TRIED: Final = "TRIED"
_TRIMMED: Final = "TRIMMED"


@dataclass(slots=True, eq=False)
class Line:
    """One line of the store: an attempt, or that one was refused or sized down. ``says`` are the attempt's orders, or
    the size that would have passed, or did. ``later`` is the line that says so of an attempt, ``None`` when there is
    none: the last, for one that was sized down may be kept back in the end.

    ``dated_us`` is when it counts as made: of a line from before the store's clock was set back, or of another server,
    when that was noticed. So it counts as new for one window, and not until the clock is there again."""

    at_us: int
    hold_id: str
    kind: str
    says: str
    later: Line | None = None
    read: Attempt | None = None
    """What it says, kept while somebody looks as far back."""
    dated_us: int = field(init=False)

    def __post_init__(self) -> None:
        self.dated_us = self.at_us

    @classmethod
    def of(cls, text: str) -> Self:
        """The line as the store has it. Raises ``ValueError``."""
        at_us, hold_id, kind, says = text.split("|", 3)
        return cls(int(at_us), hold_id, kind, says)

    @property
    def mark(self) -> str:
        """What its text begins with, and that of no other line."""
        return f"{self.at_us}|{self.hold_id}|{self.kind}|"

    def attempt(self) -> Attempt:
        """The attempt as it is by now. Raises what decoding raises."""
        if self.read is None:
            later = self.later
            self.read = Attempt(
                at=at_of(self.dated_us),
                hold_id=self.hold_id,
                orders=build(load(self.says), tuple[HeldOrder, ...]),
                refused=later is not None and later.kind != _TRIMMED,
                refused_at_size=Decimal(later.says) if later is not None and later.says else None,
            )
        return self.read


@dataclass(frozen=True, slots=True)
class Told:
    """The lines of one bot on one account at some moment, oldest first."""

    lines: tuple[Line, ...] = ()

    @property
    def mark(self) -> str:
        """What the newest line begins with; empty without one."""
        return self.lines[-1].mark if self.lines else ""

    def followed_by(self, fresh: Sequence[str]) -> Told:
        """With newer lines, and without the oldest where they are too many, as the store does it.

        Raises ``ValueError`` for what is no line.
        """
        lines = [*self.lines, *map(Line.of, fresh)]
        for place in range(len(self.lines), len(lines)):
            if lines[place].kind != _TRIED:
                _note(lines, place)
        return Told(tuple(lines[-ATTEMPTS_MAX:]))

    def since(self, moment: datetime, now: datetime) -> tuple[Attempt, ...]:
        """The attempts that are no older, in the order in which they were made, by the store's clock, which shows
        ``now``: it may be set back.

        Raises what decoding raises.
        """
        from_us, now_us = (moment - _EPOCH) // _MICROSECOND, (now - _EPOCH) // _MICROSECOND
        attempts = []
        for line in self.lines:
            if line.dated_us > now_us:
                line.dated_us, line.read = now_us, None
            if line.dated_us < from_us:
                line.read = None
            elif line.kind == _TRIED:
                attempts.append(line.attempt())
        return tuple(attempts)


NO_ATTEMPTS: Final = Told()


class KnownAttempts:
    """What a gate was told of each bot on each account. Those told of longest ago are forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Told] = OrderedDict()
        self._lines = 0

    def of(self, account: str, bot: str) -> Told:
        """What is known when the store is asked: what it answers begins where this ends."""
        return self._known.get((account, bot), NO_ATTEMPTS)

    def read(self, account: str, bot: str, known: Told, follows: bool, lines: Sequence[str]) -> Told:
        """What the store's answer amounts to: ``lines`` alone, or those that follow what was ``known`` at the question.

        Raises ``ValueError`` for what is no line.
        """
        if follows and not lines:
            return known
        told = (known if follows else NO_ATTEMPTS).followed_by(lines)
        self._remember((account, bot), told)
        return told

    def _remember(self, whose: tuple[str, str], told: Told) -> None:
        self._lines -= len(self._known.pop(whose, NO_ATTEMPTS).lines)
        self._known[whose] = told
        self._lines += len(told.lines)
        while self._lines > LINES_KEPT:
            _, forgotten = self._known.popitem(last=False)
            self._lines -= len(forgotten.lines)


def at_of(microseconds: int) -> datetime:
    """A time of the store."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _note(lines: list[Line], place: int) -> None:
    """What the line at ``place`` says of an attempt stands from now on, where that is still among the lines.

    The attempt's line is made anew: an answer that is older may still be read with the old one.
    """
    later = lines[place]
    for before in reversed(range(place)):
        tried = lines[before]
        if tried.hold_id == later.hold_id and tried.kind == _TRIED:
            lines[before] = Line(tried.at_us, tried.hold_id, _TRIED, tried.says, later)
            lines[before].dated_us = tried.dated_us
            return
