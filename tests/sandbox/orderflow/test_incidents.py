"""Every incident changes what it should, its label says exactly where, and nothing else is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from sandbox.orderflow.incidents.schedule import APART_S
from sandbox.orderflow.incidents.strange import KINDS, Incident, Strange, applied
from sandbox.orderflow.incidents.usual import Usual
from sandbox.orderflow.rows import Rows, to_rows
from sandbox.orderflow.simulation import Simulation, Stream

Struck = dict[str, Stream]


def of_kind(kind: str, simulation: Simulation, struck: Struck) -> Iterator[tuple[Incident, Rows, Usual]]:
    """The label, its orders, and what had been usual before."""
    found = 0
    for account, stream in struck.items():
        usual = Usual(simulation.clean[account], [])
        for incident in stream.incidents:
            if incident.kind == kind:
                found += 1
                yield incident, stream.rows[list(incident.events)], usual
    assert found, f"no {kind} in this simulation"


def test_every_kind_is_there_once_an_account_at_most_while_testing(simulation: Simulation, struck: Struck) -> None:
    kinds: Counter[str] = Counter()
    for stream in struck.values():
        testing = [each.kind for each in stream.incidents if each.start >= simulation.test_from]
        assert max(Counter(kind for kind in testing if kind != "together").values()) == 1
        kinds.update(testing)
    assert set(kinds) == {*KINDS, "together"}
    assert all(kinds[kind] >= 6 for kind in ("far price", "fat finger", "runaway loop", "reject storm", "new symbol"))


def test_some_are_mild_and_some_befall_the_learning(simulation: Simulation, struck: Struck) -> None:
    labels = [each for stream in struck.values() for each in stream.incidents if each.kind != "together"]
    assert 0.15 < sum(each.mild for each in labels) / len(labels) < 0.5
    learning = [sum(each.start < simulation.test_from for each in stream.incidents) for stream in struck.values()]
    assert min(learning) == 0
    assert 1 <= max(learning) <= 3


def test_incidents_of_an_account_lie_apart(struck: Struck) -> None:
    for stream in struck.values():
        for earlier, later in zip(stream.incidents, stream.incidents[1:], strict=False):
            assert later.start - earlier.end > APART_S - 1


def test_labels_say_exactly_which_orders_are_not_the_accounts_own(simulation: Simulation, struck: Struck) -> None:
    for account, stream in struck.items():
        clean, rows = simulation.clean[account], stream.rows
        assert np.all(np.diff(rows["ts"]) >= 0)
        labelled = sorted(place for each in stream.incidents for place in each.events)
        assert len(labelled) == len(set(labelled))
        own = Counter(map(tuple, np.delete(rows, labelled).tolist()))
        missing = Counter(map(tuple, clean.tolist()))
        assert own <= missing
        missing -= own
        moments = set(rows["ts"][labelled].tolist())
        assert all(record[0] in moments for record in missing)
        for each in stream.incidents:
            assert (each.start, each.end) == (rows["ts"][each.events[0]], rows["ts"][each.events[-1]])


def test_a_far_price_is_farther_than_any_before(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("far price", simulation, struck):
        distance = float(orders["distance_bps"][0])
        before = usual.farthest_bps(incident.start, 1 if distance > 0 else -1)
        assert len(orders) == 1
        assert abs(distance) >= (100 if incident.mild else 300)
        assert abs(distance) >= min((1.5 if incident.mild else 3) * before, 5000) - 0.01


def test_a_fat_finger_is_several_times_the_largest_before(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("fat finger", simulation, struck):
        assert len(orders) == 1
        assert orders["notional"][0] >= (3 if incident.mild else 5) * usual.largest(incident.start) - 0.01


def test_a_latency_shock_slows_every_order(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("latency shock", simulation, struck):
        assert len(orders) >= 4
        assert incident.end - incident.start <= 1200
        slower = np.median(orders["round_trip_ms"]) / usual.round_trip_ms(incident.start)
        assert slower > (2.5 if incident.mild else 4)


def test_a_reject_storm_is_refused_again_and_again(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, _ in of_kind("reject storm", simulation, struck):
        placed = orders[orders["type"] != "cancel"]
        assert placed["rejected"].sum() >= (3 if incident.mild else 9)
        assert placed["rejected"].mean() > (0.25 if incident.mild else 0.8)


def test_a_reject_storms_label_says_how_many_were_refused(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, _ in of_kind("reject storm", simulation, struck):
        storm = orders[orders["type"] != "cancel"]
        assert incident.about.startswith(f"{int(storm['rejected'].sum())} of {len(storm)} refused in ")


def test_the_busiest_ten_seconds_know_nothing_of_what_comes() -> None:
    """Twenty orders a minute apart, then fifty a tenth of a second apart, of which four have come."""
    times = [60.0 * number for number in range(20)] + [2000.0 + 0.1 * number for number in range(50)]
    usual = Usual(to_rows([(at, "new", "BTCUSDT", "buy", 10.0, -1.0, 5.0, False) for at in times]), [])
    assert [usual.busiest_10s(at) for at in (0.5, 2000.35, 2004.95, 3000)] == [1, 4, 50, 50]


def test_accounts_that_have_placed_nothing_yet_are_not_strange_together() -> None:
    """In this seed one begins only after the moment of the first of the two."""
    Simulation(213, 2, 1).with_incidents()


def test_a_runaway_loop_is_faster_than_the_busiest_moment_before(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("runaway loop", simulation, struck):
        within_10s = (np.searchsorted(orders["ts"], orders["ts"] + 10) - np.arange(len(orders))).max()
        assert within_10s >= 1.2 * usual.busiest_10s(incident.start)
        assert len(orders) >= 20
        assert len(set(orders["symbol"].tolist())) == len(set(orders["notional"].tolist())) == 1


def test_a_flip_flop_crosses_the_spread_to_and_fro(simulation: Simulation, struck: Struck) -> None:
    for _, orders, _ in of_kind("flip-flop", simulation, struck):
        assert len(orders) >= 10
        assert np.all(orders["side"][1:] != orders["side"][:-1])
        assert np.all(orders["distance_bps"] > 0)


def test_sizes_that_creep_never_shrink_and_pass_the_largest(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("size creep", simulation, struck):
        first = usual.next(incident.start)
        times = orders["notional"] / usual.rows["notional"][first : first + len(orders)]
        assert np.all(np.diff(times) > -1e-3 * times[1:])  # Cents are rounded.
        assert times[0] < 2
        over = times[-1] * usual.typical(incident.start) / usual.largest(incident.start)
        assert over > (1.15 if incident.mild else 1.9)


def test_off_hours_are_hours_in_which_the_account_is_silent(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("off-hours", simulation, struck):
        assert len(orders) >= 2
        for hour in set((orders["ts"] // 3600 % 24).astype(int).tolist()):
            assert ((usual.ts // 3600 % 24) == hour).sum() <= 2, incident


def test_a_new_symbol_was_never_traded(simulation: Simulation, struck: Struck) -> None:
    for incident, orders, usual in of_kind("new symbol", simulation, struck):
        assert not set(orders["symbol"].tolist()) & set(usual.rows["symbol"].tolist())
        assert len(set(orders["symbol"].tolist())) == 1
        assert (len(orders) < 3) == incident.mild


def test_several_accounts_turn_strange_within_minutes(simulation: Simulation, struck: Struck) -> None:
    labels = sorted(each.start for stream in struck.values() for each in stream.incidents if each.kind == "together")
    moments = 1 + int((np.diff(labels) > 3600).sum())
    assert moments == 2
    assert 8 <= len(labels) <= 14
    refused = [float(orders["rejected"].mean()) for _, orders, _ in of_kind("together", simulation, struck)]
    assert 0.1 < np.mean(refused) < 0.45


# How they are put in


def some_rows() -> Rows:
    return to_rows([(float(ts), "new", "BTCUSDT", "buy", 100.0, -1.0, 5.0, False) for ts in (10, 20, 30)])


def test_added_and_changed_orders_find_their_places() -> None:
    added = [
        (25.0, "new", "ETHUSDT", "sell", 7.0, 1.0, 5.0, False),
        (12.0, "new", "ETHUSDT", "sell", 8.0, 1.0, 5.0, False),
    ]
    strange = Strange(kind="new symbol", mild=True, about="", added=added, changed={2: {"rejected": True}})
    rows, (label,) = applied("a", some_rows(), [strange])
    assert rows["ts"].tolist() == [10, 12, 20, 25, 30]
    assert rows["rejected"].tolist() == [False, False, False, False, True]
    assert label.events == (1, 3, 4)
    assert (label.start, label.end) == (12.0, 30.0)


def test_the_clean_rows_stay_clean() -> None:
    rows = some_rows()
    applied("a", rows, [Strange(kind="reject storm", mild=True, about="", changed={0: {"rejected": True}})])
    assert not rows["rejected"].any()


def test_without_incidents_nothing_is_changed() -> None:
    rows, labels = applied("a", some_rows(), [])
    assert np.array_equal(rows, some_rows())
    assert labels == []


@pytest.mark.parametrize("account", ["scalper-1", "dca-1"])
def test_what_is_usual_looks_back_only(simulation: Simulation, account: str) -> None:
    rows = simulation.clean[account]
    half = len(rows) // 2
    moment = float(rows["ts"][half])
    of_all, of_half = Usual(rows, []), Usual(rows[:half], [])
    for answer in ("largest", "typical", "round_trip_ms"):
        assert getattr(of_all, answer)(moment) == getattr(of_half, answer)(moment)
    assert of_all.farthest_bps(moment, 1) == of_half.farthest_bps(moment, 1)
