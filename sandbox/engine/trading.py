"""Place, amend and cancel plain orders: the commands a bot sends most."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import chain

from sandbox.engine.account import Account, Countdown
from sandbox.engine.checks import check_room, check_terms
from sandbox.engine.events import Execution
from sandbox.engine.exchange import Exchange
from sandbox.engine.matching import acceptable, close_order, execute, fillable, takes
from sandbox.engine.model import ZERO, NewOrder, Order, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from sandbox.engine.rejection import Reason, Rejected


def place(
    exchange: Exchange,
    account: Account,
    new: NewOrder,
    *,
    close_position: bool = False,
    accepted: Callable[[Order], None] | None = None,
) -> Order:
    """Accept `new` and match it at once; the order comes back as it stands after matching.

    `accepted` sees the order before anything has happened to it. Errors: `Rejected`; then nothing has changed.
    """
    new = check_new(exchange, account, new)
    order = _accept(exchange, account, new)
    order.close_position = close_position
    _throttle(exchange, order)
    if accepted is not None:
        accepted(order)
    exchange.events.order_changed(exchange.now_ms, order, Execution.NEW)
    _work(exchange, order)
    return order


def check_new(exchange: Exchange, account: Account, new: NewOrder) -> NewOrder:
    """Every check `place` makes, without placing; returns the order as it would be accepted."""
    new = check_terms(exchange, account, new)
    if new.time_in_force is TimeInForce.GTD and new.good_till_ms <= exchange.now_ms:
        raise Rejected(Reason.GOOD_TILL_INVALID)
    _check_executable(exchange, account, new)
    check_room(exchange, account, new)
    return new


def find_order(account: Account, symbol: str, order_id: int | None, client_order_id: str | None) -> Order | None:
    """The newest order of the account with that id or client id on `symbol`, open or not."""
    # The history is bounded; what is still open may have left it.
    for order in chain(reversed(account.open_orders.values()), reversed(account.orders)):
        named = order.order_id == order_id if order_id is not None else order.client_order_id == client_order_id
        if named and order.symbol == symbol:
            return order
    return None


def cancel(exchange: Exchange, order: Order | None) -> Order:
    """Cancel an open order; `Rejected(UNKNOWN_ORDER)` when there is none."""
    if order is None or not order.open:
        raise Rejected(Reason.UNKNOWN_ORDER)
    close_order(exchange, order, OrderStatus.CANCELED)
    return order


def cancel_all(exchange: Exchange, account: Account, symbol: str) -> list[Order]:
    """Cancel every open plain order on `symbol`. Conditional orders are not touched: venues keep them apart."""
    exchange.market(symbol)
    return [cancel(exchange, order) for order in account.orders_on(symbol)]


def amend(
    exchange: Exchange, account: Account, order: Order | None, side: Side, quantity: Decimal, price: Decimal
) -> Order:
    """Change quantity (total, not leaves) and price of an open limit order, then match it again.

    The place in the queue is kept only when the price stays and the quantity does not grow. A quantity not above what
    has been filled cancels the order, and so does a price at which a post-only order would take (Binance, "Modify
    Order"). Errors: `Rejected`; then the order is as it was.
    """
    if order is None or not order.open:
        raise Rejected(Reason.UNKNOWN_ORDER)
    if order.order_type is not OrderType.LIMIT:
        raise Rejected(Reason.AMEND_NOT_LIMIT)
    if side is not order.side:
        raise Rejected(Reason.AMEND_SIDE_CHANGED)
    if (quantity, price) == (order.quantity, order.price):
        raise Rejected(Reason.AMEND_NOTHING)
    if quantity <= 0:
        raise Rejected(Reason.QUANTITY_NOT_POSITIVE)
    if quantity <= order.filled_quantity:
        return cancel(exchange, order)

    leaves = quantity - order.filled_quantity
    # What is checked is the order as it will stand: its leaves, beside every other open order but itself.
    standing = list(account.open_orders)
    del account.open_orders[order.order_id]
    try:
        checked = check_terms(exchange, account, _as_new(order, leaves, price))
    finally:
        account.open_orders = {number: account.open_orders.get(number, order) for number in standing}
    try:
        _check_executable(exchange, account, checked)
    except Rejected as refusal:
        if refusal.reason is not Reason.POST_ONLY_WOULD_TAKE:
            raise
        return cancel(exchange, order)
    check_room(exchange, account, checked, without=order)

    exchange.market(order.symbol).unrest(order)
    if price != order.price or quantity > order.quantity:
        order.priority = exchange.next_id()
    order.quantity = order.filled_quantity + checked.quantity
    order.price = price
    order.reduce_only = checked.reduce_only
    order.updated_ms = exchange.now_ms
    exchange.events.order_changed(exchange.now_ms, order, Execution.AMENDED)
    _work(exchange, order)
    return order


def arm_countdown(exchange: Exchange, account: Account, symbol: str, countdown_ms: int) -> None:
    """Cancel the symbol's plain orders in `countdown_ms` unless armed again; 0 disarms."""
    exchange.market(symbol)
    if countdown_ms == 0:
        account.countdowns.pop(symbol, None)
    else:
        account.countdowns[symbol] = Countdown(symbol, exchange.now_ms + countdown_ms)


def expire_due(exchange: Exchange) -> None:
    """Run out good-till-date orders and dead-man's countdowns whose time has come."""
    for account in exchange.accounts.values():
        for order in list(account.open_orders.values()):
            if order.time_in_force is TimeInForce.GTD and order.good_till_ms <= exchange.now_ms:
                close_order(exchange, order, OrderStatus.EXPIRED)
        for countdown in list(account.countdowns.values()):
            if countdown.due_ms <= exchange.now_ms:
                cancel_all(exchange, account, countdown.symbol)
                del account.countdowns[countdown.symbol]


def _accept(exchange: Exchange, account: Account, new: NewOrder) -> Order:
    order_id = exchange.next_id()
    order = Order(
        order_id=order_id,
        # Venues invent a client id when none is given; clients key their books by it.
        client_order_id=new.client_order_id or f"auto-{order_id}",
        account=account.name,
        symbol=new.symbol,
        side=new.side,
        position_side=new.position_side,
        order_type=new.order_type,
        time_in_force=new.time_in_force,
        quantity=new.quantity,
        price=ZERO if new.price is None else new.price,
        reduce_only=new.reduce_only,
        self_trade=new.self_trade,
        good_till_ms=new.good_till_ms,
        created_ms=exchange.now_ms,
        updated_ms=exchange.now_ms,
        priority=order_id,
    )
    account.orders.append(order)
    account.open_orders[order_id] = order
    return order


def _throttle(exchange: Exchange, order: Order) -> None:
    """Meet the armed fault: the order finds only so much liquidity at each step, whole lots and at least one."""
    if exchange.partial_fills:
        exchange.partial_fills -= 1
        step = exchange.market(order.symbol).instrument.lot_step
        lots = order.quantity * exchange.partial_fill_fraction // step
        order.fill_per_step = max(step, lots * step)


def _work(exchange: Exchange, order: Order) -> None:
    """Match an accepted order and let what is left rest or expire."""
    bounded = order.order_type is OrderType.MARKET
    execute(exchange, order, market_bound(exchange, order.symbol, order.side) if bounded else order.price)
    if not order.open:
        return
    if order.order_type is OrderType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        close_order(exchange, order, OrderStatus.EXPIRED)
        return
    order.throttled = order.fill_per_step > 0 and takes(exchange, order)
    exchange.market(order.symbol).rest(order)


def _check_executable(exchange: Exchange, account: Account, new: NewOrder) -> None:
    """Refuse post-only that would take, fill-or-kill that would not fill, market orders with nobody in bounds."""
    if new.order_type is OrderType.MARKET:
        if not _reaches_best(exchange, new, market_bound(exchange, new.symbol, new.side)):
            raise Rejected(Reason.MARKET_OUTSIDE_BAND)
    elif new.time_in_force is TimeInForce.POST_ONLY:
        if _reaches_best(exchange, new, new.price):
            raise Rejected(Reason.POST_ONLY_WOULD_TAKE)
    elif new.time_in_force is TimeInForce.FOK and (
        exchange.partial_fills or fillable(exchange, account, new) < new.quantity
    ):
        raise Rejected(Reason.FILL_OR_KILL_UNFILLED)


def _reaches_best(exchange: Exchange, new: NewOrder, limit: Decimal | None) -> bool:
    """True when the best price across the book is there and within `limit`."""
    best = exchange.market(new.symbol).best_price(new.side.opposite)
    return best is not None and acceptable(new.side, best, limit)


def market_bound(exchange: Exchange, symbol: str, side: Side) -> Decimal:
    """The worst price a market order may reach: `market_take_bound` beyond the mark, as on the venue."""
    market = exchange.market(symbol)
    return market.mark_price * (1 + side.sign * market.instrument.market_take_bound)


def _as_new(order: Order, quantity: Decimal, price: Decimal) -> NewOrder:
    return NewOrder(
        symbol=order.symbol,
        side=order.side,
        order_type=OrderType.LIMIT,
        quantity=quantity,
        price=price,
        position_side=order.position_side,
        time_in_force=order.time_in_force,
        # A hedge-mode close carries the mark, but the flag itself is not allowed there.
        reduce_only=order.reduce_only and order.position_side is PositionSide.BOTH,
        client_order_id=order.client_order_id,
        self_trade=order.self_trade,
        good_till_ms=order.good_till_ms,
    )
