"""The house: synthetic customers with leverage, so that liquidations and auto-deleveraging happen to somebody.

A house account trades with the street, has its margin to itself and no API key. The engine treats it like anyone.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.checks import check_quantity, check_trading
from sandbox.engine.exchange import Exchange
from sandbox.engine.forced import enter_away_from_book
from sandbox.engine.model import MarginMode, PositionSide, Side
from sandbox.engine.rejection import Reason, Rejected

NAME_PREFIX = "house-"
HOUSES_MAX = 50


def open_house(exchange: Exchange, symbol: str, side: Side, quantity: Decimal, leverage: int) -> Account:
    """Let a new house account hold `quantity` at the mark price on isolated margin of notional / leverage.

    Errors: `Rejected` for an unknown or closed symbol, an impossible quantity or leverage, or too many houses.
    """
    market = exchange.market(symbol)
    check_trading(market)
    check_quantity(market.instrument, quantity, market_order=False)
    price = market.mark_price.quantize(market.instrument.tick)
    if not 1 <= leverage <= market.instrument.tier_for(quantity * price).leverage_max:
        raise Rejected(Reason.LEVERAGE_INVALID, str(leverage))
    houses = sum(name.startswith(NAME_PREFIX) for name in exchange.accounts)
    if houses >= HOUSES_MAX:
        raise Rejected(Reason.TOO_MANY_ORDERS)

    margin = (quantity * price / leverage).quantize(Decimal("1e-8"))
    account = exchange.open_account(f"{NAME_PREFIX}{houses + 1}", margin)
    account.on(symbol).margin_mode = MarginMode.ISOLATED
    account.on(symbol).leverage = leverage
    enter_away_from_book(exchange, account, symbol, side, PositionSide.BOTH, quantity, price, "auto-")
    return account
