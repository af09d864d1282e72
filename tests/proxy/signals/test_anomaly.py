"""The score: between 0 and 1, decaying by itself, and blind to nothing a fat finger does twice."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.anomaly import (
    HALF_LIFE_S,
    ORDERS_NEEDED,
    Baseline,
    Observation,
    aged,
    from_plain,
    observe,
    to_plain,
)
from tests.properties.strategies import examples

START = 1_795_512_600.0


def steady(orders: int = 200, *, every_s: float = 10.0, size: float = 1000.0, start: float = START) -> Baseline:
    """A bot that has sent the same order, at the mark, every ten seconds."""
    baseline = Baseline()
    for number in range(orders):
        baseline = observe(baseline, an_order(start + number * every_s, size=size))
    return baseline


def an_order(at: float, *, size: float = 1000.0, distance: float = 0.001, refused: bool = False) -> Observation:
    return Observation(at=at, refused=refused, size=size, distance=distance)


observations = st.builds(
    Observation,
    at=st.floats(START - 1e5, START + 1e7),
    refused=st.booleans(),
    size=st.none() | st.floats(0, 1e15),
    distance=st.none() | st.floats(0, 1e6),
)


@given(st.lists(observations, max_size=60))
@examples(150)
def test_a_score_lies_between_0_and_1(seen):
    baseline = Baseline()
    for observation in seen:
        baseline = observe(baseline, observation)
        assert 0.0 <= baseline.score <= 1.0
        assert baseline.size_variance >= 0 and baseline.distance_variance >= 0


@given(st.lists(observations, min_size=1, max_size=40), st.floats(0, 1e6), st.floats(0, 1e6))
@examples(100)
def test_a_score_only_falls_while_nothing_happens(seen, sooner, later):
    baseline = Baseline()
    for observation in seen:
        baseline = observe(baseline, observation)
    sooner, later = sorted((sooner, later))
    at = baseline.at
    assert baseline.score >= aged(baseline, at + sooner).score >= aged(baseline, at + later).score >= 0


@given(st.lists(observations, max_size=40))
@examples(50)
def test_a_warden_that_takes_over_goes_on_from_the_same_score(seen):
    baseline = Baseline()
    for observation in seen:
        baseline = observe(baseline, observation)
    assert from_plain(to_plain(baseline)) == baseline


def test_a_score_halves_in_two_quiet_minutes():
    baseline = observe(steady(), an_order(START + 2000, size=1e9))
    assert baseline.score == 1.0
    assert aged(baseline, baseline.at + HALF_LIFE_S).score == pytest.approx(0.5)


def test_a_steady_bot_is_no_anomaly():
    baseline = steady()
    assert baseline.score == pytest.approx(0, abs=0.01)
    assert baseline.why == "as usual"


def test_small_differences_are_no_anomaly():
    baseline = Baseline()
    for number in range(300):
        baseline = observe(
            baseline, an_order(START + number * 7, size=1000 + number % 7 * 30, distance=0.001 + number % 5 * 1e-4)
        )
    assert baseline.score < 0.05


def test_a_fat_finger_is_seen_and_named():
    baseline = observe(steady(), an_order(START + 2000, size=100_000))
    assert (baseline.score, baseline.why) == (1.0, "order size")


def test_a_price_far_from_the_usual_is_seen_and_named():
    baseline = observe(steady(), an_order(START + 2000, distance=0.2))
    assert baseline.score > 0.9
    assert baseline.why == "distance from mark"


def test_a_smaller_order_than_usual_is_no_anomaly():
    assert observe(steady(), an_order(START + 2000, size=1)).score < 0.05


def test_refused_orders_teach_nothing():
    before = steady()
    after = before
    for number in range(50):
        after = observe(after, an_order(START + 2000 + number, size=100_000, refused=True))
    learned = ("size_mean", "size_variance", "distance_mean", "distance_variance")
    assert [getattr(after, name) for name in learned] == [getattr(before, name) for name in learned]


def test_a_fat_finger_that_is_refused_again_and_again_stays_an_anomaly():
    baseline = steady()
    for number in range(50):
        baseline = observe(baseline, an_order(START + 2000 + number, size=100_000, refused=True))
    assert baseline.score > 0.9


def test_a_burst_of_orders_raises_the_score():
    baseline = steady()
    for number in range(600):
        baseline = observe(baseline, an_order(START + 2000 + number * 0.05))
    assert baseline.score > 0.5
    assert baseline.why == "order rate"


def test_one_order_a_second_is_always_usual():
    baseline = steady(every_s=60)
    for number in range(300):
        baseline = observe(baseline, an_order(START + 12_000 + number))
    assert baseline.score < 0.05


def test_a_row_of_refusals_raises_the_score():
    baseline = steady()
    for number in range(10):
        baseline = observe(baseline, an_order(START + 2000 + number, refused=True))
    assert baseline.score > 0.5
    assert baseline.why == "refusals"


def test_a_bot_without_history_has_no_unusual_size():
    baseline = Baseline()
    for number in range(ORDERS_NEEDED - 1):
        baseline = observe(baseline, an_order(START + number * 10, size=10.0 ** (number % 8)))
    assert baseline.score == 0.0


def test_refused_orders_are_no_history_to_compare_with():
    """At the start of a day, before the first survey, everything is refused; the first usual order is no anomaly."""
    baseline = Baseline()
    for number in range(ORDERS_NEEDED + 5):
        baseline = observe(baseline, an_order(START + number, refused=True))
    much_later = START + 100 * HALF_LIFE_S
    baseline = observe(baseline, an_order(much_later))
    assert baseline.score < 0.05, baseline.why


def test_a_clock_that_steps_back_lets_no_time_pass():
    baseline = observe(steady(), an_order(START + 2000, size=1e9))
    back = aged(baseline, baseline.at - 3600)
    assert (back.score, back.at, back.recent) == (baseline.score, baseline.at, baseline.recent)


def test_a_clock_that_stepped_back_does_not_speed_up_a_bot():
    baseline = steady()
    for number in range(20):
        baseline = observe(baseline, an_order(START - 3600 + number * 10))
    assert baseline.score < 0.05


def test_an_order_of_unknown_worth_is_counted_and_teaches_no_size():
    before = steady()
    after = observe(before, Observation(at=before.at + 10, refused=False))
    assert after.orders == before.orders + 1
    assert (after.size_mean, after.size_variance) == (before.size_mean, before.size_variance)


def test_a_baseline_of_another_version_is_said_to_be_one():
    with pytest.raises(TypeError):
        from_plain({**asdict(Baseline()), "unheard_of": 1})
