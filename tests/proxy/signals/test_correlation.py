"""Correlations: known answers, bounds, no order of symbols, and what is too little to tell."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.correlation import HOURS_NEEDED, correlations


def gaussian(source: random.Random, hours: int, common: list[float] | None = None, share: float = 0.0) -> list[float]:
    """Hourly returns that share ``share`` (a correlation with the common factor) with ``common``."""
    own = math.sqrt(1 - share * share)
    shared = common or [0.0] * hours
    return [0.01 * (share * together + own * source.gauss(0, 1)) for together in shared]


def a_market(share: float, symbols: int = 8, hours: int = 168, seed: int = 3) -> dict[str, list[float]]:
    source = random.Random(seed)
    common = [source.gauss(0, 1) for _ in range(hours)]
    return {f"S{n}USDT": gaussian(source, hours, common, share) for n in range(symbols)}


def test_the_same_returns_correlate_fully_and_opposite_ones_fully_the_other_way():
    series = gaussian(random.Random(1), 100)
    assert correlations({"A": series, "B": series}) == {("A", "B"): pytest.approx(1.0)}
    assert correlations({"A": series, "B": [-each for each in series]}) == {("A", "B"): pytest.approx(-1.0)}


def test_the_size_of_the_moves_does_not_matter():
    series = gaussian(random.Random(1), 100)
    assert correlations({"A": series, "B": [7 * each for each in series]})[("A", "B")] == pytest.approx(1.0)


def test_independent_symbols_hardly_correlate():
    found = correlations(a_market(0.0))
    assert len(found) == 28
    assert all(abs(rho) < 0.15 for rho in found.values())


def test_symbols_with_one_factor_are_all_drawn_to_its_correlation():
    """All pairs are alike, so their differences are noise: what remains is the mean, 0.8 squared."""
    found = correlations(a_market(0.8))
    assert all(rho == pytest.approx(0.64, abs=0.1) for rho in found.values())
    assert max(found.values()) - min(found.values()) < 0.02


def test_pairs_that_really_differ_keep_their_difference():
    source = random.Random(5)
    one, other = ([source.gauss(0, 1) for _ in range(168)] for _ in range(2))
    groups = {f"A{n}": gaussian(source, 168, one, 0.95) for n in range(4)}
    groups |= {f"B{n}": gaussian(source, 168, other, 0.95) for n in range(4)}
    found = correlations(groups)
    inside = [rho for (left, right), rho in found.items() if left[0] == right[0]]
    across = [rho for (left, right), rho in found.items() if left[0] != right[0]]
    assert min(inside) > 0.75
    assert max(map(abs, across)) < 0.3


def test_one_wild_hour_does_not_decide_for_a_week():
    """Both fall by half in one hour; without a scale of their own that hour would make them nearly one."""
    source = random.Random(2)
    one, other = gaussian(source, 168), gaussian(source, 168)
    one[100] = other[100] = -0.7
    assert abs(correlations({"A": one, "B": other})[("A", "B")]) < 0.4


def test_a_younger_symbol_is_compared_over_the_hours_both_have():
    series = gaussian(random.Random(1), 168)
    other = gaussian(random.Random(2), 168)
    found = correlations({"A": series, "B": other, "C": series[-HOURS_NEEDED:]})
    assert set(found) == {("A", "B"), ("A", "C"), ("B", "C")}


def test_too_few_common_hours_are_not_known():
    series = gaussian(random.Random(1), 168)
    assert correlations({"A": series, "B": series[-HOURS_NEEDED + 1 :]}) == {}
    assert correlations({"A": series, "B": series[-HOURS_NEEDED:]}) != {}


@pytest.mark.parametrize("returns", [{}, {"A": [0.01] * 50}, {"A": [], "B": []}])
def test_without_a_pair_there_is_nothing(returns: dict[str, list[float]]):
    assert correlations(returns) == {}


def test_a_price_that_has_not_moved_has_no_correlation():
    series = gaussian(random.Random(1), 100)
    found = correlations({"A": series, "B": [0.0] * 100, "C": [2 * each for each in series]})
    assert set(found) == {("A", "C")}


returns_of_four = st.lists(
    st.lists(st.floats(-0.5, 0.5, allow_subnormal=False), min_size=24, max_size=40), min_size=2, max_size=4
)


@given(returns_of_four, st.randoms(use_true_random=False))
def test_bounds_hold_and_the_order_of_symbols_does_not_matter(series: list[list[float]], source: random.Random):
    named = {f"S{n}": each for n, each in enumerate(series)}
    shuffled = list(named.items())
    source.shuffle(shuffled)
    found = correlations(named)
    assert all(-1 <= rho <= 1 for rho in found.values())
    assert all(one < other for one, other in found)
    assert correlations(dict(shuffled)) == found
