"""funding_probation: a symbol that is new to a bot stays tiny until it was held through a funding time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Measure
from rules.exposure import held_order, worst_case
from rules.facts import Holding
from rules.fresh import fresh_record
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show, show_exact
from rules.share import known_book
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingProbation(Rule):
    """A bot may hold only a micro-position in a symbol that it has not yet held through ``stamps`` funding times.

    What a position costs to carry is known only once it has been paid: until then the worst case of the symbol, in the
    bot's own book, stays within ``limit``. On an account that is not split by bots the account's position counts. What
    the bot has received or paid at funding times so far is written down with each of its entries.
    """

    rule_id: ClassVar[str] = "funding_probation"
    codes: ClassVar[Mapping[str, str]] = {
        "PROBATION_ABOVE_LIMIT": "the symbol is new to the bot, and its position could pass the micro-position",
        FACTS_UNKNOWN: "what the bot has held before is not known, or too old; a micro-position passes all the same",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 8",
    )
    example: ClassVar[str] = """
[desk.funding_probation]
enforcement = "enforce"
limit = 200
stamps = 1
"""
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("quote currency, of the symbol while it is on probation", Looser.HIGHER)]
    stamps: Annotated[int, Setting("funding times to be held through", Looser.LOWER)] = 1
    facts_age_max_s: Annotated[int, Setting("seconds since the record was written", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if self.limit <= 0 or self.stamps < 1:
            raise ValueError("funding_probation needs limit > 0 and stamps >= 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a position above the micro-position in a symbol the bot has not proven."""
        if snapshot.account is None:
            return None
        book = known_book(snapshot)
        order = held_order(command, book)
        if order is None:
            return None
        reached = worst_case(book, (order,))[order.symbol].gross_notional
        if reached <= self.limit:
            return None
        holding = self._holding(order.symbol, snapshot)
        if holding is None:
            return self.unknown(f"how long {snapshot.bot} has held {order.symbol}")
        if holding.funding_stamps >= self.stamps:
            return None
        return self.breach(
            "PROBATION_ABOVE_LIMIT",
            f"{order.symbol} has been held through {holding.funding_stamps} of {self.stamps} funding times; until then"
            f" its position stays within {show(self.limit)}, and could reach {show(reached)}",
            observed=show(reached),
            limit=show(self.limit),
            advice="hold a micro-position through the next funding time",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """How many funding times the bot has held the symbol through, and the carry it then received."""
        order = held_order(command, snapshot)
        if order is None:
            return ()
        holding = self._holding(order.symbol, snapshot)
        if holding is None:
            return (Measure(rule_id=self.rule_id, name="funding_stamps", value="unknown"),)
        return (
            Measure(rule_id=self.rule_id, name="funding_stamps", value=str(holding.funding_stamps)),
            Measure(rule_id=self.rule_id, name="carry", value=show_exact(holding.carry), unit="quote currency"),
        )

    def _holding(self, symbol: str, snapshot: Snapshot) -> Holding | None:
        """The bot's experience with the symbol, none at all for a bot never seen; ``None`` when it is not known."""
        record = fresh_record(snapshot, self.facts_age_max_s)
        if record is None:
            return None
        bot = record.bot(snapshot.bot)
        return (bot.holding(symbol) if bot is not None else None) or Holding(symbol=symbol)
