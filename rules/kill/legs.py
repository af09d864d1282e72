"""What a kill finds at the venue: resting orders and open legs, with all that is needed to close a leg well."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from enum import StrEnum

from rules.model import MarginMode, PositionSide, Side


class OrderKind(StrEnum):
    """Where the venue keeps an order, and so how it is read and cancelled. ALGO works by itself, as a TWAP does."""

    PLAIN = "PLAIN"
    CONDITIONAL = "CONDITIONAL"
    ALGO = "ALGO"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An open order by the venue's id. ``client_order_id`` says whose it is."""

    symbol: str
    order_id: str
    client_order_id: str = ""


@dataclass(frozen=True, slots=True)
class BookLevel:
    """What stands in the book at one price, in base units."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSize:
    """The venue's limits for the quantity of one kind of order."""

    step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal

    def fit(self, most: Decimal, whole: Decimal) -> Decimal:
        """The largest quantity of one order, at most ``most``, that leaves no dust of ``whole``; zero if there is none.

        Less than a step may stay behind where ``whole`` is no multiple of it: no order could take that.
        """
        quantity = self._down(min(most, whole, self.quantity_max))
        if self.step <= whole - quantity < self.smallest:
            quantity = self._down(whole - self.smallest)
        return quantity if quantity >= self.quantity_min and quantity > 0 else Decimal(0)

    def slice_min(self, whole: Decimal) -> Decimal:
        """The smallest order that leaves no dust of ``whole``: all of it where two smallest would not fit in."""
        return self.fit(whole, whole) if whole < 2 * self.smallest else self.smallest

    @property
    def smallest(self) -> Decimal:
        """The smallest quantity of any order."""
        steps = (self.quantity_min / self.step).to_integral_value(ROUND_CEILING)
        return max(steps, Decimal(1)) * self.step

    def _down(self, quantity: Decimal) -> Decimal:
        return (quantity / self.step).to_integral_value(ROUND_DOWN) * self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLeg:
    """A position as read; ``quantity`` is signed. What is not known is ``None``, and the way out does without it.

    ``book`` holds the levels a close would take, best first, as far as they were read; empty: nobody stands there.
    ``price_floor`` and ``price_cap`` are the venue's bounds for a limit price now. ``trading`` is false where the
    venue takes no orders for the symbol. ``whole`` is false for a part of a position, the rest of which is another's.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    margin_mode: MarginMode | None = None
    trading: bool = True
    market_lot: LotSize | None = None
    limit_lot: LotSize | None = None
    tick_size: Decimal | None = None
    price_floor: Decimal | None = None
    price_cap: Decimal | None = None
    book: tuple[BookLevel, ...] | None = None
    whole: bool = True

    @property
    def key(self) -> str:
        """Names the leg: a hedged symbol has two."""
        return f"{self.symbol}/{self.position_side.value}"

    @property
    def size(self) -> Decimal:
        """How much has to go, without its sign."""
        return abs(self.quantity)

    @property
    def sign(self) -> int:
        """+1 for a long leg, -1 for a short one."""
        return 1 if self.quantity > 0 else -1

    @property
    def side(self) -> Side:
        """The side that closes it."""
        return Side.SELL if self.quantity > 0 else Side.BUY

    @property
    def notional(self) -> Decimal | None:
        """Its worth at the mark in quote currency, without its sign; ``None`` where there is no mark."""
        return None if self.mark_price is None else self.size * self.mark_price

    @property
    def assumed_lot(self) -> LotSize:
        """Where the listing is not known: the step that the quantity itself is written with, and no other limit.

        Binance writes positionAmt with the decimals of its symbol's step ("0.500"), seen 2026-11.
        """
        exponent = self.quantity.as_tuple().exponent
        step = Decimal(1).scaleb(exponent) if isinstance(exponent, int) else Decimal(1)
        return LotSize(step=step, quantity_min=step, quantity_max=self.size)

    @property
    def closable(self) -> Decimal:
        """What one order may close: at most the position and the venue's maximum; zero is dust."""
        if self.market_lot is None:
            return self.size
        quantity = self.market_lot.fit(self.size, self.size)
        if not quantity and self.limit_lot is not None:
            return self.limit_lot.fit(self.size, self.size)
        return quantity
