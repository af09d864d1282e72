"""What an order that was not sent would have made or lost, from the marks that came after it. Pure.

The order is assumed filled whole or not at all. A market order fills at the mark of the decision. So does a limit
order that this mark had reached; any other fills at its limit once the mark comes to it. A conditional order waits
until the mark comes to its trigger, and then trades as a market or limit order. The result is what the position is
worth at the horizon against its fill, less the fee of the fill: nothing is assumed closed, and no order of the bot
that would have followed, a stop for instance, is imagined.

Marks are a minute apart: what the mark touched in between is not seen. Where they are missing, the answer is that
nobody knows, never zero.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rules.model import OrderType, PlaceOrder, Side, TimeInForce

NEAR: Final = timedelta(seconds=60)
"""A mark this far from a moment still is that moment's: one a minute is kept."""

GAP_MAX: Final = timedelta(seconds=180)
"""Marks further apart say nothing of what came between them."""

_ZERO: Final = Decimal(0)
_TAKES_NOW_OR_NEVER: Final = (TimeInForce.IOC, TimeInForce.FOK)
_NEVER_TAKES: Final = (TimeInForce.GTX, TimeInForce.RPI)
_TAKES_PROFIT: Final = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_MARKET)


class Horizon(StrEnum):
    """When the result is read."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"
    FUNDING = "funding"


class State(StrEnum):
    """What can be said at a horizon. Only FILLED has a result."""

    FILLED = "filled"
    NOT_FILLED = "not filled"
    UNKNOWN = "unknown"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark price and its moment."""

    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class Stamp:
    """The first funding time after the decision; ``rate`` is ``None`` while it is not known what was charged."""

    at: datetime
    rate: Decimal | None


