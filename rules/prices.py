"""What prices an order may meet: how far through a reference it may reach, the touches, the worst price it names.

The worse price of a buy is the higher one, of a sell the lower one.
"""

from __future__ import annotations

from decimal import Decimal

from rules.intent import find_original, joins_queue, side_of
from rules.model import BUY, AmendOrder, Command, PlaceOrder, Side
from rules.snapshot import Market, Snapshot


def through(side: Side, reference: Decimal, band: Decimal) -> Decimal:
    """The price ``band`` through the reference: above it for buys, below it for sells."""
    return reference * (1 + band * side.sign)


def is_through(side: Side, price: Decimal, bound: Decimal) -> bool:
    """Whether a price is worse than ``bound``."""
    return price > bound if side is BUY else price < bound


def near_touch(side: Side, market: Market) -> Decimal | None:
    """The best price on the order's own side of the book, ``None`` where it is not known."""
    return market.bid_price if side is BUY else market.ask_price


def far_touch(side: Side, market: Market) -> Decimal | None:
    """The best price on the side that the order would take from, ``None`` where it is not known."""
    return market.ask_price if side is BUY else market.bid_price


def far_price(side: Side, market: Market) -> Decimal:
    """The worse of mark and far touch: what an order that takes any price may have to pay."""
    touch = far_touch(side, market) or market.mark_price
    return max(market.mark_price, touch) if side is BUY else min(market.mark_price, touch)


def resting_price(order: PlaceOrder | AmendOrder, side: Side, market: Market | None) -> Decimal | None:
    """The limit an order comes to rest at; of one that joins the queue the near touch, as far as it is known.

    ``None``: it names none, takes from the book, or joins the queue when its trigger is met, and of then nobody knows.
    """
    waits = isinstance(order, PlaceOrder) and order.order_type.is_conditional
    if order.price is not None or waits or market is None or not joins_queue(order):
        return order.price
    return near_touch(side, market)


def worst_named(command: Command, snapshot: Snapshot) -> Decimal | None:
    """The worst limit or trigger of an entry, ``None`` when it names none.

    An amend may also fill at the price of the order it changes.
    """
    match command:
        case PlaceOrder():
            side = command.side
            named = [command.price, command.trigger_price, command.activate_price]
        case AmendOrder():
            original, side = find_original(command, snapshot), side_of(command, snapshot)
            named = [command.price, original.price if original is not None else None]
        case _:
            return None
    prices = [price for price in named if price is not None]
    if not prices:
        return None
    return max(prices) if side is BUY else min(prices)
