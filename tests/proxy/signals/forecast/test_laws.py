"""The laws: what is counted is what is told, a tail beyond the largest seen, and the pool's share fades."""

from __future__ import annotations

import numpy as np
import pytest

from proxy.signals.forecast.har import HORIZONS_H
from proxy.signals.forecast.laws import DOWN, END_UNIT, SHOCK_SHARES, UP, Laws, end_coordinate

ROWS = len(HORIZONS_H)


def taught(down: np.ndarray, count: int = 1) -> Laws:
    """Falls as given, everything else at the middle."""
    laws = Laws()
    for _ in range(count):
        for value in down:
            laws.learn(np.tile([value, 0.0, 0.0, 0.0], (ROWS, 1)))
            laws.fade()
    return laws


def ratios(*values: float) -> np.ndarray:
    return np.tile(values, (ROWS, 1))


def test_what_was_seen_often_is_told():
    source = np.random.default_rng(1)
    seen = source.normal(0.0, 0.4, 20_000)
    told = taught(seen).survival().passage(DOWN, ratios(0.0, 0.4))
    # A year's weight of its own beside the pool's thousand hours.
    assert told[:, 0] == pytest.approx(0.5, abs=0.06)
    assert told[:, 1] == pytest.approx(0.16, abs=0.04)


def test_the_sides_are_told_apart():
    laws = taught(np.full(5000, 1.5))
    survival = laws.survival()
    assert (survival.passage(DOWN, ratios(1.0)) > 0.8).all()
    assert (survival.passage(UP, ratios(1.0)) < 0.3).all()


def test_beyond_the_largest_seen_there_is_a_tail_that_falls_and_never_ends():
    laws = taught(np.random.default_rng(2).normal(-0.2, 0.3, 9000))
    table = laws.survival().passage(DOWN, ratios(2.0, 3.0, 4.0, 5.0, 6.0))
    assert (table > 0).all()
    assert (np.diff(table, axis=1) < 0).all()


def test_a_jump_is_always_possible():
    """Whatever was seen, one to three in a thousand are scaled up fourfold."""
    told = taught(np.full(9000, 0.0)).survival().passage(DOWN, ratios(1.3))
    assert (told[:, 0] > 0.8 * SHOCK_SHARES).all()


def test_pooled_quantiles_are_in_order_and_near_those_of_a_normal():
    quantiles = Laws().survival().end_quantiles(np.array([0.05, 0.5, 0.95]))
    assert (np.diff(quantiles, axis=1) > 0).all()
    assert (np.abs(quantiles[:, 1]) < 0.15).all()
    assert ((quantiles[:, 2] > 1.0) & (quantiles[:, 2] < 2.5)).all()


def test_the_scale_of_ends_is_symmetric_and_even():
    assert end_coordinate(np.array([-END_UNIT, 0.0, END_UNIT])) == pytest.approx([-0.8814, 0, 0.8814], abs=1e-4)


def test_weights_do_not_overflow():
    laws = Laws()
    for _ in range(300_000):
        laws.fade()
    laws.learn(np.zeros((ROWS, 4)))
    assert np.isfinite(laws.survival().passage(DOWN, ratios(0.0))).all()
