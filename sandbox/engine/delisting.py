"""The end of a symbol: announced, closed to new risk, then settled at the index price.

The order of events is Binance's for perpetuals it takes down: the delivery date in exchangeInfo moves from "never" to
the day, shortly before it no position can be opened, then orders are cancelled and positions settled automatically.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.conditional import ConditionalStatus
from sandbox.engine.exchange import Exchange
from sandbox.engine.forced import fill_away_from_book, forced_order
from sandbox.engine.instrument import InstrumentStatus
from sandbox.engine.market import Market
from sandbox.engine.matching import close_order
from sandbox.engine.model import OrderStatus, Position, Side
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.triggers import end_conditional

NOTICE_MS = 60 * 60 * 1000
# Openings end half an hour before the settlement, or at half of a shorter notice.
_CLOSING_ONLY_MS = 30 * 60 * 1000


def announce_delisting(exchange: Exchange, symbol: str, after_ms: int) -> None:
    """Give notice that `symbol` is settled `after_ms` from now; an earlier notice is replaced.

    Errors: `Rejected` when the symbol is unknown or no longer trades.
    """
    market = exchange.market(symbol)
    if not market.trading:
        raise Rejected(Reason.SYMBOL_NOT_TRADING)
    market.delivery_ms = exchange.now_ms + after_ms
    market.closing_only_ms = market.delivery_ms - min(_CLOSING_ONLY_MS, after_ms // 2)


def announce_scripted_delisting(exchange: Exchange) -> None:
    """The scenario's own notice: the last listed symbol that still trades, in an hour. Nothing when there is none."""
    trading = [market.instrument.symbol for market in exchange.markets.values() if market.trading]
    if trading:
        announce_delisting(exchange, trading[-1], NOTICE_MS)


def deliver_due(exchange: Exchange) -> None:
    """Settle every symbol whose hour has come."""
    for market in exchange.markets.values():
        if market.trading and market.delivery_ms is not None and market.delivery_ms <= exchange.now_ms:
            _deliver(exchange, market)


def _deliver(exchange: Exchange, market: Market) -> None:
    symbol = market.instrument.symbol
    market.status = InstrumentStatus.SETTLING
    market.depth.closed = True
    price = market.index_price.quantize(market.instrument.tick)
    for account in exchange.accounts.values():
        for order in account.orders_on(symbol):
            close_order(exchange, order, OrderStatus.CANCELED)
        for conditional in list(account.open_conditionals.values()):
            if conditional.terms.symbol == symbol:
                end_conditional(exchange, account, conditional, ConditionalStatus.CANCELED)
        account.countdowns.pop(symbol, None)
        for twap in [twap for twap in account.twaps.values() if twap.terms.symbol == symbol]:
            del account.twaps[twap.twap_id]
        for leg in list(account.legs(symbol)):
            _settle(exchange, account, leg, price)


def _settle(exchange: Exchange, account: Account, leg: Position, price: Decimal) -> None:
    order = forced_order(exchange, account, leg, abs(leg.quantity), price, "settlement_autoclose-")
    quantity = order.quantity
    fill_away_from_book(exchange, account, order, quantity, price, exchange.next_id())
    exchange.street.trade(leg.symbol, Side.SELL if order.side is Side.BUY else Side.BUY, quantity, price)
