"""What chance can do: exact tails, and how many outcomes do not overlap."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.scoreboard.chance import apart, at_least, at_most, poisson_at_least


def exactly(hits: int, trials: int, rate: float) -> float:
    return math.comb(trials, hits) * rate**hits * (1 - rate) ** (trials - hits)


@given(st.integers(1, 60), st.data(), st.floats(0.01, 0.99))
def test_the_binomial_tails_are_the_sums_they_should_be(trials: int, data: st.DataObject, rate: float) -> None:
    hits = data.draw(st.integers(0, trials))
    upper = math.fsum(exactly(each, trials, rate) for each in range(hits, trials + 1))
    lower = math.fsum(exactly(each, trials, rate) for each in range(hits + 1))
    assert at_least(hits, trials, rate) == pytest.approx(upper, abs=1e-9)
    assert at_most(hits, trials, rate) == pytest.approx(lower, abs=1e-9)


def test_a_long_record_has_a_tail_too() -> None:
    assert 0.4 < at_least(1_300, 130_000, 0.01) < 0.6
    assert 0 < at_least(1_600, 130_000, 0.01) < 1e-12
    assert at_least(3, 2, 0.5) == 0
    assert at_least(0, 2, 0.5) == 1


@pytest.mark.parametrize(("events", "expected"), [(0, 0.3), (1, 0.3), (4, 0.3), (4, 9.0)])
def test_the_poisson_tail_is_the_sum_it_should_be(events: int, expected: float) -> None:
    below = sum(math.exp(-expected) * expected**each / math.factorial(each) for each in range(events))
    assert poisson_at_least(events, expected) == pytest.approx(1 - below)


def test_outcomes_of_a_day_stated_every_hour_are_as_many_as_there_are_days() -> None:
    as_of = np.arange(0, 240) * 3_600
    assert apart(as_of, as_of + 24 * 3_600) == 10
    assert apart(as_of, as_of + 3_600) == 240


def test_several_forecasts_of_one_moment_have_one_outcome() -> None:
    as_of = np.repeat(np.arange(0, 10) * 3_600, 7)
    assert apart(as_of, as_of + 3_600) == 10
    assert apart(as_of[:0], as_of[:0]) == 0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), min_size=1, max_size=8))
def test_no_more_can_be_had(spans: list[tuple[int, int]]) -> None:
    """Against every subset."""
    most = 0
    for chosen in range(1 << len(spans)):
        some = sorted(spans[at] for at in range(len(spans)) if chosen >> at & 1)
        if all(a + length <= b for (a, length), (b, _) in itertools.pairwise(some)):
            most = max(most, len(some))
    as_of = np.array([begin for begin, _ in spans])
    assert apart(as_of, as_of + np.array([length for _, length in spans])) == most
