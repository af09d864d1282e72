"""Candles of minutes as the venue gives them: again, overlapping, with gaps."""

from __future__ import annotations

from decimal import Decimal

from proxy.exchange.market_payloads import Candle
from proxy.signals.minute_moves import MINUTE_MS, MinuteMoves


def candles(first: int, last: int) -> list[Candle]:
    return [
        Candle(n * MINUTE_MS, low=Decimal(100), high=Decimal(100) + Decimal(n % 7) / 10, close=Decimal(100))
        for n in range(first, last)
    ]


def test_what_overlaps_is_taken_once():
    once, twice = MinuteMoves(), MinuteMoves()
    once.take(candles(0, 60))
    for first in (0, 0, 20):
        twice.take(candles(first, first + 40))
    assert twice.forecaster.state() == once.forecaster.state()
    assert once.forecaster.samples == 60


def test_minutes_that_are_missing_are_a_gap():
    gapped, told = MinuteMoves(), MinuteMoves()
    gapped.take(candles(0, 30) + candles(31, 60))
    told.take(candles(0, 30))
    told.forecaster.gap()
    told.take(candles(31, 60))
    assert gapped.forecaster.state() == told.forecaster.state()


async def test_the_first_many_are_taken_as_any_are():
    warmed, fed = MinuteMoves(), MinuteMoves()
    assert warmed.is_new
    await warmed.warm(candles(0, 400))
    fed.take(candles(0, 400))
    assert not warmed.is_new
    assert warmed.forecaster.state() == fed.forecaster.state()
