"""Close what its margin no longer carries, step by step: cross accounts as a whole, isolated positions one by one.

Order of events: Binance support page "liquidation protocols" (USD-M futures). Open orders are cancelled; then
immediate-or-cancel orders at the bankruptcy price bring the position down tier by tier until what is left is carried
again. What the book does not take there is taken over at the bankruptcy price by the insurance fund, and when the
fund cannot pay for that, by the winners on the other side (`deleveraging.py`).
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from sandbox.engine.account import Account
from sandbox.engine.deleveraging import deleverage
from sandbox.engine.events import Cause
from sandbox.engine.exchange import Exchange
from sandbox.engine.forced import LIQUIDATION_PREFIX, fill_away_from_book, forced_order
from sandbox.engine.margin import backing, bankruptcy_price, cross_state, maintenance_margin
from sandbox.engine.matching import acceptable, close_order, execute
from sandbox.engine.model import ZERO, IncomeKind, Order, OrderStatus, Position, Side

# Deleveraging may bring down its own victims; what is not settled after so many rounds waits for the next step.
_ROUNDS_MAX = 10


def liquidate_due(exchange: Exchange) -> None:
    """Liquidate every isolated position and cross account whose margin is at or below its maintenance margin."""
    for _ in range(_ROUNDS_MAX):
        liquidated = [_liquidate_account(exchange, account) for account in exchange.accounts.values()]
        if not any(liquidated):
            return


def _liquidate_account(exchange: Exchange, account: Account) -> bool:
    """True when something had to be closed."""
    due = [leg for leg in account.legs() if account.isolated(leg.symbol) and not _carried(exchange, account, leg)]
    for leg in due:
        _cancel_orders(exchange, account, leg.symbol)
        _bring_down(exchange, account, leg)
        _settle_isolated(exchange, account, leg)
    # Largest requirement first: often the rest of the account survives.
    cross = [leg for leg in account.legs() if not account.isolated(leg.symbol)]
    cross.sort(key=lambda leg: (-maintenance_margin(exchange, leg), leg.symbol, leg.position_side))
    if cross and not _carried(exchange, account, cross[0]):
        due += cross
        _cancel_orders(exchange, account, None)
        for leg in cross:
            _bring_down(exchange, account, leg)
    # An order that closed a position beyond its margin leaves a debt too, without any liquidation.
    if account.cross_wallet < 0 and all(account.isolated(leg.symbol) for leg in account.legs()):
        symbol = account.fills[-1].symbol if account.fills else ""
        _cover(exchange, account, symbol, -account.cross_wallet)
    return bool(due)


def _carried(exchange: Exchange, account: Account, leg: Position) -> bool:
    """True while what stands behind the leg exceeds what it must not fall to."""
    if account.isolated(leg.symbol):
        return backing(exchange, account, leg) > maintenance_margin(exchange, leg)
    state = cross_state(exchange, account)
    return state.balance > state.maintenance


def _cancel_orders(exchange: Exchange, account: Account, symbol: str | None) -> None:
    """Cancel the plain orders of an isolated symbol, or of all cross symbols."""
    for order in list(account.open_orders.values()):
        if order.symbol == symbol or (symbol is None and not account.isolated(order.symbol)):
            close_order(exchange, order, OrderStatus.EXPIRED)


def _bring_down(exchange: Exchange, account: Account, leg: Position) -> None:
    """Shrink the leg tier by tier until it is carried again; every round closes at least a lot."""
    while leg.quantity and not _carried(exchange, account, leg):
        if not _sell_into_book(exchange, account, leg):
            _take_over(exchange, account, leg)


def _sell_into_book(exchange: Exchange, account: Account, leg: Position) -> bool:
    """Send one immediate-or-cancel order at the bankruptcy price; False when it was not filled as a whole."""
    market = exchange.market(leg.symbol)
    price = bankruptcy_price(exchange, account, leg)
    side = Side.SELL if leg.quantity > 0 else Side.BUY
    best = market.best_price(side.opposite)
    if best is None or not acceptable(side, best, price):
        return False
    order = forced_order(exchange, account, leg, _excess_quantity(exchange, leg), price, LIQUIDATION_PREFIX)
    execute(exchange, order, price)
    _charge_clearance(exchange, account, leg, order)
    if order.open:
        close_order(exchange, order, OrderStatus.EXPIRED)
    return order.status is OrderStatus.FILLED


def _excess_quantity(exchange: Exchange, leg: Position) -> Decimal:
    """What brings the leg into the next lower tier; in the lowest tier all of it."""
    market = exchange.market(leg.symbol)
    held = abs(leg.quantity)
    kept_notional = market.instrument.tier_for(held * market.mark_price).notional_floor
    step = market.instrument.lot_step
    return held - (kept_notional / market.mark_price / step).to_integral_value(ROUND_FLOOR) * step


def _take_over(exchange: Exchange, account: Account, leg: Position) -> None:
    """Close all that is left at the bankruptcy price, away from the book: fund first, deleveraging when it is short.

    The fund passes the position on to the street at the mark; it needs the difference, or keeps it.
    """
    if _carried(exchange, account, leg):
        return
    mark_price = exchange.market(leg.symbol).mark_price
    price = bankruptcy_price(exchange, account, leg)
    cost = (price - mark_price) * leg.quantity
    order = forced_order(exchange, account, leg, abs(leg.quantity), price, LIQUIDATION_PREFIX)
    if cost > exchange.insurance_fund:
        deleverage(exchange, account, order)
        return
    quantity = order.quantity
    fill_away_from_book(exchange, account, order, quantity, price, exchange.next_id())
    exchange.insurance_fund -= cost
    exchange.street.trade(leg.symbol, order.side.opposite, quantity, mark_price)
    _charge_clearance(exchange, account, leg, order)


def _charge_clearance(exchange: Exchange, account: Account, leg: Position, order: Order) -> None:
    """Take the clearance fee on what was liquidated out of what is left of the margin, never more than that."""
    fee = order.filled_notional * exchange.market(leg.symbol).instrument.liquidation_fee
    charged = -exchange.pay(
        account, IncomeKind.INSURANCE_CLEAR, leg.symbol, -max(ZERO, min(fee, backing(exchange, account, leg)))
    )
    exchange.insurance_fund += charged
    if account.isolated(leg.symbol):
        leg.isolated_wallet -= charged
    if charged:
        exchange.events.account_changed(exchange.now_ms, account, Cause.INSURANCE_CLEAR, leg, change=-charged)


def _settle_isolated(exchange: Exchange, account: Account, leg: Position) -> None:
    """Release what a closed isolated position has left; what it lacks is not the rest of the account's to pay."""
    if leg.quantity:
        return
    left, leg.isolated_wallet = leg.isolated_wallet, ZERO
    if left < 0:
        _cover(exchange, account, leg.symbol, -left, leg)
    elif left > 0:
        exchange.events.account_changed(exchange.now_ms, account, Cause.MARGIN_TRANSFER, leg)


def _cover(exchange: Exchange, account: Account, symbol: str, debt: Decimal, *legs: Position) -> None:
    """Make good a loss beyond the margin: the insurance fund as far as it goes, then the exchange itself."""
    paid = exchange.pay(account, IncomeKind.INSURANCE_CLEAR, symbol, debt)
    from_fund = min(paid, exchange.insurance_fund)
    exchange.insurance_fund -= from_fund
    exchange.treasury -= paid - from_fund
    exchange.events.account_changed(exchange.now_ms, account, Cause.INSURANCE_CLEAR, *legs, change=paid)
