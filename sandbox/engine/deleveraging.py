"""Auto-deleveraging: when no fund is left to take over a bankrupt position, the winners on the other side close it.

Rules: Binance support page "What is auto-deleveraging (ADL)": the queue is ordered by profit and leverage, positions
are closed at the bankruptcy price of the liquidated order without a fee, and the symbol's open orders are cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.forced import ADL_CLIENT_ID, fill_away_from_book, forced_order
from sandbox.engine.margin import backing, maintenance_margin, unrealised
from sandbox.engine.matching import close_order
from sandbox.engine.model import ZERO, Order, OrderStatus, Position

# The indicator has five lights: 4 is the front fifth of the queue.
_FIFTHS = 5


@dataclass(frozen=True, slots=True)
class Queued:
    """A leg's place in the queue; `score` is zero without profit, and such a leg is never deleveraged."""

    account: Account
    leg: Position
    score: Decimal


def queue(exchange: Exchange, symbol: str, sign: int) -> list[Queued]:
    """Every leg of a symbol that is long (`sign` 1) or short (-1), the first to be deleveraged first."""
    entries = [
        Queued(account, leg, _score(exchange, account, leg))
        for account in exchange.accounts.values()
        for leg in account.legs(symbol)
        if leg.quantity * sign > 0
    ]
    return sorted(entries, key=lambda entry: (-entry.score, entry.account.name, entry.leg.position_side))


def adl_quantile(exchange: Exchange, leg: Position) -> int:
    """How near a leg is to being deleveraged: 4 in the front fifth of its queue, 0 at the end or without profit."""
    entries = queue(exchange, leg.symbol, 1 if leg.quantity > 0 else -1)
    for place, entry in enumerate(entries):
        if entry.leg is leg:
            return _FIFTHS - 1 - place * _FIFTHS // len(entries) if entry.score > 0 else 0
    return 0


def deleverage(exchange: Exchange, bankrupt: Account, order: Order) -> None:
    """Fill a bankrupt account's liquidation order at its price against the queue; the street closes what is left.

    The street stands for all the customers this exchange does not model, so there always is another side.
    """
    price = order.price
    for entry in queue(exchange, order.symbol, order.side.sign):
        if entry.account is bankrupt or entry.score <= 0:
            continue
        quantity = min(order.leaves_quantity, abs(entry.leg.quantity))
        _close(exchange, entry, quantity, price, bankrupt, order)
        if not order.leaves_quantity:
            return
    rest = order.leaves_quantity
    fill_away_from_book(exchange, bankrupt, order, rest, price, exchange.next_id())
    exchange.street.trade(order.symbol, order.side.opposite, rest, price)


def _close(
    exchange: Exchange, entry: Queued, quantity: Decimal, price: Decimal, bankrupt: Account, order: Order
) -> None:
    for resting in entry.account.orders_on(order.symbol):
        close_order(exchange, resting, OrderStatus.CANCELED)
    trade_id = exchange.next_id()
    other = forced_order(exchange, entry.account, entry.leg, quantity, price, ADL_CLIENT_ID)
    fill_away_from_book(exchange, entry.account, other, quantity, price, trade_id)
    fill_away_from_book(exchange, bankrupt, order, quantity, price, trade_id)


def _score(exchange: Exchange, account: Account, leg: Position) -> Decimal:
    """Profit over collateral times margin ratio, the ratio being maintenance margin over collateral."""
    collateral = backing(exchange, account, leg)
    if collateral <= 0:
        return ZERO
    profit = max(ZERO, unrealised(exchange, leg))
    return profit / collateral * (maintenance_margin(exchange, leg) / collateral)
