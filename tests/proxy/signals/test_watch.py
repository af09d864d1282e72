"""From the audit's records to the published score."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.gate.recording import Subject
from proxy.signals.watch import AnomalyWatch, observations
from proxy.store.codec import dump, load
from proxy.store.embedded import EmbeddedStore
from proxy.store.warden_store import WardenStore
from rules.engine import decide_batch
from rules.facts import Score
from rules.order.max_order_value import MaxOrderValue
from tests.rules.builders import NOW, a_buy, a_cancel, a_policy, a_sell, an_account

SUBJECT = Subject(
    decision_id="d",
    desk="desk",
    bot="demo-bot",
    account="demo",
    venue="binanceusdm",
    key_hint="1234",
    route="POST /fapi/v1/order",
)


def traders():
    return [("demo-bot", "demo"), ("second", "demo")]


def a_record(*commands, rules=(), bot="demo-bot"):
    """A decision's record, as the warden reads it from the stream."""
    snapshot = an_account().long("BTCUSDT", "2").snapshot
    decisions = decide_batch(commands, snapshot, a_policy(*rules))
    subject = replace(SUBJECT, bot=bot)
    return load(dump(subject.decision(snapshot, "1", commands, decisions, withheld={})))


def test_an_entry_is_seen_with_its_worth_and_its_distance_from_the_mark():
    (seen,) = observations(a_record(a_buy("BTCUSDT", "1", "49500")))
    assert (seen.at, seen.refused, seen.size) == (NOW.timestamp(), False, 50_000)
    assert seen.distance == pytest.approx(0.01)


def test_a_market_order_has_no_distance():
    (seen,) = observations(a_record(a_buy("BTCUSDT", "1")))
    assert seen.distance is None


def test_a_refused_entry_is_seen_as_refused():
    (seen,) = observations(a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))]))
    assert seen.refused


def test_exits_and_cancels_are_never_held_against_a_bot():
    assert observations(a_record(a_sell("BTCUSDT", "1", reduce_only=True), a_cancel())) == []


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot": None},
        {"snapshot": {"now": "yesterday"}},
        {"commands": [{"type": "Unheard"}]},
        {"decisions": [{}]},
        {"decisions": 5},
    ],
)
def test_a_record_nobody_can_read_teaches_nothing(change):
    assert observations({**a_record(a_buy("BTCUSDT", "1")), **change}) == []


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def store(server: EmbeddedStore, request: pytest.FixtureRequest) -> AsyncIterator[WardenStore]:
    opened = WardenStore(server.url, request.node.name[:30])
    yield opened
    await opened.aclose()


async def test_scores_are_published_and_taken_over(store):
    watch = AnomalyWatch(store, traders)
    refused = a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))])
    await watch.see([refused] * 10)
    assert await store.scores() == {
        "bot:demo-bot": Score(value=1.0, why="refusals"),
        "account:demo": Score(),
        "desk": Score(),
    }
    heir = AnomalyWatch(store, traders)
    await heir.load()
    assert heir.score("demo-bot") == Score(value=1.0, why="refusals")


async def test_a_quiet_bot_is_forgiven(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))])] * 10)
    await watch.decay(NOW.timestamp() + 120)
    assert (await store.scores())["bot:demo-bot"].value == pytest.approx(0.5)


async def test_two_odd_bots_make_their_account_odd_and_time_forgives_it(store):
    watch = AnomalyWatch(store, traders)
    odd = [a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))], bot=bot) for bot, _ in traders()]
    await watch.see(odd * 10)
    assert (await store.scores())["account:demo"].value == 1.0
    assert watch.levels()["account:demo"].why == "demo-bot 1.00 (refusals); second 1.00 (refusals)"
    await watch.decay(NOW.timestamp() + 120)
    assert (await store.scores())["account:demo"].value == pytest.approx(0.5)


async def test_a_baseline_that_cannot_be_read_starts_anew(store):
    await store.publish_scores({"bot:demo-bot": Score(value=0.7)}, {"demo-bot": {"of": "another version"}})
    watch = AnomalyWatch(store, traders)
    await watch.load()
    assert (watch.score("demo-bot").value, watch.score("unheard of").value) == (0.0, 0.0)
