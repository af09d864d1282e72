"""The regressions: they find the line, forget slowly, and neither a mad print nor a flat market bends them for good."""

from __future__ import annotations

import numpy as np
import pytest

from proxy.signals.forecast.features import COUNT
from proxy.signals.forecast.har import ERROR_MAX, HORIZONS_H, PRIOR_HOURS, HarByHorizon
from proxy.signals.forecast.pooled import POOLED

ROWS = len(HORIZONS_H)


def regressors(source: np.random.Generator) -> np.ndarray:
    return np.concatenate([[1.0], source.standard_normal(COUNT - 1)])


def test_before_any_outcome_it_says_what_the_pool_says():
    given = np.eye(COUNT)[0]
    assert HarByHorizon().forecast(given) == pytest.approx(POOLED.coefficients[:, 0])


def test_it_finds_the_line_behind_the_outcomes():
    source = np.random.default_rng(1)
    true = source.normal(0, 0.5, (ROWS, COUNT))
    har = HarByHorizon()
    for _ in range(6000):
        row = regressors(source)
        har.learn(np.tile(row, (ROWS, 1)), true @ row + source.normal(0, 0.3, ROWS))
    row = regressors(source)
    assert har.forecast(row) == pytest.approx(true @ row, abs=0.5)


def test_what_is_not_known_yet_teaches_nothing():
    source = np.random.default_rng(2)
    har = HarByHorizon()
    row = regressors(source)
    before = har.forecast(row)
    har.learn(np.tile(row, (2, 1)), before[:2] + 3)
    after = har.forecast(row)
    assert (after[:2] > before[:2]).all()
    assert after[2:] == pytest.approx(before[2:])


def test_a_mad_print_moves_it_by_a_bounded_step():
    source = np.random.default_rng(3)
    row = regressors(source)
    moved = []
    for outcome in (ERROR_MAX, 1e6):
        har = HarByHorizon()
        before = har.forecast(row)
        har.learn(np.tile(row, (ROWS, 1)), before + outcome)
        moved.append(har.forecast(row) - before)
    assert moved[0] == pytest.approx(moved[1])


def test_years_of_the_same_hour_leave_it_able_to_learn_and_no_less_sure_than_at_the_start():
    har = HarByHorizon()
    row = np.eye(COUNT)[0]
    for _ in range(3000):
        har.learn(np.tile(row, (ROWS, 1)), np.full(ROWS, -9.0))
    assert np.max(np.abs(har.state()["inverse"])) <= 1 / PRIOR_HOURS + 1e-12
    assert har.forecast(row) == pytest.approx(-9.0, abs=0.05)