@dataclass(frozen=True, slots=True)
class Fees:
    """Assumed fees, as fractions of what is traded. Defaults: Binance USD-M futures, regular users."""

    taker: Decimal = Decimal("0.0005")
    maker: Decimal = Decimal("0.0002")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``result`` in quote currency, positive when the order would have gained; ``why`` where there is none."""

    state: State
    result: Decimal | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Fill:
    at: datetime
    price: Decimal
    fee: Decimal


def outcomes(
    order: PlaceOrder, at: datetime, marks: Sequence[Mark], stamp: Stamp | None, fees: Fees, now: datetime
) -> Mapping[Horizon, Outcome]:
    """What ``order``, judged at ``at``, would have come to at each horizon.

    ``marks`` are in order of time, the mark of the decision among them, and reach ``NEAR`` beyond the last horizon.
    """
    ends = {
        Horizon.FIVE_MINUTES: at + timedelta(minutes=5),
        Horizon.HOUR: at + timedelta(hours=1),
        Horizon.FUNDING: stamp.at if stamp is not None else None,
    }
    return {
        horizon: _outcome(order, at, marks, end, fees, now, _stamp(horizon, stamp)) for horizon, end in ends.items()
    }


def _stamp(horizon: Horizon, stamp: Stamp | None) -> Stamp | None:
    return stamp if horizon is Horizon.FUNDING else None


def _outcome(
    order: PlaceOrder,
    at: datetime,
    marks: Sequence[Mark],
    end: datetime | None,
    fees: Fees,
    now: datetime,
    stamp: Stamp | None,
) -> Outcome:
    if end is None:
        return _unknown("no funding time is known")
    if now < end:
        return Outcome(state=State.NOT_YET)
    fill = _fill(order, at, between(marks, at, end), end, fees)
    if isinstance(fill, Outcome):
        return fill
    worth = mark_near(marks, end)
    if worth is None:
        return _unknown("the mark at the horizon is not known")
    signed = order.side.sign * (order.quantity or _ZERO)
    result = signed * (worth - fill.price) - fill.fee
    if stamp is not None and fill.at < stamp.at:
        if stamp.rate is None:
            return _unknown("the funding rate is not known")
        result -= signed * worth * stamp.rate
    return Outcome(state=State.FILLED, result=result)


def mark_near(marks: Sequence[Mark], at: datetime) -> Decimal | None:
    """The price of the mark nearest to ``at``, ``None`` when none is near. ``marks`` are in order of time."""
    near = between(marks, at - NEAR, at + NEAR)
    return min(near, key=lambda mark: abs(mark.at - at)).price if near else None


def between(marks: Sequence[Mark], begin: datetime, end: datetime) -> Sequence[Mark]:
    """Those of ``marks``, which are in order of time, from ``begin`` to ``end``, both included."""
    return marks[bisect_left(marks, begin, key=_moment) : bisect_right(marks, end, key=_moment)]


def _moment(mark: Mark) -> datetime:
    return mark.at


def _fill(order: PlaceOrder, at: datetime, marks: Sequence[Mark], end: datetime, fees: Fees) -> _Fill | Outcome:
    """Where the order fills among ``marks``, or why it does not, or that nobody knows."""
    if order.order_type is OrderType.TRAILING_STOP_MARKET:
        return _unknown("a trailing stop is not followed")
    if not marks or marks[0].at != at:
        return _unknown("the mark of the decision is not known")
    waits, gap, last = order.order_type.is_conditional, False, at
    for place, mark in enumerate(marks):
        if _expired(order, mark.at):
            return _not_filled("it would have expired")
        gap, last = gap or mark.at - last > GAP_MAX, mark.at
        starts = not waits and place == 0
        if waits:
            if not _triggers(order, mark.price):
                continue
            if place == 0:
                return _not_filled("it would have triggered at once, which the venue refuses")
            if gap:
                break
            waits, starts = False, True
        if starts:
            if (found := _on_arrival(order, mark, fees)) is not None:
                return found
        elif order.price is not None and _reached(order.side, order.price, mark.price):
            return _Fill(mark.at, order.price, _fee(order, order.price, fees.maker))
    if gap or end - last > GAP_MAX:
        return _unknown("marks are missing before the horizon")
    return _not_filled("the mark never came to its trigger" if waits else "the mark never came to its limit")


def _on_arrival(order: PlaceOrder, mark: Mark, fees: Fees) -> _Fill | Outcome | None:
    """What becomes of an order as it arrives at the book, ``None`` when it rests."""
    takes = order.price is None or order.order_type.is_market or _reached(order.side, order.price, mark.price)
    if takes and order.time_in_force in _NEVER_TAKES and order.price is not None:
        return _not_filled("post-only, and the mark had reached its limit")
    if takes:
        return _Fill(mark.at, mark.price, _fee(order, mark.price, fees.taker))
    if order.time_in_force in _TAKES_NOW_OR_NEVER:
        return _not_filled("it would not have waited, and the mark had not reached its limit")
    return None


def _expired(order: PlaceOrder, at: datetime) -> bool:
    return order.good_till_ms is not None and at.timestamp() * 1000 > order.good_till_ms


def _reached(side: Side, limit: Decimal, price: Decimal) -> bool:
    """Whether ``price`` is at least as good for the order as its limit."""
    return price <= limit if side is Side.BUY else price >= limit


def _triggers(order: PlaceOrder, price: Decimal) -> bool:
    """Stops trigger as the price moves in their direction, take-profits as it moves against it."""
    if order.trigger_price is None:
        return False
    rising = (order.side is Side.BUY) is not (order.order_type in _TAKES_PROFIT)
    return price >= order.trigger_price if rising else price <= order.trigger_price


def _fee(order: PlaceOrder, price: Decimal, rate: Decimal) -> Decimal:
    return (order.quantity or _ZERO) * price * rate


def _unknown(why: str) -> Outcome:
    return Outcome(state=State.UNKNOWN, why=why)


def _not_filled(why: str) -> Outcome:
    return Outcome(state=State.NOT_FILLED, why=why)
