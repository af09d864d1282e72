"""Short ways to say what an order is."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.conditional import ConditionalType, NewConditional, TriggerBy
from sandbox.engine.model import NewOrder, OrderType, PositionSide, Side, TimeInForce

BTC = "BTCUSDT"


def market(
    side: Side,
    quantity: str,
    symbol: str = BTC,
    *,
    reduce_only: bool = False,
    leg: PositionSide = PositionSide.BOTH,
) -> NewOrder:
    """A market order."""
    return NewOrder(
        symbol=symbol,
        side=side,
        order_type=OrderType.MARKET,
        quantity=Decimal(quantity),
        reduce_only=reduce_only,
        position_side=leg,
    )


def limit(
    side: Side,
    quantity: str,
    price: str,
    symbol: str = BTC,
    *,
    reduce_only: bool = False,
    time_in_force: TimeInForce = TimeInForce.GTC,
    client_order_id: str = "",
) -> NewOrder:
    """A limit order."""
    return NewOrder(
        symbol=symbol,
        side=side,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
        reduce_only=reduce_only,
        time_in_force=time_in_force,
        client_order_id=client_order_id,
    )


def stop(
    side: Side,
    quantity: str | None,
    trigger: str,
    *,
    conditional_type: ConditionalType = ConditionalType.STOP_MARKET,
    trigger_by: TriggerBy = TriggerBy.MARK_PRICE,
    reduce_only: bool = False,
) -> NewConditional:
    """A stop; without a quantity it closes the position."""
    return NewConditional(
        symbol=BTC,
        side=side,
        conditional_type=conditional_type,
        quantity=None if quantity is None else Decimal(quantity),
        trigger_price=Decimal(trigger),
        trigger_by=trigger_by,
        reduce_only=reduce_only,
        close_position=quantity is None,
    )
