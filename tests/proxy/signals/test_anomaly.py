"""The score: a rate that every account shares, blind to no kind of incident, and learned from nothing but the past."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.anomaly import AnomalyScorer
from proxy.signals.evidence.tail import CAP, FLOOR
from tests.properties.strategies import examples
from tests.proxy.signals.order_flows import DAY, START, a_quoter, a_saver, a_trader, an_event

REFRACTORY_S = 600.0
NOON = START + 14 * DAY + 12 * 3600


def fed(events):
    scorer = AnomalyScorer("demo")
    for event in events:
        scorer.score(event)
    return scorer


def copied(scorer):
    """As another process would go on: through the bytes of JSON."""
    return AnomalyScorer.from_state(json.loads(json.dumps(scorer.state(), allow_nan=False)))


def alarms(events, *, after):
    """How often the score reached once a day, counting ten minutes as one alarm."""
    scorer, last, count = AnomalyScorer("demo"), -math.inf, 0
    for event in events:
        if scorer.score(event) >= 0 and event["ts"] - last > REFRACTORY_S:
            last = event["ts"]
            count += event["ts"] >= after
    return count


@pytest.fixture(scope="module", params=[a_trader, a_quoter, a_saver], ids=["trader", "quoter", "saver"])
def learned(request):
    """The state of a scorer that has watched one kind of bot; each test goes on from a copy."""
    return fed([event for event in request.param() if event["ts"] < NOON])


numbers = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(["12", "x", b"", True, 10**400])
anything = st.fixed_dictionaries(
    {},
    optional={
        "ts": numbers | st.floats(START, START + 3 * DAY),
        "type": st.sampled_from(["new", "amend", "cancel", "answer", "unheard of", None, 3]),
        "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT", "", None, 5]),
        "side": st.sampled_from(["buy", "SELL", None, 1]),
        "notional": numbers | st.floats(0, 1e6),
        "distance_bps": numbers | st.floats(-1e4, 1e4),
        "round_trip_ms": numbers | st.floats(0, 1e5),
        "rejected": st.sampled_from([True, False, None, 1, 0, "yes", math.nan]),
    },
)


@given(st.lists(anything, max_size=60))
@examples(200)
def test_whatever_comes_the_score_is_a_number_within_its_bounds(events):
    scorer = AnomalyScorer("demo")
    for event in events:
        assert FLOOR <= scorer.score(event) <= CAP
        assert all(isinstance(each, str) and each for each in scorer.explain())
    json.dumps(scorer.state(), allow_nan=False)


@given(st.lists(anything, max_size=40), st.lists(anything, max_size=20))
@examples(100)
def test_a_restart_changes_nothing(before, after):
    scorer = fed(before)
    heir = copied(scorer)
    assert heir.explain() == scorer.explain()
    for event in after:
        assert heir.score(event) == scorer.score(event)
        assert heir.explain() == scorer.explain()
    assert heir.state() == scorer.state()


@pytest.mark.parametrize("flow", [a_trader, a_quoter, a_saver])
def test_a_restart_in_the_middle_of_days_changes_nothing(flow):
    events = flow(days=6)
    scorer = AnomalyScorer("demo")
    heir = AnomalyScorer("demo")
    for number, event in enumerate(events):
        if number % 97 == 0:
            heir = copied(heir)
        assert scorer.score(event) == heir.score(event)
    assert heir.state() == scorer.state()


def test_what_comes_later_changes_no_earlier_score():
    events = a_trader(days=6)
    middle = len(events) // 2
    scorer, other = AnomalyScorer("demo"), AnomalyScorer("demo")
    first = [scorer.score(event) for event in events[:middle]]
    second = [other.score(event) for event in events[:middle]]
    for event in reversed(events[middle:]):
        other.score(event)
    assert first == second


def test_what_is_remembered_is_bounded():
    scorer = AnomalyScorer("demo")
    for number in range(3_000):
        scorer.score(an_event(START + number * 300, symbol=f"COIN{number}USDT", side="buy" if number % 2 else "sell"))
    assert len(json.dumps(scorer.state())) < 250_000


@pytest.mark.parametrize("flow", [a_trader, a_quoter, a_saver])
def test_usual_business_alarms_less_than_once_a_day(flow):
    assert sum(alarms(flow(seed, days=24), after=START + 10 * DAY) for seed in (11, 12, 13)) <= 3 * 14


def test_alarms_per_day_do_not_grow_with_the_number_of_orders():
    busy = a_trader(5, days=14, a_day=1_500, hours=(0, 24))
    assert alarms(busy, after=START + 5 * DAY) <= 9


def test_a_price_far_from_the_mark_is_seen_on_that_very_order(learned):
    for distance in (500.0, -2_000.0):
        scorer = copied(learned)
        assert scorer.score(an_event(NOON, distance_bps=distance)) >= 0
        assert any("bps" in each for each in scorer.explain())


def test_a_fat_finger_is_seen_on_that_very_order_and_told_in_words(learned):
    scorer = copied(learned)
    assert scorer.score(an_event(NOON, notional=40_000.0)) >= 1
    assert any("size 40,000 USDT" in each for each in scorer.explain())


def test_a_symbol_never_traded_is_seen_on_that_very_order(learned):
    scorer = copied(learned)
    assert scorer.score(an_event(NOON, symbol="NEWUSDT")) >= 0
    assert "NEWUSDT is a symbol it does not trade" in scorer.explain()


def test_a_symbol_is_no_less_new_because_of_one_incident_two_days_ago(learned):
    scorer = copied(learned)
    assert scorer.score(an_event(NOON, symbol="NEWUSDT")) >= 0
    for day in (1, 2):
        scorer.score(an_event(NOON + day * DAY))
    assert scorer.score(an_event(NOON + 2.1 * DAY, symbol="NEWUSDT")) >= 0


def test_a_symbol_ordered_in_four_blocks_is_its_own_and_every_other_as_new_as_before(learned):
    scorer = copied(learned)
    for block in range(4):
        assert scorer.score(an_event(NOON + block * 700, symbol="NEWUSDT")) >= 1
        assert "NEWUSDT" not in scorer.symbols()
    scorer.score(an_event(NOON + 4 * 700))
    assert "NEWUSDT" in scorer.symbols()
    assert scorer.score(an_event(NOON + 5 * 700, symbol="OTHERUSDT")) >= 1


def test_a_symbol_that_was_only_ever_refused_is_nobodys_own(learned):
    scorer = copied(learned)
    for block in range(40):
        scorer.score(an_event(NOON + block * 700, symbol="NEWUSDT", rejected=True))
    assert "NEWUSDT" not in scorer.symbols()
    young = fed([an_event(START + n * 700.0, symbol="NEWUSDT", rejected=True) for n in range(40)])
    assert young.symbols() == ()


def test_a_loop_that_went_wild_is_seen_within_five_orders(learned):
    scorer = copied(learned)
    assert max(scorer.score(an_event(NOON + number * 0.2)) for number in range(5)) >= 0


def test_a_storm_of_rejections_is_seen_within_three_seconds(learned):
    scorer = copied(learned)
    assert max(scorer.score(an_event(NOON + number * 0.7, rejected=True)) for number in range(5)) >= 0


def test_a_bot_that_buys_and_sells_in_turn_is_seen(learned):
    scorer = copied(learned)
    flips = (an_event(NOON + n * 2, side=("buy", "sell")[n % 2], distance_bps=1.0) for n in range(8))
    assert max(map(scorer.score, flips)) >= 0


def test_answers_that_become_slow_are_seen(learned):
    scorer = copied(learned)
    assert max(scorer.score(an_event(NOON + number * 20, round_trip_ms=600.0)) for number in range(6)) >= 0
    assert any("answers slowly" in each for each in scorer.explain())


def test_sizes_that_creep_up_are_seen_before_they_have_grown_tenfold(learned):
    scorer = copied(learned)
    size = 1_000.0 if not any("500" in each for each in scorer.explain()) else 500.0
    scores = [scorer.score(an_event(NOON + number * 120, notional=size * 1.2**number)) for number in range(13)]
    assert max(scores) >= 0


def test_an_hour_at_which_it_never_trades_is_seen():
    for flow, hour in ((a_trader, 2), (a_saver, 17)):
        scorer = fed(flow(days=14))
        assert scorer.score(an_event(START + 14 * DAY + hour * 3600 + 900, notional=600.0)) >= 0
        assert any(f"between {hour:02d}:00" in each for each in scorer.explain())


def test_a_usual_order_is_no_anomaly_and_needs_no_words(learned):
    scorer = copied(learned)
    usual = {"notional": 510.0, "round_trip_ms": 55.0, "distance_bps": 1.0}
    assert scorer.score(an_event(START + 15 * DAY + 8 * 3600 + 30, **usual)) < 0


def test_an_incident_is_not_learned_from():
    scorer = fed(a_trader(days=14))
    scores = [
        max(scorer.score(an_event(NOON + day * DAY + n, notional=40_000.0)) for n in range(3)) for day in range(4)
    ]
    assert min(scores) >= 1


def test_what_goes_on_for_days_becomes_the_new_normal():
    scorer = fed(a_trader(days=14))
    larger = [event | {"ts": event["ts"] + 14 * DAY, "notional": event["notional"] * 8} for event in a_trader(days=6)]
    scores = [scorer.score(event) for event in larger]
    assert max(scores[:20]) >= 1
    last_day = [score for event, score in zip(larger, scores, strict=True) if event["ts"] >= START + 19 * DAY]
    assert sum(score >= 0 for score in last_day) <= 2


def test_a_new_account_is_let_alone_while_it_behaves():
    for flow in (a_trader, a_quoter, a_saver):
        assert alarms(flow(7, days=1), after=START) == 0


@pytest.mark.parametrize(
    "incident",
    [
        [an_event(START + 8 * 3600, distance_bps=1_500.0)],
        [an_event(START + 8 * 3600, notional=60_000.0)],
        [an_event(START + 8 * 3600 + n * 0.05) for n in range(60)],
        [an_event(START + 8 * 3600 + n * 0.3, rejected=True) for n in range(12)],
    ],
    ids=["far price", "fat finger", "runaway loop", "reject storm"],
)
def test_what_is_absurd_for_any_account_alarms_within_its_first_hours(incident):
    scorer = fed([an_event(START + n * 700.0) for n in range(40)])
    assert max(map(scorer.score, incident)) >= 0


def test_a_bot_that_was_off_for_a_month_finds_its_past_as_it_left_it():
    scorer = fed(a_trader(days=14))
    back = START + 44 * DAY + 12 * 3600
    assert scorer.score(an_event(back)) < 0
    assert scorer.score(an_event(back + 60, notional=40_000.0)) >= 1


def test_an_answer_that_comes_by_itself_counts_for_nothing_but_itself():
    scorer = fed(a_trader(days=14))
    ordered = [scorer.score(an_event(NOON + n * 120, round_trip_ms=None, rejected=None)) for n in range(3)]
    assert max(ordered) < 0
    answers = [an_event(NOON + 400 + n * 0.5, type="answer", rejected=True) for n in range(4)]
    assert max(map(scorer.score, answers)) >= 0
    assert "rejections" in scorer.explain()[0]


def test_a_late_event_is_taken_as_of_the_last_one():
    scorer = fed(a_trader(days=3))
    at = scorer.state()["at"]
    scorer.score(an_event(at - 30))
    assert scorer.state()["at"] == at


def test_a_clock_that_was_wrong_once_does_not_stop_time():
    scorer = fed(a_trader(days=13))
    scorer.score(an_event(START + 500 * DAY))
    scorer.score(an_event(NOON))
    assert scorer.state()["at"] == NOON
    assert scorer.score(an_event(NOON + 600, notional=40_000.0)) >= 1


@pytest.mark.parametrize("state", [{}, {"method": "of another age"}, {"method": "own-tails-1", "account": "demo"}])
def test_a_state_of_another_version_is_said_to_be_one(state):
    with pytest.raises(ValueError, match="not a state"):
        AnomalyScorer.from_state(state)
