"""A bot's earlier entries as the store keeps them: one line each, and one more where the attempt was refused.

A gate remembers the lines it was told: with an order come only those that are new since (see ``scripts/hold.lua``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.decoding import build
from proxy.store.codec import load
from rules.snapshot import Attempt, HeldOrder

ATTEMPTS_MAX: Final = 400
"""Lines kept for a bot on an account: at least the last 200 attempts, for at most a day."""

LINES_KEPT: Final = 4_096
"""Lines that a gate remembers, some 1.7 kB each: those of ten bots as busy as can be."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """The lines of one bot on one account at some moment, and what they say: attempts by their hold, oldest first.

    A refusal whose attempt is no longer among the lines says nothing.
    """

    lines: tuple[str, ...] = ()
    attempts: Mapping[str, Attempt] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """What the newest line begins with, and no other: time, hold and kind. Empty without one."""
        return "".join(f"{each}|" for each in self.lines[-1].split("|", 3)[:3]) if self.lines else ""

    def followed_by(self, fresh: Sequence[str]) -> Told:
        """With newer lines, and without the oldest where they are too many, as the store does it."""
        lines, attempts = (*self.lines, *fresh), dict(self.attempts)
        for line in fresh:
            hold_id, attempt = _read(line, attempts)
            if attempt is not None:
                attempts[hold_id] = attempt
        for line in lines[:-ATTEMPTS_MAX]:
            _, hold_id, kind, _ = line.split("|", 3)
            if kind == "TRIED":
                attempts.pop(hold_id, None)
        return Told(lines[-ATTEMPTS_MAX:], attempts)

    def since(self, moment: datetime) -> tuple[Attempt, ...]:
        """The attempts that are no older, in the order in which they were made: the store's clock may be set back."""
        return tuple([attempt for attempt in self.attempts.values() if attempt.at >= moment])


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

        Raises what decoding raises.
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


def _read(line: str, attempts: Mapping[str, Attempt]) -> tuple[str, Attempt | None]:
    """Whose line it is, and the attempt as it is by now; ``None`` where it refuses one that is not there."""
    at_us, hold_id, kind, rest = line.split("|", 3)
    if kind == "TRIED":
        orders = build(load(rest), tuple[HeldOrder, ...])
        return hold_id, Attempt(at=at_of(int(at_us)), hold_id=hold_id, orders=orders)
    tried = attempts.get(hold_id)
    return hold_id, tried and replace(tried, refused=True, refused_at_size=Decimal(rest) if rest else None)
