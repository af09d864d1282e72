"""The volatility regime: what counts as wild, that its odds move with the market, and that it does not flicker."""

from __future__ import annotations

import json

import numpy as np
import pytest

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.regime import ENTERED_ABOVE, LEFT_BELOW, MEMORY_H, NEEDED_H, VolatilityRegime
from tests.support.markets import Bar, clustered_bars

MARKET = clustered_bars(700, seed=21)


def watched(bars: list[Bar]) -> tuple[BarrierForecaster, VolatilityRegime]:
    forecaster, regime = BarrierForecaster(1), VolatilityRegime()
    for bar in bars:
        forecaster.update(*bar)
        regime.observe(forecaster)
    return forecaster, regime


def test_before_25_days_there_is_no_usual():
    _, regime = watched(MARKET[: NEEDED_H + 22])
    assert (regime.threshold, regime.probability, regime.high) == (None, None, False)
    _, regime = watched(MARKET[: NEEDED_H + 23])
    assert regime.threshold is not None
    assert regime.probability is not None


def test_the_threshold_is_the_80_percent_quantile_of_the_days_seen():
    forecaster, regime = BarrierForecaster(1), VolatilityRegime()
    seen = []
    for bar in MARKET:
        forecaster.update(*bar)
        regime.observe(forecaster)
        seen.append(forecaster.log_variance(24))
    assert seen[:23] == [None] * 23
    assert regime.threshold == pytest.approx(np.quantile(seen[23:], 0.8))


def test_asking_twice_in_an_hour_counts_once():
    forecaster, regime = watched(MARKET)
    before = regime.state()
    regime.observe(forecaster)
    assert regime.state() == before


def test_a_storm_is_called_high_and_a_calm_is_not():
    forecaster, regime = watched(MARKET)
    ts, price = MARKET[-1][0], MARKET[-1][4]
    said = {}
    for name, size in (("storm", 0.05), ("calm", 0.0005)):
        for _ in range(48):
            ts += 3600
            forecaster.update(ts, price, price * (1 + size), price * (1 - size), price, 100.0)
            regime.observe(forecaster)
        said[name] = (regime.high, regime.probability)
    assert said["storm"][0]
    assert not said["calm"][0]
    assert said["storm"][1] > 0.9 > 0.1 > said["calm"][1]


def test_between_its_bounds_it_stays_what_it_was():
    """Around one half it changes far less often than the probability crosses it."""
    forecaster, regime = BarrierForecaster(1), VolatilityRegime()
    states, odds = [], []
    for bar in clustered_bars(2000, seed=22):
        forecaster.update(*bar)
        regime.observe(forecaster)
        if regime.probability is not None:
            states.append(regime.high)
            odds.append(regime.probability)
    for was, now, probability in zip(states, states[1:], odds[1:], strict=False):
        if LEFT_BELOW < probability < ENTERED_ABOVE:
            assert now == was
    assert 0 < np.abs(np.diff(states)).sum() < 0.7 * np.abs(np.diff(np.array(odds) > 0.5)).sum()


def test_a_restart_is_no_restart():
    bars = MARKET[: NEEDED_H + 60]
    _, whole = watched(bars)
    forecaster, regime = watched(bars[:-30])
    regime = VolatilityRegime.from_state(json.loads(json.dumps(regime.state())))
    for bar in bars[-30:]:
        forecaster.update(*bar)
        regime.observe(forecaster)
    assert regime.state() == whole.state()
    assert regime.threshold == whole.threshold


def test_it_remembers_180_days_at_most():
    regime = VolatilityRegime()
    for n in range(MEMORY_H + 50):
        regime._learn(float(n))
    assert len(regime.state()["recent"]) == MEMORY_H
    assert regime.threshold == pytest.approx(50 + 0.8 * (MEMORY_H - 1))


def test_what_is_no_state_is_refused():
    with pytest.raises(ValueError, match="regime"):
        VolatilityRegime.from_state({"recent": []})
