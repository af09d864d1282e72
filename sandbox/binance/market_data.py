"""Handlers of public market data: book, tape, funding and open interest."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

from sandbox.binance.call import Call, Json, money, on_step, on_tick, plain
from sandbox.engine.funding import FUNDING_CAP
from sandbox.engine.market import Market
from sandbox.engine.model import ZERO, Side


def depth(call: Call) -> Json:
    """GET /fapi/v1/depth: a snapshot that the next event of a depth stream continues."""
    market = call.market()
    limit = call.limit(500, 1000)
    market.record.observe(market.levels)
    return {
        "lastUpdateId": market.record.mark(),
        "E": call.exchange.now_ms,
        "T": call.exchange.now_ms,
        "bids": _levels(market, Side.BUY, limit),
        "asks": _levels(market, Side.SELL, limit),
    }


def trades(call: Call) -> list[Json]:
    """GET /fapi/v1/trades."""
    market = call.market()
    return [
        {
            "id": trade.trade_id,
            "price": on_tick(market, trade.price),
            "qty": on_step(market, trade.quantity),
            "quoteQty": plain(trade.price * trade.quantity),
            "time": trade.time_ms,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        for trade in list(market.tape)[-call.limit(500, 1000) :]
    ]


def agg_trades(call: Call) -> list[Json]:
    """GET /fapi/v1/aggTrades: every trade is its own aggregate."""
    market = call.market()
    from_id = call.params.integer("fromId") or 0
    since = call.params.integer("startTime") or 0
    until = call.params.integer("endTime")
    rows = [
        trade
        for trade in market.tape
        if trade.trade_id >= from_id and trade.time_ms >= since and (until is None or trade.time_ms <= until)
    ]
    limit = call.limit(500, 1000)
    return [
        {
            "a": trade.trade_id,
            "p": on_tick(market, trade.price),
            "q": on_step(market, trade.quantity),
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": trade.time_ms,
            "m": trade.buyer_is_maker,
        }
        for trade in (rows[:limit] if from_id or since else rows[-limit:])
    ]


def funding_rates(call: Call) -> list[Json]:
    """GET /fapi/v1/fundingRate: rates charged so far, oldest first."""
    since = call.params.integer("startTime") or 0
    rows = [
        (fixing.time_ms, market.instrument.symbol, fixing)
        for market in call.markets()
        for fixing in market.fixings
        if fixing.time_ms >= since
    ]
    rows.sort(key=lambda row: row[:2])
    return [
        {
            "symbol": symbol,
            "fundingTime": time_ms,
            "fundingRate": money(fixing.rate),
            "markPrice": money(fixing.mark_price),
        }
        for time_ms, symbol, fixing in rows[-call.limit(100, 1000) :]
    ]


def funding_info(call: Call) -> list[Json]:
    """GET /fapi/v1/fundingInfo."""
    return [
        {
            "symbol": market.instrument.symbol,
            "adjustedFundingRateCap": money(FUNDING_CAP),
            "adjustedFundingRateFloor": money(-FUNDING_CAP),
            "fundingIntervalHours": 8,
            "disclaimer": False,
        }
        for market in call.markets()
    ]


def open_interest(call: Call) -> Json:
    """GET /fapi/v1/openInterest: an invented base figure plus the accounts' positions."""
    market = call.market()
    return {
        "openInterest": on_step(market, open_interest_of(call, market)),
        "symbol": market.instrument.symbol,
        "time": call.exchange.now_ms,
    }


def _levels(market: Market, side: Side, limit: int) -> list[list[str]]:
    return [
        [on_tick(market, level.price), on_step(market, level.quantity)] for level in islice(market.levels(side), limit)
    ]


def open_interest_of(call: Call, market: Market) -> Decimal:
    """Open interest in base units: an invented base figure plus the accounts' positions."""
    accounts = call.exchange.accounts.values()
    held = (abs(leg.quantity) for account in accounts for leg in account.legs(market.instrument.symbol))
    return market.open_interest_base + sum(held, ZERO)
