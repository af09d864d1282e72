"""Scenarios are the same hours for all symbols, at today's volatility; gaps and restarts leave no trace."""

from __future__ import annotations

import json

import numpy as np
import pytest

from proxy.signals.joint import HOURS_KEPT, Hour, JointHistory

SCALES = (0.01, 0.03, 0.05)


def an_hour(close: float, scales: tuple[float, ...] = SCALES) -> Hour:
    return Hour(low=min(close, 0.0) - 0.001, high=max(close, 0.0) + 0.001, close=close, scales=scales)


def a_history(hours: int, *symbols: str, skip: tuple[int, ...] = ()) -> JointHistory:
    history = JointHistory()
    for symbol in symbols:
        for number in range(hours):
            if number not in skip:
                history.add(symbol, 1_000 + number, an_hour(0.001 * number))
    return history


def test_a_window_is_the_path_from_its_origin_scaled_by_now_over_then():
    windows = a_history(12, "A").common(["A"]).scenarios(8, [0.06])
    assert len(windows) == 2, "every second hour begins a window of eight"
    newest = [0.001 * number for number in range(4, 12)]
    assert windows.close[-1, :, 0] == pytest.approx(2 * np.cumsum(newest), rel=1e-5)
    assert windows.low[-1, 0, 0] == pytest.approx(2 * -0.001, rel=1e-5)
    assert windows.high[-1, 1, 0] == pytest.approx(2 * (0.004 + 0.005 + 0.001), rel=1e-5)


def test_only_hours_that_all_symbols_have_count():
    history = a_history(40, "A")
    for number in range(20, 50):
        history.add("B", 1_000 + number, an_hour(0.002))
    common = history.common(["A", "B"])
    assert len(common.scenarios(1, [0.01, 0.01])) == 19
    assert not np.isnan(common.scenarios(8, [0.03, 0.03]).low).any()


def test_no_window_reaches_over_a_gap():
    assert len(a_history(40, "A", skip=(20,)).common(["A"]).scenarios(1, [0.03])) == 40 - 1 - 2
    assert len(a_history(9, "A", skip=(4,)).common(["A"]).scenarios(8, [0.03])) == 0
    assert len(a_history(3, "A").common(["A"]).scenarios(8, [0.03])) == 0
    assert len(JointHistory().common(["A", "B"]).scenarios(24, [0.03, 0.03])) == 0


def test_it_is_bounded_and_an_hour_told_again_changes_nothing():
    history = a_history(HOURS_KEPT + 100, "A")
    before = history.common(["A"]).scenarios(1, [0.01])
    assert len(before) == HOURS_KEPT - 1
    history.add("A", 1_000 + HOURS_KEPT, an_hour(9.0))
    assert np.array_equal(history.common(["A"]).scenarios(1, [0.01]).close, before.close)


def test_a_restart_is_no_restart():
    history = a_history(60, "A", skip=(17, 18))
    other = JointHistory()
    other.restore("A", json.loads(json.dumps(history.state("A"))))
    for each in (history, other):
        each.add("A", 1_060, an_hour(-0.02))
    one, two = (each.common(["A"]).scenarios(8, [0.02]) for each in (history, other))
    assert np.array_equal(one.close, two.close)
    assert np.array_equal(one.low, two.low)


@pytest.mark.parametrize("wrong", [{}, {"last": 3, "rows": "00"}, {"last": "x", "rows": ""}, {"last": 0, "rows": None}])
def test_what_is_no_state_is_refused(wrong):
    with pytest.raises((ValueError, KeyError, TypeError)):
        JointHistory().restore("A", wrong)


def test_a_wild_path_stays_a_number():
    history = JointHistory()
    for number in range(40):
        history.add("A", number, an_hour(-0.9 if number % 2 else 0.0, (1e-9, 1e-9, 1e-9)))
    windows = history.common(["A"]).scenarios(8, [0.5])
    assert np.isfinite(windows.low).all()
    assert windows.low.min() == -3.0
