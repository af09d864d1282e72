"""The tail of one kind of evidence: a rate, careful while there is little, and bounded by its budget."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.evidence.kinds import KINDS, WEIGHINGS, Kind
from proxy.signals.evidence.tail import CAP, FLOOR, ORDINARY, Tail

WEIGHING = WEIGHINGS[Kind.BURST_10S]


def watched(values, *, a_day=20, weighing=WEIGHING):
    """The tail after these block maxima, so many a day."""
    tail = Tail(weighing)
    for number, x in enumerate(values):
        tail.keep(number // a_day, x, (number + 1) / a_day)
    return tail


def dice_rolls(days, *, a_day=100, seed=1):
    dice = random.Random(seed)
    return [dice.expovariate(2.0) for _ in range(days * a_day)]


evidence = st.lists(st.floats(0, 50), max_size=200)


@given(evidence, st.floats(-5, 60), st.floats(0, 20), st.floats(-1.5, 0.7))
def test_more_evidence_is_never_a_lower_score(values, x, more, ease):
    tail = watched(values)
    assert FLOOR <= tail.score(x, ease) <= tail.score(x + more, ease) <= CAP


@given(evidence, st.floats(0, 4.5), st.floats(-1.5, 0.7))
def test_at_its_bound_a_score_is_reached(values, score, ease):
    tail = watched(values)
    bound = tail.bound(score, ease)
    assert tail.score(bound + 1e-6, ease) >= score - 1e-3


@given(evidence)
def test_up_to_the_lowest_the_score_is_the_floor(values):
    tail = watched(values)
    if tail.lowest > -1e300:
        assert tail.score(tail.lowest, 0.0) == pytest.approx(FLOOR, abs=1e-9)


def test_together_the_kinds_may_spend_one_false_alarm_a_day():
    assert sum(WEIGHINGS[kind].budget for kind in KINDS) == pytest.approx(1.0)


def test_the_threshold_is_reached_no_more_often_than_the_budget_allows():
    met, days = 0, 0
    for seed in range(20):
        tail = watched(dice_rolls(10, seed=seed), a_day=100)
        met += sum(tail.score(x, 0.0) >= 0 for x in dice_rolls(20, seed=1_000 + seed))
        days += 20
    assert met / days <= 1.3 * WEIGHING.budget


def test_ten_days_later_the_past_is_forgotten():
    tail = watched([*([9.0] * 200), *([0.5] * 200)])
    tail.fit(20, 20.0)
    assert tail.score(3.0, 0.0) >= 0
    assert tail.most == 0.5


def test_a_first_time_is_no_alarm_by_itself():
    assert watched([0.0] * 200).score(0.001, 0.7) < 0
    assert watched([0.0] * 200).score(0.0, 0.7) <= ORDINARY


def test_one_wild_day_is_not_the_whole_tail():
    calm = dice_rolls(9, a_day=100)
    tail = watched([*calm, *([20.0] * 100)], a_day=100)
    assert tail.score(40.0, 0.0) < watched(dice_rolls(10), a_day=100).score(40.0, 0.0)
    assert tail.score(100.0, 0.0) >= 0


def test_a_cold_account_alarms_on_what_is_absurd_and_new_for_it_alone():
    tail = watched([0.1] * 5)
    assert tail.score(WEIGHING.cold_at - 0.1, 0.0) < 0 <= tail.score(WEIGHING.cold_at + 0.01, 0.0)
    assert watched([WEIGHING.cold_at + 1] * 5).score(WEIGHING.cold_at + 0.5, 0.0) < 0


def test_a_kind_that_alarms_more_than_its_budget_is_raised_and_time_lowers_it_again():
    tail = watched(dice_rolls(10), a_day=100)
    before = tail.score(3.5, 0.0)
    for _ in range(4):
        tail.settle(True, 0.1)
    raised = tail.score(3.5, 0.0)
    tail.settle(False, 30.0)
    assert raised < tail.score(3.5, 0.0) < before + 1e-9
