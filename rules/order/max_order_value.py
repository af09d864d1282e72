"""max_order_value: the fat-finger cap on one order's notional (RTS 6 art. 15(1)(b))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.exposure import held_order, order_value
from rules.model import Command
from rules.rule import Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxOrderValue(Rule):
    """Keep one order's notional within ``limit`` (quote currency), valued at the highest of mark, limit and trigger.

    A market order, and one priced off the book (``priceMatch``), counts at the touch where that is above the mark.
    """

    rule_id: ClassVar[str] = "max_order_value"
    codes: ClassVar[Mapping[str, str]] = {
        "ORDER_VALUE_ABOVE_LIMIT": "one order is worth more than `limit`",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(1)(b)",
        "15c3-5(c)(1)(ii)",
    )
    example: ClassVar[str] = """
[desk.max_order_value]
enforcement = "enforce"
limit = 25000
"""
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("quote currency", Looser.HIGHER)]

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an order worth more than ``limit``."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        value = order_value(order, snapshot)
        if value <= self.limit:
            return None
        return self.breach(
            "ORDER_VALUE_ABOVE_LIMIT",
            f"order is worth {show(value)}",
            observed=show(value),
            limit=show(self.limit),
        )
