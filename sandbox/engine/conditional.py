"""Conditional orders: stops, take-profits and trailing stops, which wait outside the book for a price.

This file says what they are and when they fire. Firing them, which needs the whole exchange, is `triggers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sandbox.engine.model import ZERO, Order, PositionSide, SelfTrade, Side, TimeInForce


class ConditionalType(StrEnum):
    """What is sent when the trigger is reached, and from which side the price must come."""

    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def limit(self) -> bool:
        """True when a limit order is sent at the trigger."""
        return self in (ConditionalType.STOP, ConditionalType.TAKE_PROFIT)

    @property
    def trailing(self) -> bool:
        """True when the trigger follows the price."""
        return self is ConditionalType.TRAILING_STOP_MARKET


class TriggerBy(StrEnum):
    """Which price is watched."""

    MARK_PRICE = "MARK_PRICE"
    LAST_PRICE = "LAST_PRICE"


class ConditionalStatus(StrEnum):
    """The life of a conditional order. Only `NEW` is open."""

    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConditional:
    """A conditional order as asked for. `trigger_price` is the activation price (or None) for trailing stops."""

    symbol: str
    side: Side
    conditional_type: ConditionalType
    quantity: Decimal | None
    trigger_price: Decimal | None
    price: Decimal | None = None
    callback_percent: Decimal | None = None
    position_side: PositionSide = PositionSide.BOTH
    time_in_force: TimeInForce = TimeInForce.GTC
    trigger_by: TriggerBy = TriggerBy.LAST_PRICE
    reduce_only: bool = False
    close_position: bool = False
    expires_with_position: bool = False
    price_protect: bool = False
    client_order_id: str = ""
    self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER


@dataclass(slots=True, kw_only=True)
class ConditionalOrder:
    """A conditional order the exchange has accepted. `extreme_price` is the best price a trailing stop has seen."""

    conditional_id: int
    client_order_id: str
    account: str
    terms: NewConditional
    created_ms: int
    updated_ms: int
    triggered_ms: int = 0
    # Of a position it expires with: 1 for a long one, -1 for a short one.
    position_sign: int = 0
    order: Order | None = None
    extreme_price: Decimal | None = None
    failure: str = ""
    status: ConditionalStatus = ConditionalStatus.NEW

    @property
    def reported_status(self) -> ConditionalStatus:
        """The status as a venue reports it: a triggered order whose real order is done counts as finished."""
        if self.status is ConditionalStatus.TRIGGERED and self.order is not None and not self.order.open:
            return ConditionalStatus.FINISHED
        return self.status

    @property
    def open(self) -> bool:
        """True while the order waits for its trigger."""
        return self.status is ConditionalStatus.NEW


def fires_when_rising(conditional_type: ConditionalType, side: Side) -> bool:
    """True when the trigger is reached from below: buy stops and sell take-profits."""
    takes_profit = conditional_type in (ConditionalType.TAKE_PROFIT, ConditionalType.TAKE_PROFIT_MARKET)
    return (side is Side.BUY) != takes_profit


def reached(terms: NewConditional, price: Decimal) -> bool:
    """True when a plain (not trailing) trigger has been reached at `price`."""
    if terms.trigger_price is None:
        return False
    if fires_when_rising(terms.conditional_type, terms.side):
        return price >= terms.trigger_price
    return price <= terms.trigger_price


def trail(order: ConditionalOrder, price: Decimal) -> bool:
    """Move a trailing stop along with `price`; True when the callback has been reached.

    A sell trails the highest price after activation and fires `callback_percent` below it; a buy mirrors that.
    Rule: Binance support page on trailing stop orders.
    """
    terms = order.terms
    selling = terms.side is Side.SELL
    if order.extreme_price is None:
        activation = terms.trigger_price
        inactive = activation is not None and (price < activation if selling else price > activation)
        if inactive:
            return False
        order.extreme_price = price
        return False
    order.extreme_price = max(order.extreme_price, price) if selling else min(order.extreme_price, price)
    callback = (terms.callback_percent or ZERO) / 100
    if selling:
        return price <= order.extreme_price * (1 - callback)
    return price >= order.extreme_price * (1 + callback)
