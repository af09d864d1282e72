"""TWAP orders: they rest nowhere and trade by themselves, a piece a minute, until their quantity or their time is up.

Venues keep them apart from plain and conditional orders. Whoever cancels those alone has not stopped trading.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from sandbox.engine.account import Account
from sandbox.engine.checks import check_position_side, check_quantity, check_tick, check_trading
from sandbox.engine.exchange import Exchange
from sandbox.engine.model import NewOrder, OrderType
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.trading import place
from sandbox.engine.twap_order import NewTwap, TwapOrder

PIECE_EVERY_MS = 60_000
TWAPS_MAX = 30
# What the whole order must be worth, in quote currency (Binance "Time-Weighted Average Price New Order").
NOTIONAL_MIN = Decimal(1_000)
NOTIONAL_MAX = Decimal(1_000_000)


def start_twap(exchange: Exchange, account: Account, new: NewTwap) -> TwapOrder:
    """Accept a TWAP; its first piece goes with the next step. Errors: `Rejected`, then nothing has changed."""
    market = exchange.market(new.symbol)
    check_trading(market)
    check_position_side(account, new.position_side, new.reduce_only)
    if new.quantity <= 0:
        raise Rejected(Reason.QUANTITY_NOT_POSITIVE)
    if new.limit_price is not None:
        check_tick(market.instrument, new.limit_price)
    notional = new.quantity * market.mark_price
    if notional < NOTIONAL_MIN:
        raise Rejected(Reason.TWAP_TOO_SMALL)
    if notional > NOTIONAL_MAX:
        raise Rejected(Reason.TWAP_TOO_LARGE)
    check_quantity(market.instrument, _piece_quantity(exchange, new), market_order=new.limit_price is None)
    if len(account.twaps) >= TWAPS_MAX:
        raise Rejected(Reason.TOO_MANY_ORDERS)
    twap = TwapOrder(twap_id=exchange.next_id(), terms=new, created_ms=exchange.now_ms, due_ms=exchange.now_ms)
    account.twaps[twap.twap_id] = twap
    return twap


def stop_twap(account: Account, twap_id: int) -> TwapOrder:
    """End a TWAP; pieces of it that rest stay. `Rejected(UNKNOWN_ORDER)` when it does not work (any more)."""
    twap = account.twaps.pop(twap_id, None)
    if twap is None:
        raise Rejected(Reason.UNKNOWN_ORDER)
    return twap


def work_twaps(exchange: Exchange) -> None:
    """Place every piece that is due, and end what is done."""
    for account in exchange.accounts.values():
        for twap in list(account.twaps.values()):
            if twap.due_ms > exchange.now_ms:
                continue
            twap.due_ms = exchange.now_ms + PIECE_EVERY_MS
            _place_piece(exchange, account, twap)
            if twap.placed_quantity >= twap.terms.quantity or _time_is_up(exchange, twap):
                del account.twaps[twap.twap_id]


def _place_piece(exchange: Exchange, account: Account, twap: TwapOrder) -> None:
    terms = twap.terms
    quantity = min(_piece_quantity(exchange, terms), terms.quantity - twap.placed_quantity)
    new = NewOrder(
        symbol=terms.symbol,
        side=terms.side,
        order_type=OrderType.MARKET if terms.limit_price is None else OrderType.LIMIT,
        quantity=quantity,
        price=terms.limit_price,
        position_side=terms.position_side,
        reduce_only=terms.reduce_only,
    )
    try:
        twap.pieces.append(place(exchange, account, new))
    except Rejected:
        return  # The venue leaves a piece out that it cannot place; the next one may fit again.


def _piece_quantity(exchange: Exchange, new: NewTwap) -> Decimal:
    step = exchange.market(new.symbol).instrument.lot_step
    pieces = max(1, new.duration_ms // PIECE_EVERY_MS)
    return max(step, (new.quantity / pieces / step).to_integral_value(ROUND_FLOOR) * step)


def _time_is_up(exchange: Exchange, twap: TwapOrder) -> bool:
    return exchange.now_ms >= twap.created_ms + twap.terms.duration_ms
