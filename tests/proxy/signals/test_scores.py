"""Scores of forecasts: known answers, what a perfect and a dishonest forecaster get, and intervals over whole days."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.signals import scores

probabilities = st.floats(min_value=0, max_value=1)
forecasts = st.lists(st.tuples(probabilities, st.integers(0, 1)), min_size=1, max_size=40)


def drawn(seed: int = 1, count: int = 20_000, top: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A perfect forecaster: outcomes that come with exactly the stated probability."""
    source = np.random.default_rng(seed)
    stated = source.uniform(0, top, count)
    return stated, (source.uniform(size=count) < stated).astype(float)


def test_known_answers():
    stated, outcomes = [0.2, 0.9], [0, 1]
    assert scores.brier(stated, outcomes) == pytest.approx((0.04 + 0.01) / 2)
    assert scores.log_loss(stated, outcomes) == pytest.approx(-(math.log(0.8) + math.log(0.9)) / 2)
    assert scores.brier_skill(stated, [0.5, 0.5], outcomes) == pytest.approx(0.9)
    assert scores.log_loss_skill(stated, [0.5, 0.5], outcomes) == pytest.approx(
        1 - math.log(0.8 * 0.9) / math.log(0.25)
    )


def test_the_reference_itself_has_no_skill_and_a_perfect_reference_leaves_none_to_have():
    assert scores.brier_skill([0.3, 0.3], [0.3, 0.3], [0, 1]) == 0
    assert scores.brier_skill([0.3, 0.3], [0.0, 1.0], [0, 1]) is None


def test_the_impossible_that_came_is_dear_and_not_infinite():
    assert scores.log_loss([0.0], [1]) == pytest.approx(-math.log(1e-6))


def test_the_reliability_diagram_puts_like_with_like():
    found = scores.reliability([0.01, 0.03, 0.95, 1.0], [0, 1, 1, 1])
    assert [(each.count, each.observed) for each in found] == [(2, 0.5), (2, 1.0)]
    assert [each.stated for each in found] == pytest.approx([0.02, 0.975])


def test_calibration_error_is_the_mean_distance_in_the_diagram():
    assert scores.ece([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0]) == pytest.approx((0.1 + 0.3) / 2)


def test_a_perfect_forecaster_has_hardly_any_calibration_error_and_one_that_doubles_has():
    stated, outcomes = drawn(top=0.5)
    assert scores.ece(stated, outcomes) < 0.015
    assert scores.ece(2 * stated, outcomes) > 0.2


def test_rare_events_are_counted_below_two_percent_only():
    found = scores.rare_ratio([0.01, 0.01, 0.5], [1, 0, 1])
    assert (found.count, found.observed, found.expected) == (2, 1, pytest.approx(0.02))
    assert found.ratio == pytest.approx(50)


def test_without_a_rare_forecast_there_is_no_ratio_and_no_interval():
    assert scores.rare_ratio([0.5], [1]).ratio is None
    assert scores.rare_interval([1, 2], [0.5, 0.5], [1, 0]) is None


@pytest.mark.parametrize(("tau", "above", "below"), [(0.9, 0.9, 0.1), (0.5, 0.5, 0.5)])
def test_pinball_weighs_a_miss_by_its_side(tau: float, above: float, below: float):
    assert scores.pinball([0.0], [2.0], tau) == pytest.approx(2 * above)
    assert scores.pinball([2.0], [0.0], tau) == pytest.approx(2 * below)


def test_the_true_quantile_costs_least():
    outcomes = np.random.default_rng(2).normal(size=20_000)
    cost = {q: scores.pinball(np.full(20_000, q), outcomes, 0.9) for q in (1.0, 1.2816, 1.6)}
    assert min(cost, key=cost.__getitem__) == 1.2816


def test_coverage_counts_the_ends_and_exceedance_does_not():
    assert scores.coverage([0, 0, 0], [1, 1, 1], [1, 0, 2]) == pytest.approx(2 / 3)
    assert scores.exceedance([1, 1, 1], [1, 0, 2]) == pytest.approx(1 / 3)


def test_days_that_fail_together_widen_the_interval():
    """The same losses: spread evenly over the days, or each day's all alike, as when the whole market falls."""
    source = np.random.default_rng(3)
    daily = source.exponential(size=100)
    together, reference, days = np.repeat(daily, 50), np.full(5000, 1.5), np.repeat(np.arange(100), 50)
    spread = source.permutation(together)
    clustered = scores.skill_interval(days, together, reference)
    alone = scores.skill_interval(days, spread, reference)
    assert clustered is not None
    assert alone is not None
    assert clustered.high - clustered.low > 4 * (alone.high - alone.low)


def test_the_interval_holds_the_estimate_and_is_the_same_again():
    stated, outcomes = drawn(top=0.02)
    days = np.arange(len(stated)) // 100
    found = scores.rare_interval(days, stated, outcomes)
    assert found is not None
    assert found.low < 1 < found.high
    assert found == scores.rare_interval(days, stated, outcomes)


def test_one_day_has_no_interval():
    assert scores.skill_interval([7, 7], [0.1, 0.2], [0.2, 0.2]) is None


@pytest.mark.parametrize(
    ("stated", "outcomes"),
    [([], []), ([0.5], [0, 1]), ([1.1], [1]), ([0.5], [0.5]), ([math.nan], [0]), ([[0.5]], [[1]])],
)
def test_what_is_no_forecast_is_refused(stated: list[float], outcomes: list[float]):
    with pytest.raises(ValueError, match=r"forecast|probability"):
        scores.brier(stated, outcomes)


@pytest.mark.parametrize("tau", [0.0, 1.0, -1.0])
def test_a_quantile_outside_zero_and_one_is_refused(tau: float):
    with pytest.raises(ValueError, match="tau"):
        scores.pinball([0.0], [0.0], tau)


@settings(max_examples=50, deadline=None)
@given(forecasts)
def test_scores_stay_in_their_bounds(pairs: list[tuple[float, int]]):
    stated, outcomes = [p for p, _ in pairs], [y for _, y in pairs]
    assert 0 <= scores.brier(stated, outcomes) <= 1
    assert 0 <= scores.ece(stated, outcomes) <= 1
    assert 0 <= scores.log_loss(stated, outcomes) < 14
    assert sum(each.count for each in scores.reliability(stated, outcomes)) == len(pairs)
