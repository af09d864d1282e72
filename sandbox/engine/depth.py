"""The synthetic side of the book: twenty quotes a side around the index, worn down by trades, refilled by time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from sandbox.engine.instrument import Instrument
from sandbox.engine.model import ZERO, Side

LEVELS = 20
# A level worn to nothing is whole again after this many steps (10 s).
REFILL_STEPS = 40
_BASIS_POINT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Quote:
    """Liquidity nobody's account owns. `level` counts outward from the middle."""

    level: int
    price: Decimal
    quantity: Decimal


class SyntheticDepth:
    """What is left of the synthetic quotes. Wear belongs to the level, not the price: it follows a moving market."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self.taken: dict[Side, list[Decimal]] = {side: [ZERO] * LEVELS for side in Side}

    def quotes(self, side: Side, middle: Decimal) -> Iterator[Quote]:
        """The standing quotes on `side` (BUY = bids) around `middle`, best first, empty levels left out."""
        for level in range(LEVELS):
            quantity = self._full_quantity(level) - self.taken[side][level]
            if quantity > 0:
                yield Quote(level, self._price(side, middle, level), quantity)

    def best(self, side: Side, middle: Decimal) -> Quote | None:
        """The best standing quote, or None when the whole side is worn away."""
        return next(self.quotes(side, middle), None)

    def take(self, side: Side, quote: Quote, quantity: Decimal) -> None:
        """Wear `quantity` off a quote returned by `quotes`."""
        self.taken[side][quote.level] += quantity

    def refill(self) -> None:
        """One step's recovery of every level."""
        for taken in self.taken.values():
            for level, quantity in enumerate(taken):
                if quantity:
                    recovery = self._on_step(self._full_quantity(level) / REFILL_STEPS)
                    taken[level] = max(ZERO, quantity - recovery)

    def _full_quantity(self, level: int) -> Decimal:
        return self._on_step(self._instrument.depth_quantity * (2 + level) / 2)

    def _on_step(self, quantity: Decimal) -> Decimal:
        step = self._instrument.lot_step
        return max(step, (quantity / step).to_integral_value(ROUND_FLOOR) * step)

    def _price(self, side: Side, middle: Decimal, level: int) -> Decimal:
        # Half a basis point of half-spread; gaps widen outward, so the last level is some 55 bp away.
        distance = (Decimal("0.5") + level + Decimal(level * level) / 10) * _BASIS_POINT
        tick = self._instrument.tick
        if side is Side.BUY:
            price = (middle * (1 - distance) / tick).to_integral_value(ROUND_FLOOR) * tick
            return max(price, tick)
        return (middle * (1 + distance) / tick).to_integral_value(ROUND_CEILING) * tick
