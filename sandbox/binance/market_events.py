"""What happens on a market, as the frames of its streams.

Shapes: Binance USD-M "WebSocket market streams", November 2026. All times are engine time.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sandbox.binance.call import Json, money, on_step, on_tick, plain
from sandbox.binance.tickers import last_day
from sandbox.engine.candles import Candle
from sandbox.engine.events import OrderChanged
from sandbox.engine.funding import funding_rate, next_funding_ms
from sandbox.engine.market import Market, PublicTrade
from sandbox.engine.model import ZERO, Side


def trade_frame(market: Market, trade: PublicTrade, now_ms: int) -> Json:
    """`<symbol>@trade`."""
    return {
        "e": "trade",
        "E": now_ms,
        "T": trade.time_ms,
        "s": market.instrument.symbol,
        "t": trade.trade_id,
        "p": on_tick(market, trade.price),
        "q": on_step(market, trade.quantity),
        "X": "MARKET",
        "m": trade.buyer_is_maker,
    }


def aggregate_trade_frame(market: Market, trade: PublicTrade, now_ms: int) -> Json:
    """`<symbol>@aggTrade`: every trade is its own aggregate."""
    return {
        "e": "aggTrade",
        "E": now_ms,
        "s": market.instrument.symbol,
        "a": trade.trade_id,
        "p": on_tick(market, trade.price),
        "q": on_step(market, trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ms,
        "m": trade.buyer_is_maker,
    }


def mark_price_frame(market: Market, now_ms: int) -> Json:
    """`<symbol>@markPrice`."""
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": market.instrument.symbol,
        "p": money(market.mark_price),
        "i": money(market.index_price),
        "P": money(market.index_price),
        "r": money(funding_rate(market)),
        "T": next_funding_ms(now_ms),
    }


def kline_frame(market: Market, candle: Candle, interval: str, interval_ms: int, now_ms: int, *, closed: bool) -> Json:
    """`<symbol>@kline_<interval>`."""
    symbol = market.instrument.symbol
    content = {"s": symbol} | _candle(market, candle, interval, interval_ms, closed)
    return {"e": "kline", "E": now_ms, "s": symbol, "k": content}


def continuous_kline_frame(
    market: Market, candle: Candle, interval: str, interval_ms: int, now_ms: int, *, closed: bool
) -> Json:
    """`<pair>_perpetual@continuousKline_<interval>`."""
    content = _candle(market, candle, interval, interval_ms, closed)
    return {
        "e": "continuous_kline",
        "E": now_ms,
        "ps": market.instrument.symbol,
        "ct": "PERPETUAL",
        "k": content,
    }


def book_ticker_frame(market: Market, now_ms: int) -> Json:
    """`<symbol>@bookTicker`; the book must have been observed just now."""
    best = {side: next(iter(market.record.book[side].items()), (ZERO, ZERO)) for side in Side}
    return {
        "e": "bookTicker",
        "u": market.record.update_id,
        "E": now_ms,
        "T": now_ms,
        "s": market.instrument.symbol,
        "b": on_tick(market, best[Side.BUY][0]),
        "B": on_step(market, best[Side.BUY][1]),
        "a": on_tick(market, best[Side.SELL][0]),
        "A": on_step(market, best[Side.SELL][1]),
    }


def ticker_frame(market: Market, now_ms: int) -> Json:
    """`<symbol>@ticker`."""
    day = last_day(now_ms, market)
    names = {
        "s": "symbol",
        "p": "priceChange",
        "P": "priceChangePercent",
        "w": "weightedAvgPrice",
        "c": "lastPrice",
        "Q": "lastQty",
        "o": "openPrice",
        "h": "highPrice",
        "l": "lowPrice",
        "v": "volume",
        "q": "quoteVolume",
        "O": "openTime",
        "C": "closeTime",
        "F": "firstId",
        "L": "lastId",
        "n": "count",
    }
    return {"e": "24hrTicker", "E": now_ms} | {short: day[name] for short, name in names.items()}


def mini_ticker_frame(market: Market, now_ms: int) -> Json:
    """`<symbol>@miniTicker`."""
    ticker = ticker_frame(market, now_ms)
    return {"e": "24hrMiniTicker", "E": now_ms} | {name: ticker[name] for name in ("s", "c", "o", "h", "l", "v", "q")}


def depth_frame(
    market: Market,
    now_ms: int,
    levels: Mapping[Side, Mapping[Decimal, Decimal]],
    *,
    first_id: int,
    final_id: int,
    previous_id: int,
) -> Json:
    """`<symbol>@depth…`: changed levels, or the top of the book. `previous_id` is the final one of the frame before."""
    rows = {
        side: [[on_tick(market, price), on_step(market, quantity)] for price, quantity in levels[side].items()]
        for side in Side
    }
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "T": now_ms,
        "s": market.instrument.symbol,
        "U": first_id,
        "u": final_id,
        "pu": previous_id,
        "b": rows[Side.BUY],
        "a": rows[Side.SELL],
    }


def liquidation_frame(market: Market, event: OrderChanged) -> Json:
    """`<symbol>@forceOrder`, from the forced execution that has just been booked."""
    order, fill = event.order, event.fill
    return {
        "e": "forceOrder",
        "E": event.time_ms,
        "o": {
            "s": order.symbol,
            "S": str(order.side),
            "o": str(order.order_type),
            "f": str(order.time_in_force),
            "q": on_step(market, order.quantity),
            "p": on_tick(market, order.price),
            "ap": on_tick(market, order.average_price),
            "X": str(order.status),
            "l": on_step(market, fill.quantity if fill else ZERO),
            "z": on_step(market, order.filled_quantity),
            "T": event.time_ms,
        },
    }


def contract_frame(market: Market, now_ms: int) -> Json:
    """`!contractInfo`: the status of a contract has changed."""
    return {
        "e": "contractInfo",
        "E": now_ms,
        "s": market.instrument.symbol,
        "ps": market.instrument.symbol,
        "ct": "PERPETUAL",
        "cs": str(market.status),
    }


def _candle(market: Market, candle: Candle, interval: str, interval_ms: int, closed: bool) -> Json:
    return {
        "t": candle.open_ms,
        "T": candle.open_ms + interval_ms - 1,
        "i": interval,
        "f": 0,
        "L": 0,
        "o": on_tick(market, candle.open),
        "c": on_tick(market, candle.close),
        "h": on_tick(market, candle.high),
        "l": on_tick(market, candle.low),
        "v": on_step(market, candle.volume),
        "n": candle.trades,
        "x": closed,
        "q": plain(candle.turnover),
        "V": on_step(market, candle.bought),
        "Q": plain(candle.bought_turnover),
        "B": "0",
    }
