"""What a gate counts: by stage, by decision, by outcome, within bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.gate import counting
from proxy.gate.counting import BOUNDS_S, Counting, Kind, Stage, TurnedAway, kind_of
from proxy.store.gate_report import Count
from rules.decision import Breach
from rules.engine import clear
from rules.model import Command, SetLeverage, Side
from rules.order.max_order_value import MaxOrderValue
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, judged

SMALL = MaxOrderValue(limit=Decimal(1000))

KINDS = [
    ((), Kind.READ),
    ((a_buy("BTCUSDT", "1"),), Kind.ENTRY),
    ((a_sell("BTCUSDT", "1", reduce_only=True),), Kind.EXIT),
    ((an_amend(Side.BUY, "BTCUSDT", "1", "50000"),), Kind.ENTRY),
    ((a_cancel(),), Kind.CANCEL),
    ((SetLeverage(symbol="BTCUSDT", leverage=5),), Kind.CONFIG),
    ((a_cancel(), a_sell("BTCUSDT", "1", reduce_only=True)), Kind.EXIT),
    ((a_cancel(), a_buy("BTCUSDT", "1")), Kind.ENTRY),
]


@pytest.mark.parametrize(
    ("commands", "kind"), KINDS, ids=[f"{number}-{kind.name}" for number, (_, kind) in enumerate(KINDS)]
)
def test_a_request_is_what_its_words_say(commands: tuple[Command, ...], kind: Kind) -> None:
    assert kind_of(commands) is kind


def test_a_stage_is_counted_in_the_bucket_of_its_time() -> None:
    counts = Counting()
    counts.took(Kind.ENTRY, Stage.HOLD, 1_000, 1_000 + 400_000)  # 0.4 ms: above 0.25, at most 0.5.
    counts.took(Kind.ENTRY, Stage.HOLD, 0, 60_000_000_000)
    (times,) = counts.stages()
    assert (times.kind, times.stage) == ("entry", "hold")
    assert times.buckets[BOUNDS_S.index(0.0005)] == 1
    assert times.buckets[-1] == 1
    assert sum(times.buckets) == 2
    assert times.sum_s == pytest.approx(60.0004)


def test_a_time_that_equals_a_bound_is_within_it() -> None:
    counts = Counting()
    counts.took(Kind.READ, Stage.TOTAL, 0, round(BOUNDS_S[3] * 1e9))
    assert counts.stages()[0].buckets[3] == 1


def test_decisions_are_counted_by_the_first_breach() -> None:
    counts, world = Counting(), an_account()
    allowed, denied = judged(a_buy("BTCUSDT", "0.001"), world), judged(a_buy("BTCUSDT", "1"), world, SMALL)
    counts.ruled((allowed, denied), {})
    counts.ruled((denied,), {})
    assert {tuple(each.labels): each.count for each in counts.decisions()} == {
        ("allow", "", ""): 1,
        ("deny", "max_order_value", "ORDER_VALUE_ABOVE_LIMIT"): 2,
    }


def test_what_is_allowed_and_not_sent_is_neither_allowed_nor_denied() -> None:
    counts = Counting()
    withheld = Breach(rule_id="audit", code="AUDIT_UNAVAILABLE", message="the disk is full")
    counts.ruled((judged(a_buy("BTCUSDT", "0.001"), an_account()),), {0: withheld})
    assert counts.decisions() == [Count(labels=["withhold", "audit", "AUDIT_UNAVAILABLE"], count=1)]


def test_outcomes_are_counted_one_by_one_where_the_venue_told_them_apart() -> None:
    counts, world = Counting(), an_account()
    sent = {place: clear(judged(a_buy("BTCUSDT", "0.001"), world)) for place in (0, 2)}
    items = [{"place": 0, "outcome": "ACCEPTED"}, {"place": 2, "outcome": "REJECTED"}, {"note": "something"}]
    counts.settled("demo", "bot", sent, "ACCEPTED", items)
    counts.settled("demo", "bot", sent, "UNKNOWN", [])
    assert {tuple(each.labels): each.count for each in counts.orders()} == {
        ("demo", "bot", "entry", "accepted"): 1,
        ("demo", "bot", "entry", "rejected"): 1,
        ("demo", "bot", "entry", "unknown"): 2,
    }


def test_names_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SERIES_MAX", 3)
    counts, decision = Counting(), judged(a_buy("BTCUSDT", "0.001"), an_account())
    for number in range(10):
        counts.settled("demo", f"bot{number}", {0: clear(decision)}, "ACCEPTED", [])
    told = {tuple(each.labels): each.count for each in counts.orders()}
    assert len(told) == 4
    assert told["other", "other", "other", "other"] == 7


def test_only_what_happened_is_told() -> None:
    counts = Counting()
    assert (counts.stages(), counts.decisions(), counts.orders(), counts.refused()) == ([], [], [], [])
    counts.turned_away(TurnedAway.MALFORMED)
    assert counts.refused() == [Count(labels=["malformed"], count=1)]
