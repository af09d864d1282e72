"""Hourly volatility: known answers, what is too little to tell, and that it follows the market and not its scale."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.volatility import BARS_AN_HOUR, hourly_volatility

HOUR = BARS_AN_HOUR


def alternating(size: float, bars: int) -> list[float]:
    return [size if n % 2 else -size for n in range(bars)]


def test_returns_of_one_size_have_that_size_times_the_root_of_twelve():
    found = hourly_volatility(alternating(0.001, 30 * HOUR))
    assert found.now == pytest.approx(0.001 * math.sqrt(12))
    assert found.usual == pytest.approx(0.001 * math.sqrt(12))


def test_a_flat_price_has_no_volatility_and_is_known():
    found = hourly_volatility([0.0] * 30 * HOUR)
    assert (found.now, found.usual) == (0.0, 0.0)


def test_known_answer_half_an_hour_after_the_price_began_to_move():
    """Six bars are the first average's half-life: it is half way, the others a twelfth of that and less."""
    found = hourly_volatility([0.0] * 24 * HOUR + alternating(0.01, 6))
    averages = [0.01**2 * (1 - 0.5 ** (0.5 / half_life_h)) for half_life_h in (0.5, 4, 24)]
    assert found.now == pytest.approx(math.sqrt(12 * sum(averages) / 3))


@pytest.mark.parametrize(("bars", "known"), [(0, False), (2 * HOUR - 1, False), (2 * HOUR, True)])
def test_there_is_an_estimate_from_two_hours_on(bars: int, known: bool):
    assert (hourly_volatility(alternating(0.001, bars)).now is not None) is known


@pytest.mark.parametrize(("bars", "known"), [(24 * HOUR, False), (24 * HOUR + 1, True)])
def test_a_day_of_estimates_is_needed_to_call_one_usual(bars: int, known: bool):
    """The first estimate comes after the first hour, so the twenty-fourth one bar after a day."""
    assert (hourly_volatility(alternating(0.001, bars)).usual is not None) is known


def test_a_storm_raises_now_and_hardly_the_usual():
    calm = hourly_volatility(alternating(0.001, 72 * HOUR))
    storm = hourly_volatility(alternating(0.001, 71 * HOUR) + alternating(0.02, HOUR))
    assert storm.now > 5 * calm.now
    assert storm.usual == pytest.approx(calm.usual)


def test_the_estimate_of_random_returns_is_their_own_volatility():
    source = random.Random(7)
    found = hourly_volatility([source.gauss(0, 0.002) for _ in range(7 * 24 * HOUR)])
    assert found.now == pytest.approx(0.002 * math.sqrt(12), rel=0.25)
    assert found.usual == pytest.approx(0.002 * math.sqrt(12), rel=0.1)


@given(st.lists(st.floats(-0.2, 0.2), min_size=24, max_size=400), st.floats(0.1, 10))
def test_it_is_never_below_nothing_nor_above_the_largest_return_and_scales(returns: list[float], scale: float):
    found = hourly_volatility(returns).now
    assert found is not None
    assert 0 <= found <= max(map(abs, returns)) * math.sqrt(12) * (1 + 1e-9)
    assert hourly_volatility([each * scale for each in returns]).now == pytest.approx(found * scale, abs=1e-12)
