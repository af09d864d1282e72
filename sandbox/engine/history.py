"""A past for a market that has just been opened: a day of one-minute candles and a month of quiet funding."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sandbox.engine.candles import MINUTE_MS, MINUTES_KEPT
from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import FUNDING_INTERVAL_MS, INTEREST_RATE, next_funding_ms
from sandbox.engine.market import FundingFixing, Market
from sandbox.engine.scenario import CALM, STEP_MS, Scenario, Weather, moved, shock

FIXINGS_INVENTED = 90


def invent_history(exchange: Exchange) -> None:
    """Give every market `MINUTES_KEPT` candles that end at its present price (flat if the scenario is) and fixings."""
    # A minute's standard deviation is the square root of its steps times a step's.
    minute_volatility = (Decimal(MINUTE_MS) / STEP_MS).sqrt()
    terms = None if exchange.scenario is Scenario.FLAT else replace(CALM, volatility=minute_volatility)
    # What all symbols have in common, minute by minute, so that they have moved together as they will.
    common = [shock(exchange.chance) for _ in range(MINUTES_KEPT - 1)]
    for market in exchange.markets.values():
        _invent_candles(exchange, market, common, terms)
        latest_ms = next_funding_ms(exchange.now_ms) - FUNDING_INTERVAL_MS
        for back in reversed(range(FIXINGS_INVENTED)):
            time_ms = latest_ms - back * FUNDING_INTERVAL_MS
            market.fixings.append(FundingFixing(time_ms, INTEREST_RATE, market.mark_price))


def _invent_candles(exchange: Exchange, market: Market, common: list[Decimal], terms: Weather | None) -> None:
    instrument = market.instrument
    closes = [market.index_price]
    for together in common:
        earlier = closes[-1]
        if terms is not None:
            earlier = moved(earlier, instrument.volatility_per_year, together, shock(exchange.chance), terms)
        closes.append(earlier)
    closes.reverse()

    for series in (market.candles, market.mark_candles, market.index_candles):
        series.minutes.clear()
    first_ms = exchange.now_ms - exchange.now_ms % MINUTE_MS - (MINUTES_KEPT - 1) * MINUTE_MS
    for minute, close in enumerate(closes):
        time_ms = first_ms + minute * MINUTE_MS
        price = close.quantize(instrument.tick)
        quantity = instrument.depth_quantity * (1 + exchange.chance.getrandbits(4))
        market.candles.add_trade(time_ms, price, quantity, buyer_is_taker=bool(exchange.chance.getrandbits(1)))
        market.mark_candles.touch(time_ms, close)
        market.index_candles.touch(time_ms, close)
