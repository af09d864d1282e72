"""Tails and unions keep to their bounds, are monotone, and are about right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.tails import LEAST, exceedance, union


def test_a_pareto_tail_is_continued_beyond_what_was_seen():
    chance = np.random.default_rng(3)
    sample = chance.pareto(3.0, 4_000)
    truth = (1 + 40.0) ** -3.0  # 1 in 69,000: a sample of 4,000 has hardly seen it.
    assert truth / 4 < exceedance(sample, 40.0) < truth * 6


def test_within_the_sample_it_is_what_was_counted():
    sample = np.arange(1_000, dtype=float)
    assert exceedance(sample, 700.0) == pytest.approx(0.3, abs=0.001)


@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=8))
def test_it_falls_as_the_level_rises_and_is_never_certain(sample, levels):
    found = [exceedance(np.array(sample), level) for level in sorted(levels)]
    assert found == sorted(found, reverse=True)
    assert all(LEAST <= each <= 1 - LEAST for each in found)


def test_a_sample_that_never_moved_says_least():
    assert exceedance(np.zeros(500), 1.0) == LEAST


PROBABILITIES = st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=6)


@given(PROBABILITIES, st.integers(0, 400), st.integers(0, 9), st.booleans())
def test_a_union_lies_between_the_largest_and_the_sum_and_rises_with_each(found, windows, seed, tied):
    chance = np.random.default_rng(seed)
    severities = chance.standard_normal((windows, len(found))).round(0 if tied else 9)
    odds = np.array(found)
    joined = union(severities, odds)
    assert odds.max() <= joined + LEAST
    assert joined <= min(1.0, odds.sum()) + LEAST
    for place in range(len(found)):
        more = odds.copy()
        more[place] = min(0.9999, more[place] * 1.3)
        assert union(severities, more) >= joined - 1e-12


@pytest.mark.parametrize("p", [0.2, 0.01, 0.0001])
def test_what_always_goes_together_counts_once_and_what_never_does_counts_twice(p):
    chance = np.random.default_rng(5)
    one = chance.standard_t(4, 4_000)
    odds = np.array([p, p])
    assert union(np.stack([one, one], axis=1), odds) == pytest.approx(p, rel=0.01)
    assert union(np.stack([one, -one], axis=1), odds) == pytest.approx(2 * p, rel=0.05)
