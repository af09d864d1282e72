"""Match orders: takers against resting orders and synthetic quotes, resting orders against a market that moved.

Better price first; at one price an account's resting order trades before the synthetic quotes, which renew themselves
all the time and so are always younger.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from sandbox.engine.account import Account
from sandbox.engine.conditional import ConditionalStatus
from sandbox.engine.depth import Quote
from sandbox.engine.events import Execution
from sandbox.engine.exchange import Exchange
from sandbox.engine.ledger import book_fill
from sandbox.engine.market import Market, PublicTrade
from sandbox.engine.model import ZERO, NewOrder, Order, OrderStatus, PositionSide, SelfTrade, Side


def acceptable(side: Side, price: Decimal, limit: Decimal | None) -> bool:
    """True when `side` may trade at `price` under its limit (None accepts any price)."""
    return limit is None or (price <= limit if side is Side.BUY else price >= limit)


def fillable(exchange: Exchange, account: Account, new: NewOrder) -> Decimal:
    """How much of `new` would execute now within its limit; the account's own orders do not count.

    An order that expires when it meets one of them gets no further than to the first.
    """
    market = exchange.market(new.symbol)
    side = new.side.opposite
    resting, worst = market.resting[side], None
    if new.self_trade in (SelfTrade.EXPIRE_TAKER, SelfTrade.EXPIRE_BOTH):
        first = next((place for place, order in enumerate(resting) if order.account == account.name), None)
        if first is not None:
            resting, worst = resting[:first], resting[first].price

    def in_reach(quote: Quote) -> bool:
        # At one price resting orders trade before quotes, so those at the price of an own order are out of reach.
        within = worst is None or not acceptable(side, quote.price, worst)
        return within and acceptable(new.side, quote.price, new.price)

    # Best first: behind the first that is out of reach all are.
    quoted = (quote.quantity for quote in takewhile(in_reach, market.depth.quotes(side, market.index_price)))
    rested = (
        order.leaves_quantity
        for order in resting
        if order.account != account.name and acceptable(new.side, order.price, new.price)
    )
    return min(sum(quoted, ZERO) + sum(rested, ZERO), new.quantity)


@dataclass(frozen=True, slots=True)
class _Counterparty:
    """The best liquidity on the other side: a resting order or a synthetic quote."""

    price: Decimal
    quantity: Decimal
    order: Order | None
    quote: Quote | None


def execute(exchange: Exchange, taker: Order, limit: Decimal | None) -> None:
    """Trade `taker` as far as `limit` and the book allow. What is left stays on it; the caller decides its fate."""
    market = exchange.market(taker.symbol)
    room = taker.fill_room
    while taker.open and room > 0:
        other = _best(market, taker.side.opposite)
        if other is None or not acceptable(taker.side, other.price, limit):
            return
        if other.order is not None and other.order.account == taker.account and _prevent(exchange, taker, other.order):
            continue
        quantity = min(room, other.quantity)
        room -= quantity
        _trade(exchange, market, taker, other, quantity)


def takes(exchange: Exchange, order: Order) -> bool:
    """True when there is liquidity within the limit of an order."""
    other = _best(exchange.market(order.symbol), order.side.opposite)
    return other is not None and acceptable(order.side, other.price, order.price)


def fill_crossed(exchange: Exchange, market: Market) -> None:
    """Fill resting orders the market has moved through, at their own price, as makers.

    One that only the fault `partial_fills` keeps from taking goes on taking.
    """
    for side in Side:
        for order in list(market.resting[side]):
            if order.throttled:
                execute(exchange, order, order.price)
                order.throttled = order.open and takes(exchange, order)
                continue
            room = order.fill_room
            while order.open and room > 0:
                quote = market.depth.best(side.opposite, market.index_price)
                if quote is None or not acceptable(side, quote.price, order.price):
                    break
                quantity = min(room, quote.quantity)
                room -= quantity
                market.depth.take(side.opposite, quote, quantity)
                exchange.street.trade(order.symbol, side.opposite, quantity, order.price)
                trade = _print(exchange, market, order.price, quantity, buyer_is_maker=side is Side.BUY)
                _book(exchange, order, order.price, quantity, maker=True, trade_id=trade)


def close_order(exchange: Exchange, order: Order, status: OrderStatus) -> None:
    """End an order: out of the book and out of the account's open orders."""
    account = exchange.accounts[order.account]
    if order.open:
        order.status = status
        order.updated_ms = exchange.now_ms
        execution = Execution.CANCELED if status is OrderStatus.CANCELED else Execution.EXPIRED
        exchange.events.order_changed(exchange.now_ms, order, execution)
    exchange.market(order.symbol).unrest(order)
    account.open_orders.pop(order.order_id, None)
    if order.conditional_id:
        senders = (x for x in account.conditionals if x.conditional_id == order.conditional_id)
        for sender in senders:
            exchange.events.conditional_changed(exchange.now_ms, sender)


