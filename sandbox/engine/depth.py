"""The synthetic side of the book: twenty quotes a side around the index, worn down by trades, refilled by time.

In stress there are fewer of them and they stand further apart: by the scenario's word, and by how fast the price has
been moving lately.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from sandbox.engine.instrument import Instrument
from sandbox.engine.model import ZERO, Side
from sandbox.engine.scenario import STEPS_PER_YEAR

LEVELS = 20
# A level worn to nothing is whole again after this many steps (10 s).
REFILL_STEPS = 40
THINNEST = Decimal("0.05")
_BASIS_POINT = Decimal("0.0001")
_HUNDREDTH = Decimal("0.01")
# Moves are remembered for some fifty steps (12 s). A calm market's average is 0.8 of its step's standard deviation.
_MEMORY = Decimal("0.02")
_UNREST_TOLERATED = Decimal("1.5")


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
        self._step_deviation = instrument.volatility_per_year / Decimal(STEPS_PER_YEAR).sqrt()
        self.taken: dict[Side, list[Decimal]] = {side: [ZERO] * LEVELS for side in Side}
        # Nobody quotes: the symbol does not trade any more, or the fault console took the quotes away.
        self.closed = False
        self.withdrawn = False
        # The share of the usual quantities that stands in the book now.
        self.share = Decimal(1)
        # Recent absolute moves per step, in standard deviations of the symbol's ordinary step.
        self.unrest = ZERO
        self._full = self._full_quantities()

    def quotes(self, side: Side, middle: Decimal) -> Iterator[Quote]:
        """The standing quotes on `side` (BUY = bids) around `middle`, best first, empty levels left out."""
        if self.closed or self.withdrawn:
            return
        for level, full in enumerate(self._full):
            quantity = full - self.taken[side][level]
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
                    recovery = self._on_step(self._full[level] / REFILL_STEPS)
                    taken[level] = max(ZERO, quantity - recovery)

    def feel(self, move: Decimal, scripted_share: Decimal) -> None:
        """Take in one step's relative price move and the scenario's own word on depth.

        Quantities fall with the square of how far the unrest exceeds what is tolerated, never below `THINNEST`.
        """
        deviations = abs(move) / self._step_deviation
        self.unrest = (self.unrest + (deviations - self.unrest) * _MEMORY).quantize(_BASIS_POINT)
        calmness = _UNREST_TOLERATED / max(self.unrest, _UNREST_TOLERATED)
        share = max(THINNEST, (scripted_share * calmness * calmness).quantize(_HUNDREDTH))
        if share != self.share:
            self.share = share
            self._full = self._full_quantities()

    def _full_quantities(self) -> list[Decimal]:
        usual = self._instrument.depth_quantity
        return [self._on_step(usual * (2 + level) / 2 * self.share) for level in range(LEVELS)]

    def _on_step(self, quantity: Decimal) -> Decimal:
        step = self._instrument.lot_step
        return max(step, (quantity / step).to_integral_value(ROUND_FLOOR) * step)

    def _price(self, side: Side, middle: Decimal, level: int) -> Decimal:
        # Half a basis point of half-spread; gaps widen outward, so the last level is some 55 bp away, twice that in
        # the worst stress.
        distance = (Decimal("0.5") + level + Decimal(level * level) / 10) * (2 - self.share) * _BASIS_POINT
        tick = self._instrument.tick
        if side is Side.BUY:
            price = (middle * (1 - distance) / tick).to_integral_value(ROUND_FLOOR) * tick
            return max(price, tick)
        return (middle * (1 + distance) / tick).to_integral_value(ROUND_CEILING) * tick
