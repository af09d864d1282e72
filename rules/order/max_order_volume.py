"""max_order_volume: the fat-finger cap on one order's quantity (RTS 6 art. 15(1)(c))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import HeldOrder
from rules.decision import Breach
from rules.exposure import held_order
from rules.fresh import fresh_condition
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxOrderVolume(Rule):
    """Keep one order's quantity within the limits that are set; at least one is.

    ``limit_quantity`` is in base units and so means something only for one symbol: set it at the symbol's level.
    ``limit_daily_volume`` is a share of what the symbol has traded in the last 24 hours and fits every symbol; while
    that volume is not known, entries are refused. Other orders do not count: ``position_limit`` is about them all.
    """

    rule_id: ClassVar[str] = "max_order_volume"
    codes: ClassVar[Mapping[str, str]] = {
        "ORDER_VOLUME_ABOVE_LIMIT": "one order's quantity is above `limit_quantity`",
        "ORDER_VOLUME_ABOVE_DAILY_SHARE": "one order's quantity is above `limit_daily_volume` of the symbol's volume",
        FACTS_UNKNOWN: "the symbol's volume of the last 24 hours is not known, or too old",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(1)(c)",
        "15c3-5(c)(1)(ii)",
    )
    example: ClassVar[str] = """
[desk.max_order_volume]
enforcement = "enforce"
limit_daily_volume = 0.0005

[symbol.BTCUSDT.max_order_volume]
enforcement = "enforce"
limit_quantity = 2
"""
    sized: ClassVar[bool] = True

    limit_quantity: Annotated[Decimal | None, Setting("base units", Looser.HIGHER)] = None
    limit_daily_volume: Annotated[
        Decimal | None, Setting("fraction of the symbol's volume of the last 24 hours", Looser.HIGHER)
    ] = None
    facts_age_max_s: Annotated[int, Setting("seconds since the volume was received", Looser.HIGHER)] = 300

    def __post_init__(self) -> None:
        if self.limit_quantity is None and self.limit_daily_volume is None:
            raise ValueError("max_order_volume needs limit_quantity or limit_daily_volume")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an order whose quantity is above a limit."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if self.limit_quantity is not None and order.quantity > self.limit_quantity:
            return self._breach("ORDER_VOLUME_ABOVE_LIMIT", order, self.limit_quantity)
        if self.limit_daily_volume is None:
            return None
        condition = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        if condition is None or condition.daily_volume is None:
            return self.unknown(f"the 24 h volume of {order.symbol}")
        share = self.limit_daily_volume * condition.daily_volume
        if order.quantity <= share:
            return None
        return self._breach("ORDER_VOLUME_ABOVE_DAILY_SHARE", order, share)

    def _breach(self, code: str, order: HeldOrder, limit: Decimal) -> Breach:
        observed = show_exact(order.quantity)
        return self.breach(code, f"order is for {observed} {order.symbol}", observed=observed, limit=show_exact(limit))
