"""The gate in front of the book: every check an order must pass before it may trade, in the venue's usual order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.instrument import Instrument
from sandbox.engine.margin import available_balance, exposure, spare_wallet
from sandbox.engine.market import Market
from sandbox.engine.model import ZERO, NewOrder, Order, OrderType, PositionSide, Side
from sandbox.engine.rejection import Reason, Rejected


def check_terms(exchange: Exchange, account: Account, new: NewOrder) -> NewOrder:
    """Check everything but room and money; returns the order as it is taken: closes marked, reduce-only trimmed.

    Errors: `Rejected` with the first reason that applies.
    """
    market = exchange.market(new.symbol)
    check_trading(market)
    check_position_side(account, new.position_side, new.reduce_only)
    check_quantity(market.instrument, new.quantity, market_order=new.order_type is OrderType.MARKET)
    if new.price is not None:
        check_price(market, new.side, new.price)
    if new.client_order_id and any(
        order.client_order_id == new.client_order_id for order in account.open_orders.values()
    ):
        raise Rejected(Reason.DUPLICATE_CLIENT_ID)
    new = closing_form(exchange, account, reducing_form(account, new))
    if not new.reduce_only:
        check_notional(market, new)
    if len(account.orders_on(new.symbol)) >= market.instrument.orders_max:
        raise Rejected(Reason.TOO_MANY_ORDERS)
    return new


def check_trading(market: Market) -> None:
    """Refuse symbols that are closed for orders."""
    if not market.trading:
        raise Rejected(Reason.SYMBOL_NOT_TRADING)


def closing_form(exchange: Exchange, account: Account, new: NewOrder) -> NewOrder:
    """Shortly before a delisting refuse every order that could do more than shrink its leg, and mark the others.

    Without the mark two orders that each shrink the leg could open one together.
    """
    starts_ms = exchange.market(new.symbol).closing_only_ms
    if starts_ms is None or exchange.now_ms < starts_ms:
        return new
    position = account.positions.get((new.symbol, new.position_side))
    if new.quantity > -(position.quantity if position else ZERO) * new.side.sign:
        raise Rejected(Reason.SYMBOL_CLOSING_ONLY)
    return _replaced(new, new.quantity)


def check_position_side(account: Account, position_side: PositionSide, reduce_only: bool) -> None:
    """Refuse a leg that does not exist in the account's mode, and the reduce-only flag in hedge mode."""
    if (position_side is not PositionSide.BOTH) != account.hedge_mode:
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    if reduce_only and account.hedge_mode:
        raise Rejected(Reason.REDUCE_ONLY_IN_HEDGE_MODE)


def check_quantity(instrument: Instrument, quantity: Decimal, *, market_order: bool) -> None:
    """Check a quantity in base units against the instrument's lot rules."""
    if quantity <= 0:
        raise Rejected(Reason.QUANTITY_NOT_POSITIVE)
    if _places(quantity) > _places(instrument.lot_step):
        raise Rejected(Reason.PRECISION)
    if quantity < instrument.quantity_min:
        raise Rejected(Reason.QUANTITY_TOO_SMALL)
    if quantity > (instrument.market_quantity_max if market_order else instrument.quantity_max):
        raise Rejected(Reason.QUANTITY_TOO_LARGE)
    if quantity % instrument.lot_step:
        raise Rejected(Reason.QUANTITY_OFF_STEP)


def check_price(market: Market, side: Side, price: Decimal) -> None:
    """Check a limit price against tick, absolute bounds and the band around the mark (buys above, sells below)."""
    instrument = market.instrument
    check_tick(instrument, price)
    ceiling, floor = market.mark_price * (1 + instrument.band), market.mark_price * (1 - instrument.band)
    if side is Side.BUY and price > ceiling:
        raise Rejected(Reason.PRICE_ABOVE_BAND, f"{ceiling.quantize(instrument.tick):f}")
    if side is Side.SELL and price < floor:
        raise Rejected(Reason.PRICE_BELOW_BAND, f"{floor.quantize(instrument.tick):f}")


