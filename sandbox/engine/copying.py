"""A book that was not traded here: positions put where another account's stand, at the price they were entered at."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
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
) -> None:
    """Let an account hold a signed `quantity` of a leg that is flat, entered at `price`; the street has the other side.

    No limit of size and no margin is asked for: the book is as somebody found it elsewhere. Errors: `Rejected` for an
    unknown symbol, a leg of the other position mode, or one that is not flat.
    """
    exchange.market(symbol)  # For its refusal of an unknown symbol.
    if account.hedge_mode is (position_side is PositionSide.BOTH):
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    if account.position(symbol, position_side).quantity:
        raise Rejected(Reason.POSITION_SIDE_MISMATCH)
    settings = account.on(symbol)
    settings.leverage, settings.margin_mode = leverage, margin_mode
    side = Side.BUY if quantity > 0 else Side.SELL
    enter_away_from_book(exchange, account, symbol, side, position_side, abs(quantity), price, CLIENT_ID)