def sync_reducing(exchange: Exchange, account: Account, symbol: str, position_side: PositionSide) -> None:
    """Shrink or expire resting reduce-only orders so that none is larger than the position it reduces."""
    position = account.position(symbol, position_side)
    for order in account.orders_on(symbol):
        if not order.reduce_only or order.position_side is not position_side:
            continue
        room = -position.quantity * order.side.sign
        if room <= 0:
            close_order(exchange, order, OrderStatus.EXPIRED)
        elif order.leaves_quantity > room:
            order.quantity = order.filled_quantity + room
            order.updated_ms = exchange.now_ms
            exchange.events.order_changed(exchange.now_ms, order, Execution.AMENDED)
    for conditional in list(account.open_conditionals.values()):
        terms = conditional.terms
        mine = terms.expires_with_position and (terms.symbol, terms.position_side) == (symbol, position_side)
        # Closed, or turned: the position it was placed for is not there any more.
        if mine and position.quantity * conditional.position_sign <= 0:
            conditional.status = ConditionalStatus.EXPIRED
            conditional.updated_ms = exchange.now_ms
            del account.open_conditionals[conditional.conditional_id]
            exchange.events.conditional_changed(exchange.now_ms, conditional)


def _best(market: Market, side: Side) -> _Counterparty | None:
    quote = market.depth.best(side, market.index_price)
    order = market.resting[side][0] if market.resting[side] else None
    if order is not None and (quote is None or acceptable(side.opposite, order.price, quote.price)):
        return _Counterparty(order.price, order.leaves_quantity, order, None)
    if quote is not None:
        return _Counterparty(quote.price, quote.quantity, None, quote)
    return None


def _prevent(exchange: Exchange, taker: Order, maker: Order) -> bool:
    """Apply the taker's self-trade rule; True when the trade must not happen."""
    if taker.self_trade is SelfTrade.ALLOW:
        return False
    if taker.self_trade in (SelfTrade.EXPIRE_MAKER, SelfTrade.EXPIRE_BOTH):
        close_order(exchange, maker, OrderStatus.EXPIRED_IN_MATCH)
    if taker.self_trade in (SelfTrade.EXPIRE_TAKER, SelfTrade.EXPIRE_BOTH):
        close_order(exchange, taker, OrderStatus.EXPIRED_IN_MATCH)
    return True


def _trade(exchange: Exchange, market: Market, taker: Order, other: _Counterparty, quantity: Decimal) -> None:
    trade = _print(exchange, market, other.price, quantity, buyer_is_maker=taker.side is Side.SELL)
    if other.quote is not None:
        market.depth.take(taker.side.opposite, other.quote, quantity)
        exchange.street.trade(taker.symbol, taker.side.opposite, quantity, other.price)
    if other.order is not None:
        _book(exchange, other.order, other.price, quantity, maker=True, trade_id=trade)
    _book(exchange, taker, other.price, quantity, maker=False, trade_id=trade)


def _print(exchange: Exchange, market: Market, price: Decimal, quantity: Decimal, *, buyer_is_maker: bool) -> int:
    trade_id = exchange.next_id()
    market.print_trade(PublicTrade(trade_id, price, quantity, exchange.now_ms, buyer_is_maker))
    return trade_id


def _book(exchange: Exchange, order: Order, price: Decimal, quantity: Decimal, *, maker: bool, trade_id: int) -> None:
    account = exchange.accounts[order.account]
    book_fill(exchange, account, order, price, quantity, maker=maker, trade_id=trade_id)
    if not order.open:
        close_order(exchange, order, OrderStatus.FILLED)
    sync_reducing(exchange, account, order.symbol, order.position_side)