def check_tick(instrument: Instrument, price: Decimal) -> None:
    """Check a price of any kind (limit, trigger) against tick and absolute bounds."""
    if price <= 0:
        raise Rejected(Reason.PRICE_NOT_POSITIVE)
    if _places(price) > _places(instrument.tick):
        raise Rejected(Reason.PRECISION)
    # Before the tick: the remainder of a number of more digits than arithmetic keeps is an error, not a number.
    if price > instrument.price_max:
        raise Rejected(Reason.PRICE_TOO_HIGH)
    if price < instrument.price_min:
        raise Rejected(Reason.PRICE_TOO_LOW)
    if price % instrument.tick:
        raise Rejected(Reason.PRICE_OFF_TICK)


def check_notional(market: Market, new: NewOrder) -> None:
    """Refuse opening orders worth less than the instrument's minimum (market orders valued at the mark)."""
    price = market.mark_price if new.price is None else new.price
    if new.quantity * price < market.instrument.notional_min:
        raise Rejected(Reason.NOTIONAL_TOO_SMALL, f"{market.instrument.notional_min:f}")


def reducing_form(account: Account, new: NewOrder) -> NewOrder:
    """Refuse a reduce-only order that would not reduce; trim one that is larger than the position.

    In hedge mode an order against its leg is a close: it is marked reduce-only and may not exceed the leg.
    """
    position = account.positions.get((new.symbol, new.position_side))
    room = -(position.quantity if position else ZERO) * new.side.sign
    hedge_close = new.position_side is not PositionSide.BOTH and not new.position_side.opened_by(new.side)
    if hedge_close:
        if new.quantity > room:
            raise Rejected(Reason.REDUCE_ONLY_REJECTED)
        return _replaced(new, new.quantity)
    if not new.reduce_only:
        return new
    if room <= 0:
        raise Rejected(Reason.REDUCE_ONLY_REJECTED)
    return _replaced(new, min(new.quantity, room))


def check_room(exchange: Exchange, account: Account, new: NewOrder, without: Order | None = None) -> None:
    """Check leverage cap and margin for an order that opens risk; `without` is the order an amendment replaces.

    Cost = rise in initial margin + the loss the order would open with (limit worse than mark). Only a rise is charged,
    so an order that merely shrinks the worst case always has room.
    """
    if new.reduce_only:
        return
    market = exchange.market(new.symbol)
    price = expected_price(market, new)
    before = exposure(exchange, account, new.symbol, new.position_side)
    others = before if without is None else exposure(exchange, account, new.symbol, new.position_side, without)
    worst_before, worst = before.worst, others.with_order(new.side, new.quantity * price).worst
    if worst <= worst_before:
        return
    leverage = account.on(new.symbol).leverage
    if worst > market.instrument.notional_cap(leverage):
        raise Rejected(Reason.NOTIONAL_ABOVE_LEVERAGE_CAP)
    open_loss = max(ZERO, (price - market.mark_price) * new.side.sign) * new.quantity
    isolated = account.isolated(new.symbol)
    available = spare_wallet(exchange, account) if isolated else available_balance(exchange, account)
    if (worst - worst_before) / leverage + open_loss > available:
        raise Rejected(Reason.MARGIN_INSUFFICIENT)


def expected_price(market: Market, new: NewOrder) -> Decimal:
    """What an order is charged margin at: its limit, or for market orders the best opposite price and 0.05 % worse."""
    if new.price is not None:
        return new.price
    best = market.best_price(new.side.opposite) or market.mark_price
    if new.side is Side.BUY:
        return max(best * Decimal("1.0005"), market.mark_price)
    return max(best, market.mark_price)


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _replaced(new: NewOrder, quantity: Decimal) -> NewOrder:
    return replace(new, quantity=quantity, reduce_only=True)
