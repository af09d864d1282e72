"""position_limit: the largest position one symbol may reach, in base units or in quote notional."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from rules.decision import Breach
from rules.exposure import held_order, worst_case
from rules.model import Command
from rules.rule import Rule, show, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLimit(Rule):
    """Keep the worst-case position of the order's symbol, long or short, within the limits that are set.

    ``limit_quantity`` is in base units, ``limit_notional`` in quote currency; at least one is set.
    """

    rule_id: ClassVar[str] = "position_limit"
    codes: ClassVar[Sequence[str]] = ("POSITION_ABOVE_LIMIT",)
    sized: ClassVar[bool] = True

    limit_quantity: Decimal | None = None
    limit_notional: Decimal | None = None

    def __post_init__(self) -> None:
        if self.limit_quantity is None and self.limit_notional is None:
            raise ValueError("position_limit needs limit_quantity or limit_notional")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the symbol's position could pass a limit in either direction."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        exposure = worst_case(snapshot, (order,))[order.symbol]
        if self.limit_quantity is not None and exposure.quantity_max > self.limit_quantity:
            return self._breach(order.symbol, show_exact(exposure.quantity_max), show_exact(self.limit_quantity))
        notional = max(exposure.long_notional, exposure.short_notional)
        if self.limit_notional is not None and notional > self.limit_notional:
            return self._breach(order.symbol, show(notional), show(self.limit_notional))
        return None

    def _breach(self, symbol: str, observed: str, limit: str) -> Breach:
        return self.breach(
            "POSITION_ABOVE_LIMIT", f"{symbol} position could reach {observed}", observed=observed, limit=limit
        )
