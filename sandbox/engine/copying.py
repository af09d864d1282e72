"""A book that was not traded here: positions put where another account's stand, at the price they were entered at."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.forced import fill_away_from_book
from sandbox.engine.model import (
    MarginMode,
    Order,
    OrderType,
    PositionSide,
    SelfTrade,
    Side,
    TimeInForce,
)
from sandbox.engine.rejection import Reason, Rejected

CLIENT_ID = "copied"


def put_position(
    exchange: Exchange,
    account: Account,
    symbol: str,
    position_side: PositionSide,
    quantity: Decimal,
    price: Decimal,
    *,
    leverage: int,
    margin_mode: MarginMode,
) -> None:
    """Let an account hold a signed `quantity` of a leg that is flat, entered at `price`; the street has the other side.

    No limit of size and no margin is asked for: the book is as somebody found it elsewhere. Errors: `Rejected` for an
    unknown symbol, a leg of the other position mode, or one that is not flat.
    """
    market = exchange.market(symbol)
    if account.hedge_mode is (position_side is PositionSide.BOTH):
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    if account.position(symbol, position_side).quantity:
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    settings = account.on(symbol)
    settings.leverage, settings.margin_mode = leverage, margin_mode
    side, size, order_id = (Side.BUY if quantity > 0 else Side.SELL), abs(quantity), exchange.next_id()
    order = Order(
        order_id=order_id,
        client_order_id=CLIENT_ID,
        account=account.name,
        symbol=symbol,
        side=side,
        position_side=position_side,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        quantity=size,
        price=Decimal(0),
        reduce_only=False,
        self_trade=SelfTrade.EXPIRE_MAKER,
        good_till_ms=0,
        created_ms=exchange.now_ms,
        updated_ms=exchange.now_ms,
        priority=order_id,
    )
    account.orders.append(order)
    fill_away_from_book(exchange, account, order, size, price, exchange.next_id())
    exchange.street.trade(market.instrument.symbol, side.opposite, size, price)
