"""What closing costs: estimated from the book before the first close, reckoned from the fills after the last.

Both are measured against the mark price, in quote currency, and positive where money is lost. The estimate knows
nothing of fees; what the book does not show is extrapolated, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rules.kill.legs import OpenLeg

_NONE: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEstimate:
    """One leg. ``cost`` and ``notional`` are ``None`` without a mark price.

    ``in_book`` is how much of ``quantity`` stands in the book as it was read; the price of the rest goes on falling
    (or rising) as it does from the mark to the last level read. ``None``: the book was not read, and the cost is 0
    for want of anything better.
    """

    leg: str
    quantity: Decimal
    notional: Decimal | None
    in_book: Decimal | None
    cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """All legs together. ``in_book`` is the fraction of the notional that the book shows."""

    notional: Decimal
    cost: Decimal
    in_book: Decimal
    legs: tuple[LegEstimate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledClose:
    """A close as the venue says it was filled, with the sign of the leg it closed; no fee where it does not tell."""

    symbol: str
    sign: int
    quantity: Decimal
    average_price: Decimal | None
    fee: Decimal | None = None
    fee_asset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the fills came to. ``slippage`` is against the mark at the press; ``fees`` by the asset they were paid in.

    ``unpriced`` counts fills that could not be reckoned, for want of a mark or of an average price. ``fees_known`` is
    false where the venue did not tell the fee of every fill.
    """

    notional: Decimal
    slippage: Decimal
    fees: Mapping[str, Decimal]
    fees_known: bool
    unpriced: int


def estimate(legs: Iterable[OpenLeg]) -> CostEstimate:
    """What it would cost to close all of ``legs`` now, walking each book from the mark price."""
    return together(tuple(_estimate(leg) for leg in legs))


def together(rows: tuple[LegEstimate, ...]) -> CostEstimate:
    """What legs are expected to cost, summed up."""
    notional = sum((row.notional for row in rows if row.notional is not None), _NONE)
    shown = sum((_shown(row) for row in rows), _NONE)
    return CostEstimate(
        notional=notional,
        cost=sum((row.cost for row in rows if row.cost is not None), _NONE),
        in_book=shown / notional if notional else _NONE,
        legs=rows,
    )


def reckon(fills: Iterable[FilledClose], marks: Mapping[str, Decimal]) -> Cost:
    """The cost of ``fills``. ``marks`` are those at the press, by symbol."""
    notional, slippage, unpriced, fees_known = _NONE, _NONE, 0, True
    fees: dict[str, Decimal] = {}
    for fill in fills:
        if not fill.quantity:
            continue
        mark = marks.get(fill.symbol)
        if mark is None or fill.average_price is None:
            unpriced += 1
        else:
            notional += fill.quantity * fill.average_price
            slippage += (mark - fill.average_price) * fill.quantity * fill.sign
        if fill.fee is None or fill.fee_asset is None:
            fees_known = False
        else:
            fees[fill.fee_asset] = fees.get(fill.fee_asset, _NONE) + fill.fee
    return Cost(notional=notional, slippage=slippage, fees=fees, fees_known=fees_known, unpriced=unpriced)


def _estimate(leg: OpenLeg) -> LegEstimate:
    mark, book = leg.mark_price, leg.book
    if mark is None:
        return LegEstimate(leg=leg.key, quantity=leg.size, notional=None, in_book=None, cost=None)
    if book is None:
        return LegEstimate(leg=leg.key, quantity=leg.size, notional=leg.notional, in_book=None, cost=_NONE)
    rest, cost, worst = leg.size, _NONE, _NONE
    for level in book:
        taken = min(rest, level.quantity)
        worst = (mark - level.price) * leg.sign
        cost += worst * taken
        rest -= taken
        if not rest:
            break
    in_book = leg.size - rest
    if rest and in_book:
        # From the last level the price goes on by as much for each unit as it has from the mark to there.
        slope = max(worst, _NONE) / in_book
        cost += rest * (max(worst, _NONE) + slope * rest / 2)
    return LegEstimate(leg=leg.key, quantity=leg.size, notional=leg.notional, in_book=in_book, cost=cost)


def _shown(row: LegEstimate) -> Decimal:
    if row.notional is None or row.in_book is None or not row.quantity:
        return _NONE
    return row.notional * row.in_book / row.quantity
