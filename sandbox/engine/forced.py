"""Orders nobody sent: liquidation, auto-deleveraging and settlement in a customer's name, and books that are put up.

The client ids are Binance's own (user-data-stream page "Event: Order Update"): `autoclose-...` liquidates,
`adl_autoclose` deleverages, `settlement_autoclose-...` settles a delisted symbol.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.ledger import book_fill
from sandbox.engine.matching import close_order, sync_reducing
from sandbox.engine.model import Order, OrderStatus, OrderType, Position, PositionSide, SelfTrade, Side, TimeInForce

LIQUIDATION_PREFIX = "autoclose-"
ADL_CLIENT_ID = "adl_autoclose"


def forced_order(
    exchange: Exchange, account: Account, leg: Position, quantity: Decimal, price: Decimal, client_id: str
) -> Order:
    """Enter an order that closes `quantity` of a leg into the account's records; it is not in the book.

    A `client_id` that ends in a dash is completed with time and order id.
    """
    order_id = exchange.next_id()
    liquidation = client_id == LIQUIDATION_PREFIX
    order = Order(
        order_id=order_id,
        client_order_id=f"{client_id}{exchange.now_ms}{order_id}" if client_id.endswith("-") else client_id,
        account=account.name,
        symbol=leg.symbol,
        side=Side.SELL if leg.quantity > 0 else Side.BUY,
        position_side=leg.position_side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC if liquidation else TimeInForce.GTC,
        quantity=quantity,
        price=price,
        reduce_only=True,
        self_trade=SelfTrade.EXPIRE_MAKER,
        good_till_ms=0,
        created_ms=exchange.now_ms,
        updated_ms=exchange.now_ms,
        priority=order_id,
        liquidation=liquidation,
    )
    account.orders.append(order)
    if liquidation or client_id == ADL_CLIENT_ID:
        account.liquidations.append(order)
    return order


def enter_away_from_book(
    exchange: Exchange,
    account: Account,
    symbol: str,
    side: Side,
    position_side: PositionSide,
    quantity: Decimal,
    price: Decimal,
    client_id: str,
) -> None:
    """Enter a market order and fill it at `price`, without fee and without looking at margin; the street takes the
    other side. A `client_id` that ends in a dash is completed with the order id.
    """
    order_id = exchange.next_id()
    order = Order(
        order_id=order_id,
        client_order_id=f"{client_id}{order_id}" if client_id.endswith("-") else client_id,
        account=account.name,
        symbol=symbol,
        side=side,
        position_side=position_side,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        quantity=quantity,
        price=Decimal(0),
        reduce_only=False,
        self_trade=SelfTrade.EXPIRE_MAKER,
        good_till_ms=0,
        created_ms=exchange.now_ms,
        updated_ms=exchange.now_ms,
        priority=order_id,
    )
    account.orders.append(order)
    fill_away_from_book(exchange, account, order, quantity, price, exchange.next_id())
    exchange.street.trade(symbol, side.opposite, quantity, price)


def fill_away_from_book(
    exchange: Exchange, account: Account, order: Order, quantity: Decimal, price: Decimal, trade_id: int
) -> None:
    """Fill an order at a price of the exchange's choosing: no fee, and nothing on the public tape.

    Source for the fee: Binance support page on auto-deleveraging ("no trading fee will be charged").
    """
    book_fill(exchange, account, order, price, quantity, maker=False, trade_id=trade_id, fee_free=True)
    if not order.open:
        close_order(exchange, order, OrderStatus.FILLED)
    sync_reducing(exchange, account, order.symbol, order.position_side)
