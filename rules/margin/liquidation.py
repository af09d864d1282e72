"""How far a leg is from its end once an order has filled, on the cross balance or isolated."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from rules.account import HeldOrder
from rules.margin.cross import cross_distance
from rules.margin.isolated import isolated_distance
from rules.margin.known import account_of, mark_of, mode_of
from rules.model import ONE, ZERO, MarginMode
from rules.snapshot import Snapshot


class Liquidation(NamedTuple):
    """How far a leg is from its end. ``distance`` is the fraction of the mark that the market must move against it.

    Zero or below: it would be liquidated at once. One or more on a long: never. ``price`` is the mark then (quote
    currency, zero when none is low enough); ``maintenance_margin`` what the venue requires before the move: of all
    cross legs together, or of the isolated leg. In one-way mode only the side that the order grows counts of its
    symbol: a position it is against may be gone before it fills, so neither number has it in it.
    """

    distance: Decimal
    price: Decimal
    maintenance_margin: Decimal


def liquidation_after(order: HeldOrder, snapshot: Snapshot, fills_at: Decimal | None = None) -> Liquidation:
    """The distance of the leg that ``order`` grows, once it and everything under way has filled.

    Every symbol counts at its worst case. What the order loses at once by filling at ``fills_at``, the worst price it
    names, where that is worse than the mark, is gone before anything moves. Cross legs are moved against the account
    **all together**, by one fraction: a market falls as a whole, and a number that holds only while nothing else moves
    has liquidated many. So it is never more than what the venue shows for the leg. Legs of other directions are no
    credit. An isolated leg stands alone; its distance is the smallest of what it is now, with what is under way, with
    the order, and with both, because any of these may be all that fills.

    Raises ``MarginUnknown``, naming what is missing.
    """
    account, mark = account_of(snapshot), mark_of(order.symbol, snapshot)
    paid = _paid_beyond_mark(order, fills_at, mark)
    if mode_of(order.symbol, account) is MarginMode.ISOLATED:
        distance, required = isolated_distance(order, account, mark, paid, snapshot)
    else:
        distance, required = cross_distance(order, account, paid, snapshot)
    price = max(ZERO, mark * (ONE - order.side.sign * distance))
    return Liquidation(distance=distance, price=price, maintenance_margin=required)


def _paid_beyond_mark(order: HeldOrder, fills_at: Decimal | None, mark: Decimal) -> Decimal:
    """What the order loses at once if it fills at that price; nothing for a price better than the mark."""
    if fills_at is None:
        return ZERO
    return max(ZERO, (fills_at - mark) * order.side.sign) * order.quantity
