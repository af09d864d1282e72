"""new_bot_ramp: what a bot may have at risk grows with its age and its clean record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from rules.decision import Breach, Measure
from rules.fresh import fresh_record
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.share import known_book
from rules.snapshot import Snapshot

_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_NONE: Final = timedelta(0)


class CountsFrom(StrEnum):
    """The day a bot's days are counted from: its last refusal, if there was one, or the first it was seen on."""

    CLEAN = "clean"
    FIRST_SEEN = "first_seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBotRamp(Rule):
    """Cap the worst case of a bot's own book at ``start``, growing evenly to ``full`` over ``ramp_days``.

    With ``counts_from = "clean"`` the days count from the last time the bot was refused for a breach of a limit, or
    from when it was first seen: a bot that hits its limits begins anew. So it does at the refusal that names a size:
    the bot's next order is held to ``start``, even at the size that was named. With ``"first_seen"`` refusals do not
    matter.
    A bot the guard has never seen has ``start``. On an account that is not split by bots the account's book counts.
    """

    rule_id: ClassVar[str] = "new_bot_ramp"
    codes: ClassVar[Mapping[str, str]] = {
        "RAMP_ABOVE_LIMIT": "the bot's own book could pass what a bot of its age may have at risk",
        FACTS_UNKNOWN: "the bot's age and record are not known, or too old; what fits `start` passes all the same",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 8",
    )
    example: ClassVar[str] = """
[desk.new_bot_ramp]
enforcement = "enforce"
start = 500
full = 50000
ramp_days = 30
counts_from = "clean"
"""
    sized: ClassVar[bool] = True

    start: Annotated[Decimal, Setting("quote currency, gross, on the first day", Looser.HIGHER)]
    full: Annotated[Decimal, Setting("quote currency, gross, after `ramp_days`", Looser.HIGHER)]
    ramp_days: Annotated[int, Setting("days", Looser.LOWER)]
    counts_from: Annotated[
        CountsFrom, Setting("`clean` or `first_seen`; whether a refusal starts the days anew", Looser.HIGHER)
    ] = CountsFrom.CLEAN
    facts_age_max_s: Annotated[int, Setting("seconds since the record was written", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if not 0 < self.start <= self.full or self.ramp_days < 1:
            raise ValueError("new_bot_ramp needs 0 < start <= full and ramp_days >= 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what could take the bot's book above its cap."""
        if snapshot.account is None:
            return None
        book, order = known_book(command, snapshot)
        if order is None:
            return None
        gross = book.gross_after(order)
        if gross <= self.start:
            return None
        age = snapshot.found(self._age)
        if age is None:
            return self.unknown(f"since when {snapshot.bot} has a clean record")
        cap = self._cap(age)
        if gross <= cap:
            return None
        return self.breach(
            "RAMP_ABOVE_LIMIT",
            f"after {_days(age)} of {self.ramp_days} days the bot's own book may reach {show(cap)}, not {show(gross)}",
            observed=show(gross),
            limit=show(cap),
            advice=f"the cap grows to {show(self.full)}",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The bot's cap as of this entry."""
        age = snapshot.found(self._age)
        cap = "unknown" if age is None else show(self._cap(age))
        return (self.measured("cap", cap, "quote currency"),)

    def _age(self, snapshot: Snapshot) -> timedelta | None:
        """How long the bot's days have counted, ``None`` when that is not known."""
        record = fresh_record(snapshot, self.facts_age_max_s)
        if record is None:
            return None
        bot = record.bot(snapshot.bot)
        if bot is None:
            return _NONE
        since = bot.clean_since if self.counts_from is CountsFrom.CLEAN else bot.first_seen
        return max(_NONE, snapshot.now - since)

    def _cap(self, age: timedelta) -> Decimal:
        if age.days >= self.ramp_days:
            return self.full
        ramped = Decimal(age // _TICK) / Decimal(self.ramp_days * (_DAY // _TICK))
        return self.start + (self.full - self.start) * ramped


def _days(age: timedelta) -> str:
    return show(Decimal(age // _TICK) / Decimal(_DAY // _TICK))
