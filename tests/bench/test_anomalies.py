"""What the benchmark of the anomaly score counts as an alarm, a hit and a miss, and that it can tell good from bad."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import bench.anomalies
from bench.anomalies import main, measure, report, summary
from bench.anomaly_run import BenchFailed, Scorer, alarms, clean_time, runs
from sandbox.orderflow.incidents.strange import Incident, Kind
from sandbox.orderflow.rows import OrderEvent, to_rows
from sandbox.orderflow.simulation import DAY_S, Simulation, Stream

MINUTE = 60.0


class Large:
    """Alarms on what is larger than 150, and on nothing else."""

    def __init__(self, account: str) -> None:
        self.account = account

    def score(self, event: OrderEvent) -> float:
        return 0.0 if event["notional"] > 150 else -1.0

    def explain(self) -> list[str]:
        return ["larger than 150"]


class LargestYet:
    """Alarms on what is larger than anything before, once it has seen fifty orders."""

    def __init__(self, account: str) -> None:
        self._largest, self._seen = 0.0, 0

    def score(self, event: OrderEvent) -> float:
        self._seen += 1
        larger = event["notional"] > 1.5 * self._largest
        self._largest = max(self._largest, event["notional"])
        return 1.0 if larger and self._seen > 50 else -2.0

    def explain(self) -> list[str]:
        return ["larger than any before"]


class Silent(Large):
    def score(self, event: OrderEvent) -> float:
        return -1.0


class Mute(Large):
    def explain(self) -> list[str]:
        return []


class Broken(Large):
    def score(self, event: OrderEvent) -> float:
        return math.nan


def a_stream(sizes: dict[float, float], *incidents: Incident) -> Stream:
    """Orders at so many minutes, of these sizes."""
    records = [(minute * MINUTE, "new", "BTCUSDT", "buy", size, 1.0, 5.0, False) for minute, size in sizes.items()]
    return Stream("bot", to_rows(records), incidents)


def an_incident(kind: Kind, begin: float, end: float, *events: int) -> Incident:
    return Incident(
        account="bot", kind=kind, mild=False, start=begin * MINUTE, end=end * MINUTE, events=events, about=""
    )


def struck_run(stream: Stream, make: type[Scorer] = Large):
    """The run with incidents, of a test that begins at once and lasts a day."""
    return runs(make, stream, stream, 0.0, DAY_S)[1]


def the_outcome(sizes: dict[float, float], incident: Incident):
    (outcome,) = struck_run(a_stream(sizes, incident)).outcomes
    return outcome


def test_an_alarm_is_raised_again_after_ten_minutes() -> None:
    ts = np.array([0.0, 30, 599, 600, 1199, 1201])
    assert alarms(ts, np.array([True] * 6)) == [0, 600, 1201]
    assert alarms(ts, np.array([False, True, False, False, True, False])) == [30, 1199]


def test_clean_time_ends_with_an_incident_and_begins_a_quarter_of_an_hour_after_it() -> None:
    ts = np.array([9, 10, 12, 20, 27, 27.1]) * MINUTE
    clean = clean_time(ts, (an_incident("reject storm", 10, 12),))
    assert clean.tolist() == [True, False, False, False, False, True]


def test_alarms_in_clean_time_are_false_and_others_are_not() -> None:
    incident = an_incident("reject storm", 10, 12, 1, 2)
    run = struck_run(a_stream({5: 200, 10: 200, 12: 200, 20: 200, 40: 200, 41: 200}, incident))
    assert run.false_alarms == (5 * MINUTE, 40 * MINUTE)
    assert run.clean_days == pytest.approx(1 - 17 / 1440)


def test_delays_run_from_the_first_order_and_count_its_own() -> None:
    outcome = the_outcome({1: 100, 10: 100, 11: 100, 11.5: 100, 12: 200}, an_incident("runaway loop", 10, 12, 1, 2, 4))
    assert outcome.hit
    assert (outcome.delay_s, outcome.delay_orders) == (120.0, 3)


@pytest.mark.parametrize(("minute", "hit"), [(13.0, True), (13.1, False)])
def test_a_minute_after_the_end_is_in_time_and_later_is_not(minute: float, hit: bool) -> None:
    assert the_outcome({10: 100, 12: 100, minute: 200}, an_incident("reject storm", 10, 12, 0, 1)).hit == hit


def test_an_alarm_before_the_incident_does_not_find_it() -> None:
    assert not the_outcome({9.9: 200, 10: 100, 12: 100}, an_incident("reject storm", 10, 12, 1, 2)).hit


@pytest.mark.parametrize("kind", ["far price", "fat finger"])
@pytest.mark.parametrize(("sizes", "hit"), [((200, 100), True), ((100, 200), False)])
def test_a_single_order_is_found_by_its_own_score_alone(kind: Kind, sizes: tuple[float, float], hit: bool) -> None:
    outcome = the_outcome({10: sizes[0], 10.01: sizes[1]}, an_incident(kind, 10, 10, 0))
    assert outcome.hit == hit
    assert (outcome.delay_orders == 1) == hit


def test_chance_is_what_false_alarms_would_have_found() -> None:
    sizes = {float(minute): 200.0 for minute in range(0, 1000, 20)} | {1200.0: 100.0, 1259.0: 100.0}
    outcome = the_outcome(sizes, an_incident("off-hours", 1200, 1259, 50, 51))
    clean_days = 1 - (59 + 15) / 1440
    assert outcome.by_chance == pytest.approx(1 - math.exp(-50 / clean_days / 24))


def test_what_went_wrong_while_it_learned_is_told_apart() -> None:
    learning, testing = an_incident("fat finger", 10, 10, 0), an_incident("fat finger", 1500, 1500, 2)
    stream = a_stream({10: 200, 20: 100, 1500: 200}, learning, testing)
    clean, struck = runs(Large, a_stream({20: 100}), stream, DAY_S, 2 * DAY_S)
    assert (clean.learning_incidents, struck.learning_incidents) == (0, 1)
    assert [outcome.incident for outcome in struck.outcomes] == [testing]
    assert (clean.events, struck.events) == (1, 3)


def test_learning_that_both_runs_share_is_counted_once() -> None:
    clean, struck = a_stream({10: 100, 20: 100, 1500: 100}), a_stream({10: 100, 20: 100, 1500: 100, 1501: 200})
    both = runs(Large, clean, struck, DAY_S, 2 * DAY_S)
    assert [run.events for run in both] == [3, 2]


def test_an_alarm_without_a_reason_is_told() -> None:
    stream = a_stream({10: 200, 11: 200, 30: 200})
    assert struck_run(stream, Mute).unexplained == 2
    assert struck_run(stream, Large).unexplained == 0


def test_a_score_that_is_no_number_ends_it() -> None:
    with pytest.raises(BenchFailed, match="not a number"):
        struck_run(a_stream({10: 100}), Broken)


# All of it, on a small simulation


@pytest.fixture(scope="module")
def small() -> Simulation:
    return Simulation(6, 4, 2, each=1)


def test_a_detector_of_sizes_finds_fat_fingers_and_no_latency(small: Simulation) -> None:
    figures = summary([measure(small, LargestYet)])
    incidents, false_alarms = figures["incidents"], figures["false_alarms_per_day"]
    assert incidents["fat finger"]["hit"] > 0.6
    assert incidents["fat finger"]["delay_orders"] == 1
    assert incidents["latency shock"]["hit"] < 0.2
    assert 0.05 < incidents["all"]["hit"] < 0.5
    assert false_alarms["nothing wrong"]["accounts"] == 6
    assert false_alarms["nothing wrong"]["mean"] < 1
    parts = ("incidents in the test only", "also 1 to 3 while it learned")
    assert sum(false_alarms[part]["accounts"] for part in parts) == 6
    assert figures["together"]["moments"] == 2
    assert figures["alarms_without_reason"] == 0
    assert "| fat finger | 6 |" in report(figures, range(6, 7))


def test_one_that_never_alarms_finds_nothing_and_says_so(
    small: Simulation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.anomalies, "Simulation", lambda seed: small)
    assert main(["--seeds", "1", "--json"], Silent) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["incidents"]["all"]["hit"] == 0
    assert figures["false_alarms_per_day"]["nothing wrong"]["max"] == 0
    assert main(["--seeds", "1"], Broken) == 1
    assert "not a number" in capsys.readouterr().err


def test_no_seeds_are_refused() -> None:
    with pytest.raises(SystemExit):
        main(["--seeds", "0"], Silent)
