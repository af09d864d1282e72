"""The invented past of a market: a day of candles in which its symbols have moved together, and quiet funding."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from sandbox.engine.candles import MINUTES_KEPT
from sandbox.engine.exchange import Exchange
from sandbox.engine.history import FIXINGS_INVENTED, invent_history
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.scenario import Scenario
from tests.sandbox.conftest import START_MS


def an_exchange(scenario: Scenario) -> Exchange:
    built = Exchange(DEFAULT_INSTRUMENTS, seed=7, scenario=scenario, now_ms=START_MS)
    invent_history(built)
    return built


def returns(exchange: Exchange, symbol: str) -> list[float]:
    closes = [float(candle.close) for candle in exchange.market(symbol).candles.minutes]
    return [math.log(later / earlier) for earlier, later in pairwise(closes)]


def correlation(one: list[float], other: list[float]) -> float:
    squares = math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / squares


def test_symbols_have_moved_together_as_they_go_on_to() -> None:
    """Two of them share 0.8 of each shock, so they correlate by 0.64."""
    exchange = an_exchange(Scenario.CALM)
    found = correlation(returns(exchange, "BTCUSDT"), returns(exchange, "SOLUSDT"))
    assert found == pytest.approx(0.64, abs=0.06)


def test_the_past_ends_at_the_present_price_and_has_moved_as_much_as_the_symbol_does() -> None:
    exchange = an_exchange(Scenario.CALM)
    market = exchange.market("BTCUSDT")
    assert len(market.candles.minutes) == MINUTES_KEPT
    assert market.candles.minutes[-1].close == market.last_price
    moved = returns(exchange, "BTCUSDT")
    hourly = math.sqrt(60 * sum(each * each for each in moved) / len(moved))
    assert hourly == pytest.approx(float(market.instrument.volatility_per_year) / math.sqrt(365 * 24), rel=0.1)


def test_a_flat_past_is_flat_and_every_past_has_quiet_funding() -> None:
    exchange = an_exchange(Scenario.FLAT)
    assert set(returns(exchange, "BTCUSDT")) == {0.0}
    assert len(exchange.market("BTCUSDT").fixings) == FIXINGS_INVENTED
