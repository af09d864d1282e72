"""order_to_fill: a bot that orders much and trades little waits until its ratio is back within the limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.facts import BotRecord
from rules.fresh import fresh_record
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderToFill(Rule):
    """Refuse a bot's entries while its orders of the last 24 hours are more than ``limit`` times its fills.

    Below ``orders_min`` orders the ratio says nothing and everything passes. The ratio falls as old orders leave the
    24 hours, and as resting ones fill; exits and cancels pass meanwhile. A bot the guard has never seen has no orders.
    """

    rule_id: ClassVar[str] = "order_to_fill"
    codes: ClassVar[Mapping[str, str]] = {
        "ORDERS_TO_FILLS_ABOVE_LIMIT": "the bot sends too many orders for each that fills",
        FACTS_UNKNOWN: "the bot's orders and fills are not known, or too old",
    }
    example: ClassVar[str] = """
[bot.grid.order_to_fill]
enforcement = "enforce"
limit = 50
orders_min = 200
"""

    limit: Annotated[Decimal, Setting("orders a fill", Looser.HIGHER)]
    orders_min: Annotated[int, Setting("orders of the last 24 hours before the ratio counts", Looser.HIGHER)] = 100
    facts_age_max_s: Annotated[int, Setting("seconds since the record was written", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if self.limit <= 0 or self.orders_min < 1:
            raise ValueError("order_to_fill needs limit > 0 and orders_min >= 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse while the ratio is above ``limit``."""
        if held_order(command, snapshot) is None:
            return None
        record = fresh_record(snapshot, self.facts_age_max_s)
        if record is None:
            return self.unknown(f"how many orders of {snapshot.bot} filled")
        bot = record.bot(snapshot.bot)
        if bot is None or bot.orders < self.orders_min or bot.orders <= self.limit * bot.fills:
            return None
        return self.breach(
            "ORDERS_TO_FILLS_ABOVE_LIMIT",
            f"{bot.orders} orders and {bot.fills} fills in 24 hours are more than {self.limit:f} orders a fill",
            observed=_ratio(bot),
            limit=f"{self.limit:f}",
            advice="reduce-only orders and cancels pass; the ratio falls as orders fill or leave the 24 hours",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The ratio as of this entry."""
        record = fresh_record(snapshot, self.facts_age_max_s)
        bot = record.bot(snapshot.bot) if record is not None else None
        value = "unknown" if record is None else "no orders" if bot is None else _ratio(bot)
        return (Measure(rule_id=self.rule_id, name="order_to_fill", value=value, unit="orders a fill"),)


def _ratio(bot: BotRecord) -> str:
    return show(Decimal(bot.orders) / bot.fills) if bot.fills > 0 else f"{bot.orders} without a fill"
