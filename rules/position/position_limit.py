"""position_limit: the largest position one symbol may reach, in base units or in quote notional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.exposure import held_order, worst_case
from rules.model import Command
from rules.rule import Looser, Rule, Setting, show, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLimit(Rule):
    """Keep the worst-case position of the order's symbol, long or short, within the limits that are set.

    ``limit_quantity`` is in base units, ``limit_notional`` in quote currency; at least one is set.
    """

    rule_id: ClassVar[str] = "position_limit"
    codes: ClassVar[Mapping[str, str]] = {
        "POSITION_ABOVE_LIMIT": "the symbol's position could pass a limit",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 17(4)",
        "RTS 6 art. 15(5)",
    )
    example: ClassVar[str] = """
[symbol.DOGEUSDT.position_limit]
enforcement = "enforce"
limit_notional = 5000
"""
    sized: ClassVar[bool] = True

    limit_quantity: Annotated[Decimal | None, Setting("base units", Looser.HIGHER)] = None
    limit_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None

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
