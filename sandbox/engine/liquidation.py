"""Close what its margin no longer carries: cross accounts as a whole, isolated positions one by one."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.ledger import book_fill
from sandbox.engine.margin import cross_state, maintenance_margin, unrealised
from sandbox.engine.matching import close_order, execute, sync_reducing
from sandbox.engine.model import (
    IncomeKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    SelfTrade,
    Side,
    TimeInForce,
)


def liquidate_due(exchange: Exchange) -> None:
    """Liquidate every isolated position and cross account whose margin is at or below its maintenance margin."""
    for account in exchange.accounts.values():
        for leg in list(account.legs()):
            if account.isolated(leg.symbol):
                _liquidate_isolated_if_due(exchange, account, leg)
        _liquidate_cross_if_due(exchange, account)


def _liquidate_isolated_if_due(exchange: Exchange, account: Account, leg: Position) -> None:
    if leg.isolated_wallet + unrealised(exchange, leg) > maintenance_margin(exchange, leg):
        return
    for order in account.orders_on(leg.symbol):
        close_order(exchange, order, OrderStatus.EXPIRED)
    # Only the position's own wallet is at stake: what closing costs beyond it is the insurance fund's to pay.
    backing = leg.isolated_wallet
    left = backing + _close(exchange, account, leg)
    if left > 0:
        _charge_clearance(exchange, account, leg.symbol, left)
    else:
        _cover(exchange, account, leg.symbol, -left)


def _liquidate_cross_if_due(exchange: Exchange, account: Account) -> None:
    if _cross_legs(account) and not _safe(exchange, account):
        _liquidate_cross(exchange, account)
    # An order that closed a position beyond its margin leaves a debt too, without any liquidation.
    if account.cross_wallet < 0 and not _cross_legs(account):
        _cover(exchange, account, account.fills[-1].symbol, -account.cross_wallet)


def _liquidate_cross(exchange: Exchange, account: Account) -> None:
    for order in list(account.open_orders.values()):
        if not account.isolated(order.symbol):
            close_order(exchange, order, OrderStatus.EXPIRED)
    legs = _cross_legs(account)
    # Largest requirement first: often the rest of the account survives.
    legs.sort(key=lambda leg: (-maintenance_margin(exchange, leg), leg.symbol, leg.position_side))
    for leg in legs:
        if _safe(exchange, account):
            return
        _close(exchange, account, leg)
        left = cross_state(exchange, account).balance
        if left > 0:
            _charge_clearance(exchange, account, leg.symbol, left)


def _cross_legs(account: Account) -> list[Position]:
    return [leg for leg in account.legs() if not account.isolated(leg.symbol)]


def _safe(exchange: Exchange, account: Account) -> bool:
    state = cross_state(exchange, account)
    return state.balance > state.maintenance


def _close(exchange: Exchange, account: Account, leg: Position) -> Decimal:
    """Sell the leg into the book at any price; the insurance fund takes what the book cannot, at the last price.

    Returns the change of the wallet (realised profit less commission).
    """
    wallet = account.wallet
    order_id = exchange.next_id()
    side = Side.SELL if leg.quantity > 0 else Side.BUY
    order = Order(
        order_id=order_id,
        client_order_id=f"autoclose-{exchange.now_ms}{order_id}",
        account=account.name,
        symbol=leg.symbol,
        side=side,
        position_side=leg.position_side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        quantity=abs(leg.quantity),
        price=exchange.market(leg.symbol).mark_price.quantize(exchange.market(leg.symbol).instrument.tick),
        reduce_only=True,
        self_trade=SelfTrade.EXPIRE_MAKER,
        good_till_ms=0,
        created_ms=exchange.now_ms,
        updated_ms=exchange.now_ms,
        priority=order_id,
        liquidation=True,
    )
    account.orders.append(order)
    account.liquidations.append(order)
    execute(exchange, order, None)
    if order.leaves_quantity > 0:
        price = exchange.market(leg.symbol).last_price
        trade_id = exchange.next_id()
        book_fill(exchange, account, order, price, order.leaves_quantity, maker=False, trade_id=trade_id)
        sync_reducing(exchange, account, leg.symbol, leg.position_side)
    return account.wallet - wallet


def _charge_clearance(exchange: Exchange, account: Account, symbol: str, at_most: Decimal) -> Decimal:
    """Take the liquidation clearance fee out of what is left of the margin, never more than that."""
    market = exchange.market(symbol)
    fee = account.liquidations[-1].filled_notional * market.instrument.liquidation_fee
    charged = -exchange.pay(account, IncomeKind.INSURANCE_CLEAR, symbol, -min(fee, at_most))
    exchange.insurance_fund += charged
    return charged


def _cover(exchange: Exchange, account: Account, symbol: str, amount: Decimal) -> None:
    """The insurance fund makes good a loss beyond the margin."""
    exchange.insurance_fund -= exchange.pay(account, IncomeKind.INSURANCE_CLEAR, symbol, amount)
