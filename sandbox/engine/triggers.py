"""Take in conditional orders and fire them when their price comes."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain

from sandbox.engine.account import Account
from sandbox.engine.checks import check_position_side, check_quantity, check_tick, check_trading
from sandbox.engine.conditional import (
    ConditionalOrder,
    ConditionalStatus,
    ConditionalType,
    NewConditional,
    TriggerBy,
    reached,
    trail,
)
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market
from sandbox.engine.model import ZERO, NewOrder, Order, OrderType, PositionSide, Side, TimeInForce
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.trading import place

# Binance change log 2025-12-29: at most 200 open conditional orders over all symbols.
CONDITIONALS_MAX = 200
_CALLBACK_RANGE = (Decimal("0.1"), Decimal(10))


def place_conditional(exchange: Exchange, account: Account, terms: NewConditional) -> ConditionalOrder:
    """Accept a conditional order to wait for its price. No margin is held until it fires, as on the venue.

    Errors: `Rejected`; then nothing has changed.
    """
    market = exchange.market(terms.symbol)
    _check(exchange, account, market, terms)
    conditional_id = exchange.next_id()
    order = ConditionalOrder(
        conditional_id=conditional_id,
        client_order_id=terms.client_order_id or f"auto-{conditional_id}",
        account=account.name,
        terms=terms,
        created_ms=exchange.now_ms,
        updated_ms=exchange.now_ms,
    )
    if terms.expires_with_position:
        order.position_sign = 1 if account.position(terms.symbol, terms.position_side).quantity > 0 else -1
    if terms.conditional_type.trailing:
        trail(order, watched_price(market, terms.trigger_by))
    account.conditionals.append(order)
    account.open_conditionals[conditional_id] = order
    exchange.events.conditional_changed(exchange.now_ms, order)
    return order


def find_conditional(
    account: Account, conditional_id: int | None, client_order_id: str | None
) -> ConditionalOrder | None:
    """The newest conditional order of the account with that id or client id, open or not."""
    # The history is bounded; what still waits may have left it.
    for order in chain(reversed(account.open_conditionals.values()), reversed(account.conditionals)):
        if conditional_id is not None:
            if order.conditional_id == conditional_id:
                return order
        elif order.client_order_id == client_order_id:
            return order
    return None


def cancel_conditional(exchange: Exchange, account: Account, order: ConditionalOrder | None) -> ConditionalOrder:
    """Cancel a waiting conditional order; `Rejected(UNKNOWN_ORDER)` when there is none."""
    if order is None or not order.open:
        raise Rejected(Reason.UNKNOWN_ORDER)
    end_conditional(exchange, account, order, ConditionalStatus.CANCELED)
    return order


def cancel_all_conditionals(exchange: Exchange, account: Account, symbol: str) -> int:
    """Cancel the symbol's waiting conditional orders (plain orders stay); returns how many there were."""
    exchange.market(symbol)
    waiting = [order for order in account.open_conditionals.values() if order.terms.symbol == symbol]
    for order in waiting:
        cancel_conditional(exchange, account, order)
    return len(waiting)


def end_conditional(exchange: Exchange, account: Account, order: ConditionalOrder, status: ConditionalStatus) -> None:
    """Take a waiting conditional order away; `status` says why."""
    account.open_conditionals.pop(order.conditional_id, None)
    _become(exchange, order, status)


def fire_reached(exchange: Exchange) -> None:
    """Send the real orders of every conditional order whose price has come, oldest first."""
    for account in exchange.accounts.values():
        for order in list(account.open_conditionals.values()):
            if not order.open:
                continue
            terms = order.terms
            price = watched_price(exchange.market(terms.symbol), terms.trigger_by)
            due = trail(order, price) if terms.conditional_type.trailing else reached(terms, price)
            if due:
                _fire(exchange, account, order)


def watched_price(market: Market, trigger_by: TriggerBy) -> Decimal:
    """The price a trigger looks at."""
    return market.mark_price if trigger_by is TriggerBy.MARK_PRICE else market.last_price


