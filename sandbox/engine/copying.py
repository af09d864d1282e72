"""A book that was not traded here: positions put where another account's stand, at the price they were entered at."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.events import Cause
from sandbox.engine.exchange import Exchange
from sandbox.engine.forced import enter_away_from_book
from sandbox.engine.model import MarginMode, PositionSide, Side
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
    isolated_margin: Decimal | None = None,
) -> None:
    """Let an account hold a signed `quantity` of a leg that is flat, entered at `price`; the street has the other side.

    The book is as somebody found it elsewhere, so there is no limit of size, and a cross leg is asked for no margin.
    An isolated one has `isolated_margin` set aside, or what it costs at its leverage. Errors: `Rejected` for an unknown
    symbol, a leg of the other position mode, one that is not flat or cannot have that sign, a margin mode other than
    that of the symbol's other leg, and a margin that the cross wallet does not hold.
    """
    exchange.market(symbol)  # For its refusal of an unknown symbol.
    side = Side.BUY if quantity > 0 else Side.SELL
    if account.hedge_mode is (position_side is PositionSide.BOTH):
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    leg = account.position(symbol, position_side)
    if leg.quantity or (account.hedge_mode and not position_side.opened_by(side)):
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    settings = account.on(symbol)
    if margin_mode is not settings.margin_mode and any(account.legs(symbol)):
        raise Rejected(Reason.MARGIN_MODE_HAS_POSITION)
    isolated = margin_mode is MarginMode.ISOLATED
    margin = abs(quantity) * price / leverage if isolated_margin is None else isolated_margin
    if isolated and margin > account.cross_wallet:
        raise Rejected(Reason.MARGIN_INSUFFICIENT)
    settings.leverage, settings.margin_mode = leverage, margin_mode
    enter_away_from_book(exchange, account, symbol, side, position_side, abs(quantity), price, CLIENT_ID)
    if isolated and isolated_margin is not None:
        leg.isolated_wallet = isolated_margin
        exchange.events.account_changed(exchange.now_ms, account, Cause.MARGIN_TRANSFER, leg)
