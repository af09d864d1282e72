"""Handlers of prices: last, best, mark, and the last twenty-four hours; one object for a symbol, a list for all."""

from __future__ import annotations

from decimal import Decimal

from sandbox.binance.call import Call, Json, money, on_step, on_tick, plain
from sandbox.engine.funding import INTEREST_RATE, funding_rate, next_charge_ms
from sandbox.engine.market import Market
from sandbox.engine.model import ZERO, Side

_DAY_MS = 24 * 3600 * 1000


def premium_index(call: Call) -> object:
    """GET /fapi/v1/premiumIndex: one object for a symbol, a list for all."""
    rows: list[Json] = [
        {
            "symbol": market.instrument.symbol,
            "markPrice": money(market.mark_price),
            "indexPrice": money(market.index_price),
            "estimatedSettlePrice": money(market.index_price),
            "lastFundingRate": money(funding_rate(market)),
            "interestRate": money(INTEREST_RATE),
            "nextFundingTime": next_charge_ms(market, call.exchange.now_ms),
            "time": call.exchange.now_ms,
        }
        for market in call.markets()
    ]
    return _one_or_all(call, rows)


def ticker_24h(call: Call) -> object:
    """GET /fapi/v1/ticker/24hr."""
    return _one_or_all(call, [last_day(call.exchange.now_ms, market) for market in call.markets()])


def ticker_price(call: Call) -> object:
    """GET /fapi/v1/ticker/price and /fapi/v2/ticker/price."""
    rows: list[Json] = [
        {
            "symbol": market.instrument.symbol,
            "price": on_tick(market, market.last_price),
            "time": call.exchange.now_ms,
        }
        for market in call.markets()
    ]
    return _one_or_all(call, rows)


def book_ticker(call: Call) -> object:
    """GET /fapi/v1/ticker/bookTicker."""
    rows: list[Json] = []
    for market in call.markets():
        bid = next(market.levels(Side.BUY), None)
        ask = next(market.levels(Side.SELL), None)
        rows.append(
            {
                "symbol": market.instrument.symbol,
                "bidPrice": on_tick(market, bid.price if bid else ZERO),
                "bidQty": on_step(market, bid.quantity if bid else ZERO),
                "askPrice": on_tick(market, ask.price if ask else ZERO),
                "askQty": on_step(market, ask.quantity if ask else ZERO),
                "time": call.exchange.now_ms,
            }
        )
    return _one_or_all(call, rows)


def _one_or_all(call: Call, rows: list[Json]) -> object:
    return rows[0] if call.params.text("symbol") else rows


def last_day(now_ms: int, market: Market) -> Json:
    """One market's last twenty-four hours, as /ticker/24hr returns them."""
    start_ms = now_ms - _DAY_MS
    candles = [candle for candle in market.candles.minutes if candle.open_ms >= start_ms]
    opening = candles[0].open
    volume = sum((candle.volume for candle in candles), ZERO)
    turnover = sum((candle.turnover for candle in candles), ZERO)
    change = market.last_price - opening
    last = market.tape[-1] if market.tape else None
    return {
        "symbol": market.instrument.symbol,
        "priceChange": on_tick(market, change),
        "priceChangePercent": format((change / opening * 100).quantize(Decimal("0.001")), "f"),
        "weightedAvgPrice": on_tick(market, turnover / volume if volume else market.last_price),
        "lastPrice": on_tick(market, market.last_price),
        "lastQty": on_step(market, last.quantity if last else ZERO),
        "openPrice": on_tick(market, opening),
        "highPrice": on_tick(market, max(candle.high for candle in candles)),
        "lowPrice": on_tick(market, min(candle.low for candle in candles)),
        "volume": on_step(market, volume),
        "quoteVolume": plain(turnover),
        "openTime": candles[0].open_ms,
        "closeTime": now_ms,
        "firstId": market.tape[0].trade_id if market.tape else 0,
        "lastId": last.trade_id if last else 0,
        "count": sum(candle.trades for candle in candles),
    }
