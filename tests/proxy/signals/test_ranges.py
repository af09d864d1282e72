"""Price ranges over windows: exact, forgotten after a gap, and filled from candles so that nothing is too narrow."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.ranges import MinuteCandle, PriceWatch
from rules.facts import PRICE_WINDOWS_S
from tests.rules.builders import NOW


def after(seconds: float):
    return NOW + timedelta(seconds=seconds)


def watched(prices: list[tuple[float, str]]) -> PriceWatch:
    watch = PriceWatch()
    for seconds, price in prices:
        watch.note(after(seconds), Decimal(price))
    return watch


def ranges(watch: PriceWatch, seconds: float) -> dict[int, tuple[str, str]]:
    return {each.window_s: (str(each.low), str(each.high)) for each in watch.ranges(after(seconds))}


def every_ten_seconds(seconds: int, price: str = "100") -> list[tuple[float, str]]:
    return [(float(at), price) for at in range(0, seconds + 1, 10)]


def test_a_window_is_known_once_it_has_been_watched_whole():
    assert ranges(watched(every_ten_seconds(50)), 59) == {}
    assert ranges(watched(every_ten_seconds(60)), 60) == {60: ("100", "100")}
    assert set(ranges(watched(every_ten_seconds(3600)), 3600)) == set(PRICE_WINDOWS_S)


def test_each_window_has_its_own_extremes():
    prices = dict(every_ten_seconds(400)) | {10.0: "90", 200.0: "120", 390.0: "105"}
    assert ranges(watched(sorted(prices.items())), 400) == {60: ("100", "105"), 300: ("100", "120")}


def test_an_extreme_is_in_the_window_to_its_last_moment_and_no_longer():
    prices = dict(every_ten_seconds(110)) | {50.0: "80"}
    watch = watched(sorted(prices.items()))
    assert ranges(watch, 110) == {60: ("80", "100")}
    assert ranges(watch, 110.001) == {60: ("100", "100")}


def test_a_range_is_as_of_the_last_mark_and_not_of_the_moment_it_is_told():
    watch = watched(every_ten_seconds(60))
    assert [each.as_of for each in watch.ranges(after(75))] == [after(60)]


def test_after_a_gap_nothing_is_known_until_it_has_been_watched_again():
    watch = watched(every_ten_seconds(100))
    assert ranges(watch, 130) != {}
    assert ranges(watch, 131) == {}
    watch.note(after(140), Decimal(50))
    assert ranges(watch, 140) == {}
    for at in range(150, 201, 10):
        watch.note(after(at), Decimal(50))
    assert ranges(watch, 200) == {60: ("50", "50")}


def test_a_price_of_the_past_changes_nothing():
    watch = watched(every_ten_seconds(100))
    watch.note(after(100), Decimal(1))
    watch.note(after(80), Decimal(1))
    assert ranges(watch, 100) == {60: ("100", "100")}


def test_a_clock_that_was_set_back_is_a_gap():
    watch = watched([(at + 7_200, price) for at, price in every_ten_seconds(100)])
    watch.note(after(0), Decimal(50))
    assert ranges(watch, 0) == {}
    for at in range(10, 61, 10):
        watch.note(after(at), Decimal(50))
    assert ranges(watch, 60) == {60: ("50", "50")}


def candles(*prices: tuple[str, str], newest_ms: int = 1_000_000 * 60_000) -> list[MinuteCandle]:
    first_ms = newest_ms - (len(prices) - 1) * 60_000
    return [MinuteCandle(first_ms + n * 60_000, Decimal(low), Decimal(high)) for n, (low, high) in enumerate(prices)]


def test_candles_fill_the_past_at_once():
    watch = PriceWatch()
    watch.fill(NOW, candles(*[("99", "101")] * 50, ("95", "103"), *[("99", "101")] * 11))
    assert watch.whole(NOW)
    assert ranges(watch, 0) == {60: ("99", "101"), 300: ("99", "101"), 3600: ("95", "103")}


def test_what_candles_do_not_cover_stays_unknown():
    watch = PriceWatch()
    watch.fill(NOW, candles(*[("99", "101")] * 6))
    assert set(ranges(watch, 0)) == {60, 300}
    assert not watch.whole(NOW)


def test_an_extreme_of_a_candle_counts_for_its_whole_minute_rather_than_too_short():
    """The last closed minute may have had its low in its last second, a second before now."""
    watch = PriceWatch()
    watch.fill(NOW, candles(("99", "101"), ("99", "101"), ("80", "101"), ("99", "101")))
    assert ranges(watch, 0)[60] == ("80", "101")


def test_marks_go_on_after_the_candles_and_marks_heard_meanwhile_are_not_lost():
    watch = watched([(0, "100"), (1, "130"), (2, "100")])
    watch.fill(after(0), candles(*[("99", "101")] * 62))
    assert ranges(watch, 2)[60] == ("99", "130")
    watch.note(after(4), Decimal(90))
    assert ranges(watch, 4)[3600] == ("90", "130")


def test_no_candles_change_nothing():
    watch = watched(every_ten_seconds(100))
    watch.fill(after(100), [])
    assert ranges(watch, 100) == {60: ("100", "100")}


@given(st.lists(st.tuples(st.floats(0.5, 29), st.integers(1, 1000)), min_size=3, max_size=300))
def test_every_range_is_that_of_the_prices_in_its_window(steps: list[tuple[float, int]]):
    watch, heard, at = PriceWatch(), [], 0.0
    for pause, price in steps:
        at += pause
        watch.note(after(at), Decimal(price))
        heard.append((after(at), Decimal(price)))
    for found in watch.ranges(after(at)):
        inside = [price for moment, price in heard if moment >= after(at) - timedelta(seconds=found.window_s)]
        assert (found.low, found.high) == (min(inside), max(inside))


@pytest.mark.parametrize("direction", [1, -1])
def test_an_hour_of_one_direction_stays_within_bounds(direction: int):
    watch = PriceWatch()
    for n in range(10_000):
        watch.note(after(2 * n), Decimal(1_000_000 + direction * n))
    assert len(watch._lows) + len(watch._highs) <= 1_802
