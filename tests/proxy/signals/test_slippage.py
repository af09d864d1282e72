"""The adverse-move forecast: what it says when cold, bounds on any bars, and that it neither peeks nor forgets."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.fading_quantiles import BINS, FadingQuantiles
from proxy.signals.slippage import QUANTILES_POOLED, WARM_MINUTES, AdverseMoveForecaster
from tests.properties.strategies import examples

TAUS = (0.01, 0.5, 0.9, 0.99, 0.999, 0.999999)
Bar = tuple[float, float, float, float, float]


def bars(minutes: int, *, seed: int = 1, bps: float = 8.0) -> Iterator[Bar]:
    """A walk whose minutes move by some ``bps``, more in some hours than in others."""
    source = random.Random(seed)
    price = 100.0
    for minute in range(minutes):
        size = bps / 1e4 * math.exp(0.7 * math.sin(minute / 200))
        path = [price]
        for _ in range(8):
            path.append(path[-1] * math.exp(source.gauss(0, size / math.sqrt(8))))
        yield path[0], max(path), min(path), path[-1], 10.0
        price = path[-1]


def fed(minutes: int, **changes: float) -> AdverseMoveForecaster:
    made = AdverseMoveForecaster()
    for bar in bars(minutes, **changes):  # type: ignore[arg-type]
        made.update(*bar)
    return made


def test_cold_it_says_what_is_usual_and_that_it_is_cold():
    made = AdverseMoveForecaster()
    assert not made.is_warm
    assert made.predict((0.5, 0.9, 0.99)) == pytest.approx([4.4, 13.9, 28.8], rel=0.05)


def test_after_a_day_it_is_warm():
    made = AdverseMoveForecaster()
    for n, bar in enumerate(bars(WARM_MINUTES), start=1):
        made.update(*bar)
        assert made.is_warm is (n == WARM_MINUTES)


def test_stated_quantiles_are_exceeded_as_often_as_they_say():
    made, above, total, last = AdverseMoveForecaster(), [0, 0], 0, 0.0
    for n, bar in enumerate(bars(6_000)):
        if n > 2_000:
            total += 2
            for place, move in enumerate(made.predict((0.9, 0.99))):
                above[place] += (bar[1] / last - 1 > move / 1e4) + (1 - bar[2] / last > move / 1e4)
        made.update(*bar)
        last = bar[3]
    assert above[0] / total == pytest.approx(0.1, abs=0.02)
    assert above[1] / total == pytest.approx(0.01, abs=0.006)


def test_a_market_four_times_as_wild_is_stated_four_times_as_wild():
    quiet, wild = fed(3_000, bps=5).predict((0.9,)), fed(3_000, bps=20).predict((0.9,))
    assert wild[0] / quiet[0] == pytest.approx(4, rel=0.1)


def test_a_crash_is_in_the_next_forecast_and_no_more_than_that_for_days():
    made = fed(3_000)
    before = made.predict((0.9,))[0]
    price = 100.0
    made.update(price, price, 0.4 * price, 0.4 * price, 1.0)
    assert made.predict((0.9,))[0] > 5 * before
    for _, high, low, close, volume in bars(600, seed=5):
        made.update(close, high, low, close, volume)
    assert made.predict((0.9,))[0] < 4 * before


def test_a_still_market_is_stated_almost_but_never_as_still():
    made = fed(300)
    for _ in range(20_000):
        made.update(50, 50, 50, 50, 0)
    assert all(0 < move < 1 for move in made.predict((0.5, 0.9, 0.99)))


def test_over_a_gap_no_move_is_learnt():
    """The price has doubled meanwhile; that was not one minute."""
    with_gap, without = fed(500), fed(500)
    with_gap.gap()
    with_gap.update(200, 200.1, 200, 200, 1)
    without.update(200, 200.1, 200, 200, 1)
    assert with_gap.predict((0.999,))[0] < without.predict((0.999,))[0] / 5


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_a_bar_that_cannot_be_is_a_gap(bad: float):
    made, gap = fed(500), fed(500)
    made.update(100, bad, 100, 100, 1)
    gap.gap()
    assert made.state() == gap.state()


@pytest.mark.parametrize("tau", [0, 1, -0.1, math.nan])
def test_certainty_is_not_for_sale(tau: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        AdverseMoveForecaster().predict((0.5, tau))


def test_the_probability_above_a_move_is_the_other_side_of_its_quantile():
    made = fed(2_000)
    for tau in (0.5, 0.9, 0.99):
        assert made.probability_above(made.predict((tau,))[0]) == pytest.approx(1 - tau, abs=1e-6)
    assert 0 < made.probability_above(1e9) < made.probability_above(-5) < 1


def test_a_restart_is_no_restart():
    whole, first = AdverseMoveForecaster(), AdverseMoveForecaster()
    for n, bar in enumerate(bars(900)):
        whole.update(*bar)
        first.update(*bar)
        if n == 400:
            first = AdverseMoveForecaster.from_state(json.loads(json.dumps(first.state())))
    assert first.state() == whole.state()
    assert first.predict(TAUS) == whole.predict(TAUS)


def test_what_it_keeps_does_not_grow():
    assert len(json.dumps(fed(3_000).state())) < 30 * BINS


@pytest.mark.parametrize(
    "broken",
    [
        {"method": "another"},
        {"averages": [1.0]},
        {"averages": None},
        {"quantiles": {}},
        {"quantiles": {"weight": 1, "counts": [1]}},
    ],
)
def test_what_no_forecaster_left_is_refused(broken: dict[str, object]):
    with pytest.raises(ValueError, match="state"):
        AdverseMoveForecaster.from_state({**fed(5).state(), **broken})


def test_the_past_fades_from_quantiles():
    seen = FadingQuantiles(100, QUANTILES_POOLED)
    for _ in range(5_000):
        seen.add(1.0)
    for _ in range(2_000):
        seen.add(4.0)
    assert seen.quantiles((0.6,))[0] == pytest.approx(4, rel=0.1)


prices = st.one_of(st.floats(50, 150), st.sampled_from([math.nan, math.inf, 0.0, -3.0, 40.0, 1e-9, 1e12, 100.0]))


@given(st.lists(st.tuples(prices, prices, prices, prices, st.floats(0, 1e9)), max_size=40))
@examples(60)
def test_whatever_comes_quantiles_rise_are_finite_and_above_zero(seen: list[Bar]):
    made = AdverseMoveForecaster()
    for bar in seen:
        made.update(*bar)
        found = made.predict(TAUS)
        assert all(math.isfinite(move) and move > 0 for move in found)
        assert found == sorted(found)
