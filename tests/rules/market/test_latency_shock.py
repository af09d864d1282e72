"""A way to the venue that is far slower than usual: recorded, then slowed down, then no new risk."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import HoldStatus
from rules.engine import decide_batch
from rules.market.latency_shock import LatencyShock
from tests.rules.builders import a_buy, a_policy, an_account, codes, judged

RULE = LatencyShock(alert_ratio=Decimal(3), delay_ratio=Decimal(5), delay_s=2, reduce_ratio=Decimal(10))
ALERT_ONLY = LatencyShock(alert_ratio=Decimal(3))
ENTRY = a_buy("BTCUSDT", "1")
USUAL = {
    "round_trip_ms": "100",
    "round_trip_usual_ms": "100",
    "stream_lag_ms": "40",
    "stream_lag_usual_ms": "40",
    "clock_skew_ms": "5",
    "clock_skew_usual_ms": "5",
}


def a_world(*, seconds_ago=0, without=(), **changes):
    values = {name: value for name, value in (USUAL | changes).items() if name not in without}
    return an_account().with_latency(seconds_ago=seconds_ago, **values)


def breach(world, rule=RULE):
    return rule.check(ENTRY, world.snapshot)


def code(world, rule=RULE):
    found = breach(world, rule)
    return found.code if found is not None else None


def measured(world, rule=RULE):
    return {each.name: (each.value, each.unit) for each in rule.measure(ENTRY, world.snapshot)}


def test_the_usual_way_is_no_matter():
    assert code(a_world()) is None
    assert measured(a_world()) == {
        "latency_ratio": ("0.00", "times usual"),
        "latency_part": ("none", ""),
        "latency_stage": ("usual", ""),
    }


@pytest.mark.parametrize(
    ("part", "usual", "at_limit", "above"),
    [("round_trip", "100", "1000", "1001"), ("stream_lag", "40", "400", "401"), ("clock_skew", "30", "300", "301")],
)
def test_ten_times_the_usual_is_allowed_and_a_millisecond_more_is_not(part, usual, at_limit, above):
    rule = LatencyShock(reduce_ratio=Decimal(10))
    assert code(a_world(**{f"{part}_ms": at_limit, f"{part}_usual_ms": usual}), rule) is None
    found = breach(a_world(**{f"{part}_ms": above, f"{part}_usual_ms": usual}), rule)
    assert found.code == "LATENCY_ABOVE_LIMIT"
    assert found.message.startswith(part.replace("_", " "))


def test_the_reduce_stage_says_what_is_slow_and_what_passes():
    found = breach(a_world(round_trip_ms="1230"))
    assert found.message == "round trip is 12.30 times its usual"
    assert (found.observed, found.limit) == ("12.30 times", "10.00 times")
    assert found.advice == "reduce-only orders and cancels pass"


def test_the_worst_part_counts_wherever_it_stands():
    assert measured(a_world(round_trip_ms="400", stream_lag_ms="360", clock_skew_ms="210"))["latency_part"] == (
        "clock skew",
        "",
    )
    assert measured(a_world(round_trip_ms="900", stream_lag_ms="300"))["latency_ratio"] == ("9.00", "times usual")


def test_of_equals_the_first_is_named():
    assert measured(a_world(round_trip_ms="700", stream_lag_ms="280"))["latency_part"] == ("round trip", "")


def test_nothing_up_to_the_floor_counts():
    """A clock that is usually right to 5 ms may be 40 times as far off and still be fine."""
    assert measured(a_world(clock_skew_ms="200"))["latency_ratio"][0] == "0.00"
    assert measured(a_world(clock_skew_ms="200.1"))["latency_ratio"][0] == "40.02"


def test_the_floor_may_be_set():
    rule = replace(RULE, floor_ms=5000)
    assert code(a_world(round_trip_ms="5000"), rule) is None
    assert code(a_world(round_trip_ms="5001"), rule) == "LATENCY_ABOVE_LIMIT"


def test_a_stream_from_the_future_counts_as_its_distance():
    assert code(a_world(stream_lag_ms="-401")) == "LATENCY_ABOVE_LIMIT"


@pytest.mark.parametrize(("usual", "ratio"), [("0", "300.00"), ("0.5", "300.00"), ("1", "300.00"), ("2", "150.00")])
def test_less_than_a_millisecond_is_not_usual(usual, ratio):
    assert measured(a_world(clock_skew_ms="300", clock_skew_usual_ms=usual))["latency_ratio"][0] == ratio


SLOW = a_world(round_trip_ms="501")


def test_the_delay_stage_lets_the_first_entry_through():
    assert code(SLOW) is None


@pytest.mark.parametrize(
    ("seconds_ago", "expected"),
    [(1.999, "ENTRY_TOO_SOON_IN_LATENCY_SHOCK"), (2, None), (60, None), (-5, "ENTRY_TOO_SOON_IN_LATENCY_SHOCK")],
)
def test_entries_stand_apart_in_the_delay_stage(seconds_ago, expected):
    assert code(SLOW.having_tried(ENTRY, seconds_ago=seconds_ago)) == expected


def test_at_the_delay_ratio_nothing_is_delayed_yet():
    assert code(a_world(round_trip_ms="500").having_tried(ENTRY)) is None


def test_the_last_entry_counts_and_a_refused_one_does_not():
    world = SLOW.having_tried(ENTRY, seconds_ago=30).having_tried(ENTRY, seconds_ago=1, refused=True)
    assert code(world) is None
    assert code(world.having_tried(ENTRY, seconds_ago=0.5)) == "ENTRY_TOO_SOON_IN_LATENCY_SHOCK"
    assert code(SLOW.having_tried(ENTRY, seconds_ago=1).having_tried(ENTRY, seconds_ago=30)) is not None


def test_the_entries_of_a_batch_do_not_stand_apart():
    decisions = decide_batch([ENTRY, ENTRY], SLOW.snapshot, a_policy(RULE))
    assert [codes(decision) for decision in decisions] == [["BATCH_REFUSED"], ["ENTRY_TOO_SOON_IN_LATENCY_SHOCK"]]
    assert decisions[1].breaches[0].observed == "0.0 s"
    assert [codes(decision) for decision in decide_batch([ENTRY, ENTRY], a_world().snapshot, a_policy(RULE))] == [
        [],
        [],
    ]


@pytest.mark.parametrize("status", HoldStatus)
def test_one_still_under_way_whose_attempt_is_out_of_reach_was_sent_long_ago(status):
    assert code(SLOW.holding(ENTRY, bot="demo-bot", status=status)) is None


def test_a_memory_full_of_refusals_does_not_hide_the_entry_before_them():
    (refused,) = an_account().having_tried(ENTRY, seconds_ago=1, refused=True).attempts
    assert code(replace(SLOW, attempts=(refused,) * 189)) is None
    assert code(replace(SLOW, attempts=(refused,) * 190)) == "ENTRY_TOO_SOON_IN_LATENCY_SHOCK"


def test_it_looks_back_as_far_as_entries_stand_apart_and_a_little_more():
    assert RULE.looks_back_s == 3
    assert ALERT_ONLY.looks_back_s == 0


def test_a_delay_says_how_long():
    found = breach(SLOW.having_tried(ENTRY, seconds_ago=0.5))
    assert (found.observed, found.limit) == ("0.5 s", "2 s")
    assert found.message == "round trip is 5.01 times its usual; entries must stand 2 s apart"
    assert found.advice == "send it again in 1.5 s; reduce-only orders and cancels pass"


def test_without_a_delay_stage_nothing_is_delayed():
    assert code(a_world(round_trip_ms="999").having_tried(ENTRY), LatencyShock(reduce_ratio=Decimal(10))) is None


def test_without_a_reduce_stage_nothing_more_than_a_delay_happens():
    rule = LatencyShock(delay_ratio=Decimal(5), delay_s=2)
    assert code(a_world(round_trip_ms="99000"), rule) is None
    assert code(a_world(round_trip_ms="99000").having_tried(ENTRY), rule) == "ENTRY_TOO_SOON_IN_LATENCY_SHOCK"


@pytest.mark.parametrize(
    ("round_trip", "stage"),
    [
        ("300", "usual"),
        ("301", "alert"),
        ("500", "alert"),
        ("501", "delay"),
        ("1000", "delay"),
        ("1001", "reduce"),
    ],
)
def test_the_stage_is_recorded(round_trip, stage):
    assert measured(a_world(round_trip_ms=round_trip))["latency_stage"] == (stage, "")


UNKNOWN = {
    "no conditions": an_account(),
    "no latency": an_account().in_conditions("BTCUSDT"),
    "old": a_world(seconds_ago=30.001),
    "from the future": a_world(seconds_ago=-30.001),
    "no round trip": a_world(without=("round_trip_ms",)),
    "no clock skew": a_world(without=("clock_skew_ms",)),
    "a usual value not known": a_world(round_trip_ms="201", without=("round_trip_usual_ms",)),
}


@pytest.mark.parametrize("world", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize(
    "rule",
    [RULE, LatencyShock(reduce_ratio=Decimal(10)), LatencyShock(delay_ratio=Decimal(5), delay_s=1)],
    ids=["all", "reduce", "delay"],
)
def test_entries_do_not_run_blind(world, rule):
    found = breach(world, rule)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the latency of the way to the venue is not known now")
    assert measured(world, rule) == {"latency_stage": ("unknown", "")}


@pytest.mark.parametrize("world", [*UNKNOWN.values(), a_world(round_trip_ms="99000")], ids=[*UNKNOWN, "slow"])
def test_an_alert_alone_refuses_nothing(world):
    assert code(world.having_tried(ENTRY), ALERT_ONLY) is None


@pytest.mark.parametrize("seconds_ago", [30, -30])
def test_half_a_minute_is_not_old(seconds_ago):
    assert code(a_world(seconds_ago=seconds_ago)) is None


def test_a_silent_stream_has_no_lag():
    """Nothing happens on a private stream while a bot waits; its first entry must not wait for that."""
    world = a_world(without=("stream_lag_ms", "stream_lag_usual_ms"))
    assert code(world) is None
    assert measured(world)["latency_stage"] == ("usual", "")
    assert code(a_world(round_trip_ms="1001", without=("stream_lag_ms",))) == "LATENCY_ABOVE_LIMIT"
    assert code(a_world(clock_skew_ms="201", without=("stream_lag_ms",))) == "LATENCY_ABOVE_LIMIT"


def test_what_does_not_count_needs_no_usual_value():
    assert code(a_world(without=("clock_skew_usual_ms",))) is None


def test_size_is_not_the_matter():
    assert judged(ENTRY, a_world(round_trip_ms="1001"), RULE).breaches[0].headroom is None


RISE = "latency_shock: alert_ratio, delay_ratio and reduce_ratio must rise in this order"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "latency_shock needs alert_ratio, delay_ratio or reduce_ratio"),
        ({"delay_ratio": 5}, "latency_shock: delay_ratio and delay_s need each other"),
        ({"delay_s": 5, "reduce_ratio": 3}, "latency_shock: delay_ratio and delay_s need each other"),
        ({"alert_ratio": 5, "reduce_ratio": 3}, RISE),
        ({"alert_ratio": 5, "delay_ratio": 3, "delay_s": 1}, RISE),
        ({"delay_ratio": 5, "delay_s": 1, "reduce_ratio": 3}, RISE),
    ],
)
def test_stages_that_contradict_each_other_are_no_rule(settings, reason):
    numbers = {name: value if name == "delay_s" else Decimal(value) for name, value in settings.items()}
    with pytest.raises(ValueError, match=f"^{reason}$"):
        LatencyShock(**numbers)


def test_equal_stages_are_allowed():
    assert LatencyShock(alert_ratio=Decimal(5), reduce_ratio=Decimal(5))
