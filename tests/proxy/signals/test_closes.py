"""Five-minute closes: in order, without gaps, bounded."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from proxy.exchange.market_payloads import Candle
from proxy.signals.closes import BAR_MS, BARS_KEPT, HOUR_MS, Closes

DAY_MS = 1_795_478_400_000


def candles(first: int, *closes: float) -> list[Candle]:
    """Candles from the ``first`` five minutes of the day on."""
    return [
        Candle(DAY_MS + (first + n) * BAR_MS, low=Decimal(1), high=Decimal(9), close=Decimal(str(close)))
        for n, close in enumerate(closes)
    ]


def test_returns_are_logarithms_of_successive_closes():
    closes = Closes()
    assert closes.take(candles(0, 100, 110, 99))
    assert closes.returns() == pytest.approx([math.log(1.1), math.log(0.9)])


def test_what_is_here_already_changes_nothing_and_what_is_new_is_added_at_either_end():
    closes = Closes()
    closes.take(candles(2, 3, 4))
    assert not closes.take(candles(2, 8, 9))
    assert closes.take(candles(3, 4, 5))
    assert closes.take(candles(0, 1, 2))
    assert closes.first_ms == DAY_MS
    assert closes.returns() == pytest.approx([math.log(b / a) for a, b in ((1, 2), (2, 3), (3, 4), (4, 5))])


def test_of_two_parts_with_a_gap_between_them_the_later_stays():
    closes = Closes()
    closes.take(candles(0, 1, 2))
    assert not closes.joins(candles(3, 4, 5))
    assert closes.joins(candles(2, 3))
    closes.take(candles(3, 4, 5))
    assert closes.returns() == pytest.approx([math.log(5 / 4)])


def test_nothing_is_joined_by_anything_and_something_not_by_nothing():
    closes = Closes()
    assert closes.joins(candles(7, 1))
    closes.take(candles(0, 1))
    assert not closes.joins([])


def test_hourly_returns_are_between_full_hours_and_end_at_the_last_one():
    """Bars 11, 23 and 35 end at full hours; bar 37 belongs to an hour that is not over."""
    closes = Closes()
    closes.take(candles(5, *range(105, 138)))
    assert closes.hour_ms == DAY_MS + 3 * HOUR_MS
    assert closes.hourly_returns(DAY_MS + 3 * HOUR_MS) == pytest.approx([math.log(123 / 111), math.log(135 / 123)])
    assert closes.hourly_returns(DAY_MS + 3 * HOUR_MS - 1) == pytest.approx([math.log(123 / 111)])


def test_before_a_full_hour_there_is_none():
    closes = Closes()
    closes.take(candles(0, 1, 2))
    assert (closes.hour_ms, closes.hourly_returns(DAY_MS)) == (None, [])
    assert (Closes().first_ms, Closes().returns()) == (None, [])


def test_a_week_is_kept():
    closes = Closes()
    closes.take(candles(0, *([1.0] * (BARS_KEPT + 5))))
    assert len(closes.returns()) == BARS_KEPT - 1
    assert closes.first_ms == DAY_MS + 5 * BAR_MS
