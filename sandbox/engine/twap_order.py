"""A TWAP order: what is asked for, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.engine.model import ZERO, Order, PositionSide, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTwap:
    """What is asked for. `limit_price` is None for pieces at the market."""

    symbol: str
    side: Side
    quantity: Decimal
    duration_ms: int
    position_side: PositionSide = PositionSide.BOTH
    reduce_only: bool = False
    limit_price: Decimal | None = None
    client_order_id: str = ""


@dataclass(slots=True, kw_only=True)
class TwapOrder:
    """A working TWAP and the pieces it has placed."""

    twap_id: int
    terms: NewTwap
    created_ms: int
    due_ms: int
    pieces: list[Order] = field(default_factory=list)

    @property
    def placed_quantity(self) -> Decimal:
        """What its pieces asked for."""
        return sum((order.quantity for order in self.pieces), ZERO)

    @property
    def filled_quantity(self) -> Decimal:
        """What its pieces were filled."""
        return sum((order.filled_quantity for order in self.pieces), ZERO)

    @property
    def filled_notional(self) -> Decimal:
        """What that was worth."""
        return sum((order.filled_notional for order in self.pieces), ZERO)