def _check(exchange: Exchange, account: Account, market: Market, terms: NewConditional) -> None:
    check_trading(market)
    check_position_side(account, terms.position_side, terms.reduce_only)
    if terms.quantity is not None:
        check_quantity(market.instrument, terms.quantity, market_order=not terms.conditional_type.limit)
    for price in (terms.price, terms.trigger_price):
        if price is not None:
            check_tick(market.instrument, price)
    if len(account.open_conditionals) >= CONDITIONALS_MAX:
        raise Rejected(Reason.TOO_MANY_CONDITIONALS)
    waiting = account.open_conditionals.values()
    if terms.client_order_id and any(order.client_order_id == terms.client_order_id for order in waiting):
        raise Rejected(Reason.DUPLICATE_CLIENT_ID)
    if terms.close_position and any(_same_close(order.terms, terms) for order in waiting):
        raise Rejected(Reason.CLOSE_POSITION_EXISTS)
    if terms.expires_with_position and not account.position(terms.symbol, terms.position_side).quantity:
        raise Rejected(Reason.NO_POSITION_TO_WATCH)
    if terms.quantity is not None and _wrong_hedge_close(account, terms):
        raise Rejected(Reason.REDUCE_ONLY_REJECTED)
    _check_trigger(market, terms)


def _check_trigger(market: Market, terms: NewConditional) -> None:
    price = watched_price(market, terms.trigger_by)
    if not terms.conditional_type.trailing:
        if reached(terms, price):
            raise Rejected(Reason.WOULD_TRIGGER_AT_ONCE)
        return
    callback = terms.callback_percent
    if callback is None or not _CALLBACK_RANGE[0] <= callback <= _CALLBACK_RANGE[1]:
        raise Rejected(Reason.CALLBACK_OUT_OF_RANGE)
    activation = terms.trigger_price
    behind = activation is not None and (activation <= price if terms.side is Side.SELL else activation >= price)
    if behind:
        raise Rejected(Reason.WOULD_TRIGGER_AT_ONCE)


def _same_close(held: NewConditional, new: NewConditional) -> bool:
    """Two close-position orders collide when they would close the same leg from the same side of the price."""
    profit = (ConditionalType.TAKE_PROFIT, ConditionalType.TAKE_PROFIT_MARKET)
    return (
        held.close_position
        and (held.symbol, held.side, held.position_side) == (new.symbol, new.side, new.position_side)
        and (held.conditional_type in profit) == (new.conditional_type in profit)
    )


def _wrong_hedge_close(account: Account, terms: NewConditional) -> bool:
    """True when a hedge-mode close is placed on a leg that is flat."""
    leg = terms.position_side
    if leg is PositionSide.BOTH or leg.opened_by(terms.side):
        return False
    return not account.position(terms.symbol, leg).quantity


def _fire(exchange: Exchange, account: Account, order: ConditionalOrder) -> None:
    end_conditional(exchange, account, order, ConditionalStatus.TRIGGERING)
    order.triggered_ms = exchange.now_ms
    terms = order.terms
    if terms.price_protect and _prices_apart(exchange.market(terms.symbol)):
        order.failure = "PRICE_PROTECT"
        _become(exchange, order, ConditionalStatus.REJECTED)
        return
    quantity = _quantity_at_trigger(account, terms)
    if quantity is None:
        _become(exchange, order, ConditionalStatus.EXPIRED)
        return
    new = NewOrder(
        symbol=terms.symbol,
        side=terms.side,
        order_type=OrderType.LIMIT if terms.conditional_type.limit else OrderType.MARKET,
        quantity=quantity,
        price=terms.price if terms.conditional_type.limit else None,
        position_side=terms.position_side,
        time_in_force=terms.time_in_force if terms.conditional_type.limit else TimeInForce.GTC,
        reduce_only=(terms.reduce_only or terms.close_position) and not account.hedge_mode,
        self_trade=terms.self_trade,
    )

    def link(real: Order) -> None:
        real.conditional_id = order.conditional_id
        order.order = real
        _become(exchange, order, ConditionalStatus.TRIGGERED)

    try:
        place(exchange, account, new, close_position=terms.close_position, accepted=link)
    except Rejected as refusal:
        order.failure = refusal.reason.name
        _become(exchange, order, ConditionalStatus.REJECTED)


def _prices_apart(market: Market) -> bool:
    """True when last and mark price differ too much for a protected order to be sent (`triggerProtect`)."""
    return abs(market.last_price - market.mark_price) > market.mark_price * market.instrument.trigger_protect


def _quantity_at_trigger(account: Account, terms: NewConditional) -> Decimal | None:
    """What to send: the quantity asked for, or for close-position the whole leg; None when nothing is left."""
    room = -account.position(terms.symbol, terms.position_side).quantity * terms.side.sign
    if terms.close_position:
        return room if room > ZERO else None
    leg = terms.position_side
    if leg is not PositionSide.BOTH and not leg.opened_by(terms.side) and terms.quantity is not None:
        return min(terms.quantity, room) if room > ZERO else None
    return terms.quantity


def _become(exchange: Exchange, order: ConditionalOrder, status: ConditionalStatus) -> None:
    order.status = status
    order.updated_ms = exchange.now_ms
    exchange.events.conditional_changed(exchange.now_ms, order)
