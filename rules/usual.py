"""What orders of one bot are usual, as far as a single order shows it: sizes, distances from the mark, symbols.

The warden measures it and publishes it as plain bounds, so that the gate can tell of an order before it is sent how
unlike the bot's own it is. A bound that is not known says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rules.derived import Derived
from rules.model import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualSizes:
    """One symbol and side. ``bounds`` are notionals in quote currency: from each on the score of its place holds."""

    symbol: str
    side: Side
    bounds: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualOrders(Derived):
    """One bot's usual orders as of ``as_of``.

    ``scores`` are anomaly scores, ascending; every tuple of bounds has one for each, or none at all where nothing is
    known. ``any_size`` bounds the notional on a symbol and side that is not among ``sizes``. ``through`` and ``away``
    bound the distance from the mark as a fraction of it, to the aggressive side and to the passive one. ``new_symbol``
    is the score of an order on a symbol that is not among ``symbols``, 0 while the bot is too new to tell.
    """

    bot: str
    version: int
    as_of: datetime
    scores: tuple[float, ...]
    sizes: tuple[UsualSizes, ...] = ()
    any_size: tuple[Decimal, ...] = ()
    through: tuple[Decimal, ...] = ()
    away: tuple[Decimal, ...] = ()
    symbols: tuple[str, ...] = ()
    new_symbol: float = 0.0

    def size_bounds(self, symbol: str, side: Side) -> tuple[Decimal, ...]:
        """The bounds of the notional of an order on this symbol and side."""
        return self.found(_sizes).get((symbol, side), self.any_size)

    def knows(self, symbol: str) -> bool:
        """Whether the bot is known to trade this symbol, or too new for that to be known."""
        return self.new_symbol <= 0 or symbol in self.symbols

    def score_of(self, value: Decimal, bounds: tuple[Decimal, ...]) -> tuple[float, Decimal]:
        """The highest score whose bound is reached, and that bound; 0 and the value itself when none is."""
        reached = 0.0, value
        for score, bound in zip(self.scores, bounds, strict=False):
            if value < bound:
                break
            reached = score, bound
        return reached


def _sizes(usual: UsualOrders) -> Mapping[tuple[str, Side], tuple[Decimal, ...]]:
    return {(each.symbol, each.side): each.bounds for each in usual.sizes}
