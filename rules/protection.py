"""Protective stops: which orders protect a leg, and which legs have stood without protection since when. Pure.

A protective stop is a conditional order of a stop type that can only shrink its leg: it is on the losing side, because
the venue refuses a stop on the other, and it is reduce-only, close-position or of the closing side of a hedge leg.
Take-profits protect nothing, nor does a stop whose limit is better than its trigger, or not known: once it is set off
it rests in the book while the market runs away from it. Its distance is measured from the leg's **entry price**: the
loss it admits. A distance from the mark would call the same stop good and bad as the market moves, and would forbid one
that locks in a profit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from rules.account import Account, OpenOrder, Position
from rules.facts import Unprotected
from rules.intent import order_only_shrinks
from rules.model import ZERO, OrderType, Side
from rules.prices import is_through

_STOPS: Final = frozenset({OrderType.STOP, OrderType.STOP_MARKET})


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where a stop must stand: fractions of the leg's entry price that it may lose.

    ``distance_min`` keeps stops off the entry, where noise fills them (``None``: as near as one likes); a stop at the
    entry or beyond, in profit, is always in. ``trailing`` lets trailing stops count. The guard sees neither how far one
    trails nor whether its activation price was ever reached, so they do not count unless the desk says so.
    ``any_limit`` lets a stop count whatever its limit is.
    """

    distance_max: Decimal
    distance_min: Decimal | None = None
    trailing: bool = False
    any_limit: bool = False

    def admits(self, leg: Position, order: OpenOrder) -> bool:
        """Whether a stop of the leg counts as its protection."""
        if order.order_type is OrderType.TRAILING_STOP_MARKET:
            return self.trailing
        if order.order_type not in _STOPS or order.trigger_price is None:
            return False
        limited = order.order_type is OrderType.STOP and not self.any_limit
        if limited and not _follows(order, order.trigger_price):
            return False
        sign = 1 if leg.quantity > 0 else -1
        loss = (leg.entry_price - order.trigger_price) * sign
        if loss <= 0:
            return True
        nearest = (self.distance_min or ZERO) * leg.entry_price
        return nearest <= loss <= self.distance_max * leg.entry_price


def _follows(stop: OpenOrder, trigger_price: Decimal) -> bool:
    """Whether a stop's limit is at its trigger or beyond, so that it executes where the trigger finds the market."""
    return stop.price is not None and not is_through(stop.side, trigger_price, stop.price)


def stops_of(leg: Position, open_orders: Iterable[OpenOrder], band: Band) -> Iterator[OpenOrder]:
    """The protective stops of a leg, whether or not they are large enough together."""
    closing = Side.SELL if leg.quantity > 0 else Side.BUY
    return (
        order
        for order in open_orders
        if (order.symbol, order.position_side, order.side) == (leg.symbol, leg.position_side, closing)
        and order.leaves_quantity != 0
        and order_only_shrinks(order)
        and band.admits(leg, order)
    )


def is_protected(leg: Position, open_orders: Iterable[OpenOrder], band: Band) -> bool:
    """Whether the leg's protective stops, all together, would close all of it."""
    covered = ZERO
    for order in stops_of(leg, open_orders, band):
        if order.leaves_quantity is None:
            return True
        covered += order.leaves_quantity
    return covered >= abs(leg.quantity)


def unprotected(
    before: Sequence[Unprotected], account: Account, at: datetime, bands: Sequence[tuple[str, Band]]
) -> tuple[Unprotected, ...]:
    """The legs without full protection, each since it was first seen so. ``before`` is the last answer.

    ``bands`` are those that the policy asks for, each with the symbol it is asked of ("" for all); a leg that fails any
    of them is unprotected.
    """
    since = {(each.symbol, each.position_side): each.since for each in before}
    found: dict[tuple[str, str], Unprotected] = {}
    for leg in account.positions:
        asked = [band for symbol, band in bands if symbol in ("", leg.symbol)]
        if all(is_protected(leg, account.open_orders, band) for band in asked):
            continue
        key = (leg.symbol, leg.position_side)
        found[key] = Unprotected(symbol=leg.symbol, position_side=leg.position_side, since=since.get(key, at))
    return tuple(found[key] for key in sorted(found))
