"""What an order of a given size would cost: a walk through the live book, and what a minute's delay may add. Pure.

Cost is in basis points of the middle of the book, positive when worse than the middle: it contains half the spread.
What is expected is the walk alone, for a delay helps as often as it hurts; a 90 % and 99 % cost add the adverse move
that is exceeded in one minute in ten, or in a hundred, as if the order came at the worst moment of the next minute.

A book is what it was when it was read. Orders that are taken back as one reaches for them are in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from proxy.exchange.market_payloads import Depth
from proxy.signals.slippage import BPS, METHOD, AdverseMoveForecaster
from proxy.signals.tails import LEAST
from rules.facts import Forecast
from rules.model import Side

Levels = Sequence[tuple[Decimal, Decimal]]

TAUS: Final = (0.9, 0.99)
HORIZON_S: Final = 60

SIZES: Final = (Decimal(10_000), Decimal(100_000), Decimal(1_000_000))
"""Quote currency."""

COSTS: Final = (Decimal("0.001"), Decimal("0.002"), Decimal("0.005"))
"""Fractions of the price."""

NOBODY: Final = 1 - LEAST
"""The probability that is told where nobody stands on a side of the book, of any cost."""

_QUANTUM: Final = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Walk:
    """The mean cost of taking a quantity from one side of a book, in basis points of its middle.

    ``beyond`` says that the quantity is more than the levels that were read hold: the rest is reckoned as if the book
    went on as thick as they are on average, which is a guess.
    """

    cost_bps: float
    beyond: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """What an order of ``quantity`` base units is stated to cost, in basis points of the middle.

    Without a book ``book_bps`` and ``expected_bps`` are ``None``, and the other two are the adverse move alone: what it
    costs to take the quantity comes on top.
    """

    symbol: str
    side: Side
    quantity: Decimal
    book_bps: float | None
    beyond_book: bool
    expected_bps: float | None
    q90_bps: float
    q99_bps: float
    samples: int
    is_warm: bool
    as_of: datetime
    method: str = METHOD


def walk(levels: Levels, quantity: Decimal, middle: Decimal) -> Walk | None:
    """Take ``quantity`` (above zero) from ``levels``, best first; ``None`` for an empty side.

    Whether they are bids or asks shows in their prices: what counts is the distance from ``middle``.
    """
    if quantity <= 0 or middle <= 0:
        return None
    left, paid, held = quantity, Decimal(0), Decimal(0)
    for price, size in levels:
        taken = min(size, left)
        paid += taken * price
        left -= taken
        held += size
        if left <= 0:
            break
    if held <= 0:
        return None
    if left > 0:
        # As far again for as much again, on average half of that.
        first, last = levels[0][0], levels[-1][0]
        paid += left * max(Decimal(0), last + (last - first) * left / held / 2)
    return Walk(float(abs(paid / quantity / middle - 1)) * BPS, beyond=left > 0)


def middle_of(depth: Depth) -> Decimal | None:
    """Half way between best bid and ask; ``None`` when a side is empty or they cross."""
    if not depth.bids or not depth.asks or depth.bids[0][0] > depth.asks[0][0]:
        return None
    return (depth.bids[0][0] + depth.asks[0][0]) / 2


def stated(
    symbol: str,
    side: Side,
    quantity: Decimal,
    moves: AdverseMoveForecaster,
    depth: Depth | None,
    as_of: datetime,
) -> Slippage:
    """What an order now would cost. ``depth`` is ``None`` where no book was read; ``as_of`` that of the older part."""
    taken = None
    middle = None if depth is None else middle_of(depth)
    if depth is not None and middle is not None:
        taken = walk(depth.asks if side is Side.BUY else depth.bids, quantity, middle)
    book = 0.0 if taken is None else taken.cost_bps
    q90, q99 = (book + move for move in moves.predict(TAUS))
    return Slippage(
        symbol=symbol,
        side=side,
        quantity=quantity,
        book_bps=None if taken is None else book,
        beyond_book=taken is not None and taken.beyond,
        expected_bps=None if taken is None else book,
        q90_bps=q90,
        q99_bps=q99,
        samples=moves.samples,
        is_warm=moves.is_warm,
        as_of=as_of,
    )


def forecasts(symbol: str, moves: AdverseMoveForecaster, depth: Depth | None, as_of: datetime) -> tuple[Forecast, ...]:
    """What rules are told: for ``SIZES`` and ``COSTS``, how probably such an order costs more, on the dearer side.

    Without a book, of any size: what the adverse move alone makes of it, which is the least that it can be. Where a
    side was read and is empty, an order of any size costs more than anything.
    """
    return tuple(
        Forecast(
            name="slippage",
            as_of=as_of,
            probability=NOBODY if book == math.inf else moves.probability_above(float(cost) * BPS - book),
            horizon_s=HORIZON_S,
            symbol=symbol,
            quantity=quantity,
            threshold=cost,
        )
        for quantity, book in _dearer(depth)
        for cost in COSTS
    )


def _dearer(depth: Depth | None) -> list[tuple[Decimal | None, float]]:
    """For each of ``SIZES`` in base units what it costs on the dearer side. Where there is nothing to reckon by, or a
    side on which nobody stands, one row without a quantity, which is of orders of any size."""
    if depth is None:
        return [(None, 0.0)]
    sides = (depth.bids, depth.asks)
    if not all(_held(side) > 0 for side in sides):
        return [(None, math.inf)]
    price = middle_of(depth)
    if price is None:
        return [(None, 0.0)]  # Crossed: it says nothing.
    sizes = [(size / price).quantize(_QUANTUM) for size in SIZES]
    return [(size, max(_cost_bps(side, size, price) for side in sides)) for size in sizes]


def _held(levels: Levels) -> Decimal:
    return sum((size for _, size in levels), Decimal(0))


def _cost_bps(levels: Levels, quantity: Decimal, middle: Decimal) -> float:
    found = walk(levels, quantity, middle)
    return math.inf if found is None else found.cost_bps
