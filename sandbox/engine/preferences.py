"""What an account may set for itself: leverage, margin mode, position mode, and an isolated position's margin."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.events import Cause
from sandbox.engine.exchange import Exchange
from sandbox.engine.margin import available_balance, exposure, initial_margin, legs_of, spare_wallet, unrealised
from sandbox.engine.model import ZERO, MarginChange, MarginMode, PositionSide
from sandbox.engine.rejection import Reason, Rejected


def set_leverage(exchange: Exchange, account: Account, symbol: str, leverage: int) -> Decimal:
    """Set a symbol's leverage; returns the largest notional it allows.

    Refused when no tier offers it, when the present exposure is above its cap, when the added margin is not there, and
    when it would lower the leverage of an open isolated position.
    """
    instrument = exchange.market(symbol).instrument
    settings = account.on(symbol)
    if not 1 <= leverage <= instrument.tiers[0].leverage_max:
        raise Rejected(Reason.LEVERAGE_INVALID, str(leverage))
    cap = instrument.notional_cap(leverage)
    if any(exposure(exchange, account, symbol, leg).worst > cap for leg in legs_of(account)):
        raise Rejected(Reason.NOTIONAL_ABOVE_LEVERAGE_CAP)
    if leverage < settings.leverage and account.isolated(symbol) and any(account.legs(symbol)):
        raise Rejected(Reason.LEVERAGE_REDUCED_WITH_ISOLATED_POSITION)
    held = initial_margin(exchange, account, symbol).total
    if held * settings.leverage / leverage - held > available_balance(exchange, account):
        raise Rejected(Reason.LEVERAGE_MARGIN_INSUFFICIENT)
    settings.leverage = leverage
    exchange.events.leverage_changed(exchange.now_ms, account, symbol)
    return cap


def set_margin_mode(exchange: Exchange, account: Account, symbol: str, mode: MarginMode) -> None:
    """Switch a symbol between cross and isolated; refused with open orders (of any kind) or a position there."""
    exchange.market(symbol)
    if account.on(symbol).margin_mode is mode:
        raise Rejected(Reason.MARGIN_MODE_UNCHANGED)
    waiting = any(order.terms.symbol == symbol for order in account.open_conditionals.values())
    if waiting or account.orders_on(symbol):
        raise Rejected(Reason.MARGIN_MODE_HAS_ORDERS)
    if any(account.legs(symbol)):
        raise Rejected(Reason.MARGIN_MODE_HAS_POSITION)
    account.on(symbol).margin_mode = mode
    legs = (account.position(symbol, side) for side in legs_of(account))
    exchange.events.account_changed(exchange.now_ms, account, Cause.MARGIN_MODE, *legs)


def set_hedge_mode(account: Account, hedge_mode: bool) -> None:
    """Switch the account between one-way and hedge mode; refused with any open order or position."""
    if account.hedge_mode is hedge_mode:
        raise Rejected(Reason.POSITION_MODE_UNCHANGED)
    if account.open_orders or account.open_conditionals:
        raise Rejected(Reason.POSITION_MODE_HAS_ORDERS)
    if any(account.legs()):
        raise Rejected(Reason.POSITION_MODE_HAS_POSITION)
    account.hedge_mode = hedge_mode


def adjust_isolated_margin(
    exchange: Exchange, account: Account, symbol: str, position_side: PositionSide, amount: Decimal
) -> None:
    """Move `amount` quote currency into (positive) or out of (negative) an isolated position's own wallet.

    Out only as far as the initial margin at entry, losses counted, stays covered.
    """
    market = exchange.market(symbol)
    if not account.isolated(symbol):
        raise Rejected(Reason.ISOLATED_MARGIN_NEEDS_ISOLATED)
    position = account.position(symbol, position_side)
    if not position.quantity:
        raise Rejected(Reason.ISOLATED_MARGIN_NO_POSITION)
    if amount > 0 and amount > spare_wallet(exchange, account):
        raise Rejected(Reason.ISOLATED_MARGIN_UNAVAILABLE)
    if amount < 0:
        needed = abs(position.quantity) * max(position.entry_price, market.mark_price) / account.on(symbol).leverage
        if position.isolated_wallet + amount + min(ZERO, unrealised(exchange, position)) < needed:
            raise Rejected(Reason.ISOLATED_MARGIN_NOT_REMOVABLE)
    position.isolated_wallet += amount
    account.margin_changes.append(
        MarginChange(symbol=symbol, position_side=position_side, amount=amount, time_ms=exchange.now_ms)
    )
    exchange.events.account_changed(exchange.now_ms, account, Cause.MARGIN_TRANSFER, position)
