"""Handlers of candles: trade, mark and index prices, and the open-interest history that is drawn beside them."""

from __future__ import annotations

from sandbox.binance.call import Call, Json, money, on_step, on_tick, plain
from sandbox.binance.errors import VenueError
from sandbox.binance.market_data import open_interest_of
from sandbox.engine.candles import Candle, CandleSeries
from sandbox.engine.market import Market

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
INTERVALS_MS = {
    **{f"{minutes}m": minutes * _MINUTE for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}h": hours * _HOUR for hours in (1, 2, 4, 6, 8, 12)},
    **{f"{days}d": days * 24 * _HOUR for days in (1, 3)},
    "1w": 7 * 24 * _HOUR,
    "1M": 30 * 24 * _HOUR,
}


def klines(call: Call) -> list[list[object]]:
    """GET /fapi/v1/klines."""
    market = call.market()
    return _klines(call, market, market.candles)


def mark_price_klines(call: Call) -> list[list[object]]:
    """GET /fapi/v1/markPriceKlines."""
    market = call.market()
    return _klines(call, market, market.mark_candles)


def index_price_klines(call: Call) -> list[list[object]]:
    """GET /fapi/v1/indexPriceKlines; named by pair."""
    market = call.market("pair")
    return _klines(call, market, market.index_candles)


def open_interest_history(call: Call) -> list[Json]:
    """GET /futures/data/openInterestHist: today's figure valued at past closes."""
    market = call.market()
    interval_ms = _interval(call.params.required("period"))
    held = open_interest_of(call, market)
    return [
        {
            "symbol": market.instrument.symbol,
            "sumOpenInterest": money(held),
            "sumOpenInterestValue": money(held * candle.close),
            "timestamp": candle.open_ms,
        }
        for candle in market.candles.every(interval_ms)[-call.limit(30, 500) :]
    ]


def _interval(name: str) -> int:
    interval_ms = INTERVALS_MS.get(name)
    if interval_ms is None:
        raise VenueError(-1120, "Invalid interval.")
    return interval_ms


def _klines(call: Call, market: Market, series: CandleSeries) -> list[list[object]]:
    interval_ms = _interval(call.params.required("interval"))
    since = call.params.integer("startTime")
    until = call.params.integer("endTime")
    rows = [
        candle
        for candle in series.every(interval_ms)
        if (since is None or candle.open_ms >= since) and (until is None or candle.open_ms <= until)
    ]
    limit = call.limit(500, 1500)
    return [_kline(market, candle, interval_ms) for candle in (rows[-limit:] if since is None else rows[:limit])]


def _kline(market: Market, candle: Candle, interval_ms: int) -> list[object]:
    return [
        candle.open_ms,
        on_tick(market, candle.open),
        on_tick(market, candle.high),
        on_tick(market, candle.low),
        on_tick(market, candle.close),
        on_step(market, candle.volume),
        candle.open_ms + interval_ms - 1,
        plain(candle.turnover),
        candle.trades,
        on_step(market, candle.bought),
        plain(candle.bought_turnover),
        "0",
    ]
