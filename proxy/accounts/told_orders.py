"""What one event of the stream says of an order, in the nouns of the account and of the store's holds. Pure."""

from __future__ import annotations

from proxy.exchange.events import AlgoEvent, OrderEvent
from proxy.store.conversion import Amended, Taken
from rules.account import OpenOrder
from rules.intent import closes_leg


def taken_by(event: OrderEvent | AlgoEvent) -> tuple[Taken, ...]:
    """What this event takes out of the holds: nothing for an exit, which has none. A hold of its name is that of an
    entry which is still on its way."""
    if event.reduce_only or event.close_position or closes_leg(event.side, event.position_side):
        return ()
    conditional = isinstance(event, AlgoEvent)
    return (
        Taken(symbol=event.symbol, side=event.side, conditional=conditional, client_order_id=event.client_order_id),
    )


def amended_by(event: OrderEvent) -> Amended:
    """The amend that this event makes true."""
    return Amended(
        symbol=event.symbol,
        order_id=event.order_id,
        client_order_id=event.client_order_id,
        quantity=event.quantity,
        price=event.price,
    )


def open_order(event: OrderEvent, bot: str = "") -> OpenOrder:
    """The plain order, ``bot``'s, as this event leaves it."""
    return OpenOrder(
        symbol=event.symbol,
        side=event.side,
        position_side=event.position_side,
        order_type=event.order_type,
        leaves_quantity=event.leaves_quantity,
        price=event.price,
        trigger_price=None,
        reduce_only=event.reduce_only,
        close_position=event.close_position,
        order_id=event.order_id,
        client_order_id=event.client_order_id,
        filled_quantity=event.filled_quantity,
        bot=bot,
    )


def waiting_order(event: AlgoEvent) -> OpenOrder:
    """The conditional order as this event leaves it."""
    return OpenOrder(
        symbol=event.symbol,
        side=event.side,
        position_side=event.position_side,
        order_type=event.order_type,
        leaves_quantity=event.quantity,
        price=event.price,
        trigger_price=event.trigger_price,
        reduce_only=event.reduce_only,
        close_position=event.close_position,
        order_id=event.algo_id,
        client_order_id=event.client_order_id,
    )
