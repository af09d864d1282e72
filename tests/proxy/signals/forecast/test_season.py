"""The hour of the week: it finds the clock of a market, and its factors ahead are what is ahead."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proxy.signals.forecast.season import HOURS_A_WEEK, MONDAY, HourOfWeek


def taught(value, weeks: int) -> HourOfWeek:
    clock = HourOfWeek(np.zeros((2, 24)))
    for hour in range(MONDAY, MONDAY + HOURS_A_WEEK * weeks):
        clock.learn(hour, value(hour))
    return clock


def loud_at_nine(hour: int) -> float:
    return -10.0 + (1.0 if hour % 24 == 9 else 0.0)


def quiet_weekends(hour: int) -> float:
    return -10.0 - (1.0 if (hour - MONDAY) % HOURS_A_WEEK >= 120 else 0.0)


def test_a_loud_hour_is_found_and_the_others_are_left():
    clock = taught(loud_at_nine, weeks=40)
    monday = MONDAY + 400 * HOURS_A_WEEK
    assert clock.excess(monday + 9) - clock.excess(monday + 15) == pytest.approx(1.0, abs=0.1)
    assert clock.excess(monday + 14) == pytest.approx(clock.excess(monday + 15), abs=0.05)


def test_weekends_are_told_from_weekdays():
    clock = taught(quiet_weekends, weeks=40)
    monday = MONDAY + 400 * HOURS_A_WEEK
    assert clock.excess(monday + 5 * 24 + 12) - clock.excess(monday + 12) == pytest.approx(-1.0, abs=0.2)


def test_the_hours_ahead_are_those_after_this_one():
    clock = taught(loud_at_nine, weeks=40)
    eight = MONDAY + 400 * HOURS_A_WEEK + 8
    one, two = clock.log_factors_ahead(eight, np.array([1, 2]))
    expected = [math.exp(clock.excess(eight + n)) for n in (1, 2)]
    assert math.exp(one) == pytest.approx(expected[0])
    assert math.exp(two) == pytest.approx(sum(expected) / 2)


def test_a_market_without_a_clock_has_none():
    source = np.random.default_rng(3)
    clock = taught(lambda _: source.normal(-9.0, 0.8), weeks=60)
    assert max(abs(clock.excess(MONDAY + n)) for n in range(HOURS_A_WEEK)) < 0.5
