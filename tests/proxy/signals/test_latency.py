"""Latency against its own history."""

from __future__ import annotations

from decimal import Decimal

from proxy.signals.latency import History, LatencyWatch
from rules.facts import Latency
from tests.rules.builders import NOW


def minutes(history: History, *values: float, per_minute: int = 3) -> float:
    """Samples of one value a minute, from the first minute on; when the last minute ends."""
    for minute, value in enumerate(values):
        for n in range(per_minute):
            history.add(600 + minute * 60 + n, value)
    return 600.0 + len(values) * 60


def test_now_is_the_median_of_the_last_minute():
    history = History()
    for at, value in ((0, 1000.0), (100, 10.0), (101, 500.0), (102, 12.0)):
        history.add(at, value)
    assert history.now(110) == 12
    assert history.now(161.5) == 12
    assert history.now(162) is None


def test_usual_is_the_median_of_earlier_minutes_and_not_of_this_one():
    history = History()
    ended = minutes(history, 10, 20, 30)
    assert history.usual(ended) == 20
    history.add(ended + 1, 5_000)
    assert history.usual(ended + 2) == 20


def test_three_minutes_are_needed_to_call_anything_usual():
    history = History()
    ended = minutes(history, 10, 20)
    assert history.usual(ended) is None


def test_a_bad_hour_does_not_become_the_usual():
    history = History()
    ended = minutes(history, *[10.0] * 120, *[900.0] * 60)
    assert history.usual(ended) == 10
    assert history.now(ended - 50) == 900


def test_what_is_kept_is_bounded():
    history = History()
    minutes(history, *[10.0] * 1_000, per_minute=1)
    for _ in range(10_000):
        history.add(1e6, 1)
    assert len(history._minutes) <= 360
    assert len(history._samples) + len(history._minute[1]) <= 1_000


def test_orders_speak_when_there_are_some_and_reads_in_quiet_times():
    watch = LatencyWatch()
    for minute in range(4):
        for n in range(3):
            watch.read(minute * 60 + n, 100)
            watch.order(minute * 60 + n, 20)
    busy, quiet = watch.latency(182.5, NOW), watch.latency(245, NOW)
    assert (busy.round_trip_ms, busy.round_trip_usual_ms) == (20, 20)
    watch.read(244, 400)
    quiet = watch.latency(245, NOW)
    assert (quiet.round_trip_ms, quiet.round_trip_usual_ms) == (400, 100)


def test_after_a_restart_each_is_still_compared_with_its_own_history():
    """Orders take a fifth of a read here: told against the reads' usual they would hide any shock."""
    before, after = LatencyWatch(), LatencyWatch()
    for minute in range(4):
        for n in range(3):
            before.read(minute * 60 + n, 100)
            before.order(minute * 60 + n, 20)
    after.inherit(before.latency(182.5, NOW))
    after.read(1, 100)
    found = after.latency(2, NOW)
    assert (found.round_trip_ms, found.round_trip_usual_ms) == (100, 100)
    for n in range(3):
        after.order(n, 80)
    found = after.latency(3, NOW)
    assert (found.round_trip_ms, found.round_trip_usual_ms) == (80, 20)


def test_a_sample_told_of_a_minute_late_begins_no_minute_again():
    history = History()
    ended = minutes(history, 10, 20, 30)
    history.add(ended + 1, 40)
    history.add(ended - 1, 40)
    assert history.usual(ended + 2) == 20
    assert history.count(ended + 58.5) == 2
    assert history.count(ended + 59) == 1


def test_two_orders_in_a_minute_are_too_few_to_speak():
    watch = LatencyWatch()
    for minute in range(4):
        watch.order(minute * 60, 20)
        watch.order(minute * 60 + 1, 20)
        watch.read(minute * 60, 100)
    assert watch.latency(182, NOW).round_trip_ms == 100


def test_the_stream_and_the_clock_have_their_own_histories():
    watch = LatencyWatch()
    for minute in range(4):
        watch.stream(minute * 60, 30)
        watch.skew(minute * 60, -7)
    found = watch.latency(241, NOW)
    assert (found.stream_lag_ms, found.stream_lag_usual_ms) == (30, 30)
    assert (found.clock_skew_ms, found.clock_skew_usual_ms) == (None, 7), "the last reading is over a minute old"
    assert watch.latency(185, NOW).clock_skew_ms == 7
    assert found.as_of == NOW


def test_an_event_cannot_come_before_it_was_sent():
    watch = LatencyWatch()
    watch.stream(10, -50)
    assert watch.latency(11, NOW).stream_lag_ms == 0


def test_without_samples_nothing_is_known():
    assert LatencyWatch().latency(0, NOW) == Latency(as_of=NOW)


def test_what_was_usual_before_stands_until_there_is_a_history_again():
    watch = LatencyWatch()
    watch.inherit(
        Latency(
            as_of=NOW,
            read_usual_ms=Decimal("55.5"),
            stream_lag_usual_ms=Decimal(9),
            clock_skew_usual_ms=Decimal(3),
        )
    )
    found = watch.latency(0, NOW)
    assert (found.round_trip_usual_ms, found.stream_lag_usual_ms, found.clock_skew_usual_ms) == (Decimal("55.5"), 9, 3)
    assert found.round_trip_ms is None
    for minute in range(4):
        watch.read(minute * 60, 100)
    assert watch.latency(241, NOW).round_trip_usual_ms == 100
