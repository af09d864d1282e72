"""The barrier forecaster: what it never says, that it cannot see ahead, and that what it says comes true as often."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.signals import scores
from proxy.signals.barrier import BarrierForecaster
from tests.support.markets import START, Bar, clustered_bars

DISTANCES = [-0.1, 0.0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.9, 1.0, 1.5]
HORIZONS = [0.01, 0.5, 1, 1.7, 2, 3.4, 8, 13, 24, 48, 400]
TAUS = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
MARKET = clustered_bars(700, seed=1)


def fed(bars: list[Bar], bar_hours: float = 1) -> BarrierForecaster:
    forecaster = BarrierForecaster(bar_hours)
    for bar in bars:
        forecaster.update(*bar)
    return forecaster


WARM = fed(MARKET)


def warm() -> BarrierForecaster:
    """One that has seen the market, to be fed on."""
    return BarrierForecaster.from_state(WARM.state())


def everything(forecaster: BarrierForecaster) -> str:
    """All that it can say, as text: equal texts are equal forecasts, to the last digit."""
    told = forecaster.predict(HORIZONS, DISTANCES, DISTANCES, TAUS)
    return json.dumps([
        list(told.items()),
        [forecaster.scale(hours) for hours in HORIZONS],
        [forecaster.prob_rv_above(hours, -7.0) for hours in HORIZONS],
        forecaster.samples, forecaster.is_warm,
    ])  # fmt: skip


def sound(forecaster: BarrierForecaster) -> None:
    """No NaN, never 0 or 100 %, nearer and longer never less likely, quantiles in order."""
    told = forecaster.predict(HORIZONS, DISTANCES, DISTANCES, TAUS)
    for side in ("p_down", "p_up"):
        table = np.array([told[hours][side] for hours in HORIZONS])
        assert ((table > 0) & (table < 1)).all()
        assert (np.diff(table, axis=1) <= 0).all(), "a nearer level is never less likely"
        assert (np.diff(table, axis=0) >= -1e-12).all(), "nor is a longer horizon"
    for hours in HORIZONS:
        quantiles = told[hours]["quantiles"]
        assert all(math.isfinite(each) for each in quantiles)
        assert all(low <= high for low, high in pairwise(quantiles))
        assert 0 < forecaster.scale(hours) < math.inf
        above = [forecaster.prob_rv_above(hours, at) for at in (-math.inf, -12.0, -7.0, -2.0, math.inf)]
        assert all(0 < each < 1 for each in above)
        assert above == sorted(above, reverse=True)


def test_it_answers_before_the_first_bar_and_says_it_is_cold():
    cold = BarrierForecaster(1)
    assert (cold.samples, cold.is_warm) == (0, False)
    sound(cold)


def test_it_is_warm_after_25_days():
    assert not fed(MARKET[: 25 * 24 - 1]).is_warm
    assert fed(MARKET[: 25 * 24]).is_warm
    assert not fed(clustered_bars(24, seed=2, bars_an_hour=60), 1 / 60).is_warm


def test_what_is_reached_is_certain_and_what_cannot_be_is_not():
    told = WARM.predict([1], [-0.2, 0.0, 1.0, 2.0], [-0.2, 0.0], [0.5])[1]
    assert told["p_down"] == pytest.approx([1, 1, 0, 0], abs=1e-5)
    assert told["p_up"] == pytest.approx([1, 1], abs=1e-5)


def flat(hours: int, start: float, price: float, volume: float) -> list[Bar]:
    return [(start + 3600 * (n + 1), price, price, price, price, volume) for n in range(hours)]


def crash(start: float, price: float) -> Bar:
    return (start + 3600, price, price * 1.001, price * 0.38, price * 0.4, 1e6)


END, LAST = MARKET[-1][0], MARKET[-1][4]


@pytest.mark.parametrize(
    "strange",
    [
        flat(200, END, LAST, 0.0),
        flat(200, END, LAST, 5.0),
        [*flat(200, END, LAST, 5.0), crash(END + 200 * 3600, LAST)],
        [crash(END, LAST)],
        [crash(END, LAST), crash(END + 3600, LAST * 0.4), *flat(30, END + 7200, LAST * 0.16, 0.0)],
        [(END + 1000 * 3600, *MARKET[0][1:])],
        [(END + 3600 * 7 * n, *bar[1:]) for n, bar in enumerate(MARKET[:60], start=1)],
        [(bar[0] + END - START, *bar[1:5], 0.0) for bar in MARKET[:60]],
    ],
    ids=["halted", "flat", "crash out of a flat", "crash", "two crashes", "long gap", "holes", "no volume"],
)
def test_strange_markets_leave_it_sound(strange: list[Bar]):
    forecaster = warm()
    for n, bar in enumerate(strange):
        forecaster.update(*bar)
        if n % 10 == 0 or n > len(strange) - 3:
            sound(forecaster)


def test_a_crash_in_the_first_bar_is_survived():
    forecaster = BarrierForecaster(1)
    forecaster.update(*crash(START, 100.0))
    sound(forecaster)


def test_a_crash_makes_the_next_hours_wilder():
    forecaster = warm()
    before = forecaster.predict([1], [0.05], [0.05], [0.5])[1]
    forecaster.update(*crash(END, LAST))
    after = forecaster.predict([1], [0.05], [0.05], [0.5])[1]
    assert after["p_down"][0] > 3 * before["p_down"][0]
    assert after["p_up"][0] > 3 * before["p_up"][0]


def test_a_crash_counts_in_the_minute_it_comes():
    bars = clustered_bars(10, seed=3, bars_an_hour=60)
    half_past = fed(bars[: 8 * 60 + 30], 1 / 60)
    before = half_past.predict([1], [0.03], [0.03], [0.5])[1]["p_down"][0]
    ts, *_, close, _ = bars[8 * 60 + 29]
    half_past.update(ts + 60, close, close, close * 0.9, close * 0.92, 1e5)
    assert half_past.predict([1], [0.03], [0.03], [0.5])[1]["p_down"][0] > 3 * before


def test_a_halted_market_teaches_nothing():
    forecaster = warm()
    scale = forecaster.scale(24)
    for bar in flat(48, END, LAST, 0.0):
        forecaster.update(*bar)
    assert forecaster.scale(24) == pytest.approx(scale, rel=0.3)


bars_of_any_shape = st.lists(
    st.tuples(
        st.integers(1, 30), st.floats(-0.7, 0.7), st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0, 1e9)
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(bars_of_any_shape)
def test_no_bars_at_all_make_it_unsound(shapes: list[tuple[int, float, float, float, float]]):
    forecaster = BarrierForecaster(1)
    ts, price = float(START), 100.0
    for gap, move, above, below, volume in shapes:
        ts += 3600 * gap
        close = price * math.exp(move)
        forecaster.update(ts, price, max(price, close) * (1 + above), min(price, close) * (1 - below), close, volume)
        price = close
    sound(forecaster)


@settings(max_examples=10, deadline=None)
@given(st.integers(30, 300), st.randoms(use_true_random=False))
def test_it_cannot_see_ahead(now: int, source):
    """Two markets with one past and different futures: what is said at the parting is the same."""
    future = MARKET[now:]
    source.shuffle(future)
    one, other = BarrierForecaster(1), BarrierForecaster(1)
    said = []
    for forecaster, rest in ((one, MARKET[now:]), (other, future)):
        for bar in MARKET[:now]:
            forecaster.update(*bar)
        said.append(everything(forecaster))
        for n, bar in enumerate(rest[:5], start=1):
            forecaster.update(MARKET[now - 1][0] + 3600 * n, *bar[1:])
    assert said[0] == said[1]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 120), st.sampled_from([1, 60]))
def test_a_restart_is_no_restart(when: int, bars_an_hour: int):
    bars = clustered_bars(150 if bars_an_hour == 1 else 4, seed=5, bars_an_hour=bars_an_hour)
    whole = fed(bars, 1 / bars_an_hour)
    stopped = fed(bars[:when], 1 / bars_an_hour)
    everything(stopped)  # Asking leaves no trace.
    resumed = BarrierForecaster.from_state(json.loads(json.dumps(stopped.state())))
    assert everything(resumed) == everything(stopped)
    for bar in bars[when:]:
        resumed.update(*bar)
    assert everything(resumed) == everything(whole)


def test_its_state_stops_growing():
    early, late = (len(json.dumps(fed(MARKET[:hours]).state())) for hours in (300, 700))
    assert late < 1.3 * early


def test_a_state_of_another_method_is_refused():
    state = WARM.state()
    with pytest.raises(ValueError, match="older"):
        BarrierForecaster.from_state({**state, "method": "older"})
    with pytest.raises(ValueError, match="shape"):
        BarrierForecaster.from_state({**state, "laws": {"counts": [[1.0]], "weight": 1.0}})
    with pytest.raises(ValueError, match="laws"):
        BarrierForecaster.from_state({name: each for name, each in state.items() if name != "laws"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({0: END}, "not after"), ({0: END - 3600}, "not after"), ({0: math.nan}, "finite"), ({1: -1.0}, "no bar"),
        ({2: 1.0}, "no bar"), ({3: 1e9}, "no bar"), ({3: 0.0}, "no bar"), ({4: math.inf}, "finite"),
        ({5: -1.0}, "no bar"),
    ],
)  # fmt: skip
def test_what_is_no_bar_is_refused_and_leaves_no_trace(change: dict[int, float], words: str):
    forecaster = warm()
    before = json.dumps(forecaster.state())
    bar = [END + 3600, LAST, LAST * 1.01, LAST * 0.99, LAST, 10.0]
    for place, value in change.items():
        bar[place] = value
    with pytest.raises(ValueError, match=words):
        forecaster.update(*bar)
    assert json.dumps(forecaster.state()) == before


@pytest.mark.parametrize("bar_hours", [0, -1, 2, 0.3, 1 / 120, math.nan])
def test_bars_that_do_not_fill_an_hour_are_refused(bar_hours: float):
    with pytest.raises(ValueError, match="hour"):
        BarrierForecaster(bar_hours)


@pytest.mark.parametrize("hours", [0, -1, math.nan, math.inf])
def test_a_horizon_is_a_positive_number_of_hours(hours: float):
    for ask in (
        lambda: WARM.predict([hours], [0.1], [0.1], [0.5]),
        lambda: WARM.scale(hours),
        lambda: WARM.prob_rv_above(hours, 0),
    ):
        with pytest.raises(ValueError, match="horizon"):
            ask()


def test_questions_without_an_answer_are_refused():
    with pytest.raises(ValueError, match="tau"):
        WARM.predict([1], [0.1], [0.1], [1.0])
    with pytest.raises(ValueError, match="distance"):
        WARM.predict([1], [math.nan], [0.1], [0.5])
    with pytest.raises(ValueError, match="threshold"):
        WARM.prob_rv_above(1, math.nan)


def test_minutes_say_what_their_hours_say():
    minutes = clustered_bars(100, seed=7, bars_an_hour=60)
    hours = []
    for n in range(100):
        chunk = minutes[60 * n : 60 * n + 60]
        high, low = max(bar[2] for bar in chunk), min(bar[3] for bar in chunk)
        hours.append((chunk[-1][0], chunk[0][1], high, low, chunk[-1][4], sum(bar[5] for bar in chunk)))
    by_minute, by_hour = fed(minutes, 1 / 60), fed(hours)
    for told, expected in zip(_numbers(by_minute), _numbers(by_hour), strict=True):
        assert told == pytest.approx(expected, rel=1e-6)


def _numbers(forecaster: BarrierForecaster) -> list[float]:
    told = forecaster.predict([1, 24], [0.02], [0.02], [0.1])
    return [each for answers in told.values() for values in answers.values() for each in values]


def test_what_it_says_comes_true_as_often_as_it_says():
    """Half a year of a generated market. A scale that is a fifth off either way fails here."""
    hours, distances = 8, np.array([0.01, 0.02, 0.03, 0.05])
    bars = clustered_bars(5000, seed=11)
    _, _, highs, lows, closes, _ = (np.array(column) for column in zip(*bars, strict=True))
    forecaster = BarrierForecaster(1)
    stated, hits, ends, low, high = [], [], [], [], []
    for n, bar in enumerate(bars[:-hours]):
        forecaster.update(*bar)
        if n < 1000 or n % 4:
            continue
        told = forecaster.predict([hours], distances.tolist(), distances.tolist(), [0.05, 0.95])[hours]
        ahead = slice(n + 1, n + 1 + hours)
        stated += told["p_down"] + told["p_up"]
        hits += [
            *(lows[ahead].min() <= closes[n] * (1 - distances)),
            *(highs[ahead].max() >= closes[n] * (1 + distances)),
        ]
        ends.append(math.log(closes[n + hours] / closes[n]))
        low.append(told["quantiles"][0])
        high.append(told["quantiles"][1])
    outcomes = np.array(hits, dtype=float)
    assert scores.ece(stated, outcomes) < 0.03
    assert np.mean(stated) == pytest.approx(outcomes.mean(), rel=0.08)
    assert scores.brier_skill(stated, np.full(len(stated), outcomes.mean()), outcomes) > 0.2
    assert scores.coverage(low, high, ends) == pytest.approx(0.9, abs=0.04)
