"""From the audit's records to the published score."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from proxy.signals.watch import AnomalyWatch, Held
from proxy.store.embedded import EmbeddedStore
from proxy.store.warden_store import WardenStore
from rules.facts import Score
from rules.order.max_order_value import MaxOrderValue
from rules.usual import UsualOrders
from tests.proxy.signals.test_order_stream import a_record
from tests.rules.builders import NOW, a_buy


def traders():
    return [("demo-bot", "demo"), ("second", "demo")]


def refused(bot="demo-bot"):
    return a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))], bot=bot)


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
    await watch.see([refused()] * 10)
    published = await store.scores()
    assert published["bot:demo-bot"].value == pytest.approx(watch.score("demo-bot").value, abs=1e-4)
    assert published["bot:demo-bot"].value > 0.5
    assert "10 rejections in quick succession" in published["bot:demo-bot"].why
    assert published["account:demo"] == published["desk"] == Score()
    heir = AnomalyWatch(store, traders)
    await heir.load()
    assert heir.score("demo-bot") == watch.score("demo-bot")


async def test_an_heir_goes_on_where_the_last_warden_was(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused()] * 3)
    await watch.see([refused()] * 3)
    await watch.decay(NOW.timestamp())
    heir = AnomalyWatch(store, traders)
    await heir.load()
    for each in (watch, heir):
        await each.see([refused()] * 4)
    assert heir.score("demo-bot") == watch.score("demo-bot")


async def test_a_quiet_bot_is_forgiven(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused()] * 10)
    before = watch.score("demo-bot").value
    await watch.decay(NOW.timestamp() + 120)
    assert (await store.scores())["bot:demo-bot"].value == pytest.approx(before / 2, abs=1e-4)


async def test_two_odd_bots_make_their_account_odd_and_time_forgives_it(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused(bot) for bot, _ in traders()] * 10)
    before = (await store.scores())["account:demo"]
    assert before.value > 0.5
    assert before.why.startswith("demo-bot 0.")
    await watch.decay(NOW.timestamp() + 240)
    assert (await store.scores())["account:demo"] == Score()


async def test_usual_orders_leave_a_bot_as_usual(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([a_record(a_buy("BTCUSDT", "1", "49990"))])
    assert watch.score("demo-bot") == Score(value=0.0, why="as usual")
    assert watch.score("unheard of") == Score(value=0.0, why="no history yet")


@pytest.mark.parametrize("left", [{"of": "another version"}, {"at": 1.0, "value": 0.7, "why": "x", "scorer": {}}, []])
async def test_a_state_that_cannot_be_read_starts_anew(store, left):
    await store.publish_scores({"bot:demo-bot": Score(value=0.7)}, {"demo-bot": left})
    watch = AnomalyWatch(store, traders)
    await watch.load()
    assert watch.score("demo-bot").value == 0.0


async def test_a_store_that_came_back_empty_is_told_all_of_a_quiet_bot(server, store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused()] * 10)
    await watch.see([a_record(a_buy("BTCUSDT", "1", "49990"), bot="second")])
    desk = store._keys
    keys = [desk.scores, desk.baselines, desk.usual("demo-bot"), desk.usual("second")]
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        before = [client.hgetall(key) for key in keys]
        client.delete(*keys)
        await watch.publish_all()
        assert [client.hgetall(key) for key in keys] == before
        assert all(before)


async def test_one_order_dated_ahead_does_not_freeze_what_is_usual():
    told: list[UsualOrders] = []

    async def note(usual: UsualOrders) -> None:
        told.append(usual)

    async def nothing(*_: object) -> None:
        pass

    watch = AnomalyWatch(cast("Any", SimpleNamespace(publish_scores=nothing, publish_usual=note)), traders)
    for minutes in (0, 30 * 24 * 60, 2, 4, 6):
        await watch.see([a_record(a_buy("BTCUSDT", "1", "49990"), at=NOW + timedelta(minutes=minutes))])
    assert [usual.as_of - NOW for usual in told] == [timedelta(minutes=n) for n in (0, 30 * 24 * 60, 2, 4, 6)]


def test_a_clock_that_steps_back_lets_no_time_pass():
    held = Held(at=1_000.0, value=0.8, why="x")
    assert held.aged(400.0) == held


def test_a_score_of_a_clock_that_ran_ahead_decays_once_the_clock_is_put_right():
    ahead = Held(at=4_600.0, value=0.8, why="x")
    assert ahead.aged(1_000.0) == Held(at=1_000.0, value=0.8, why="x")
    assert ahead.aged(1_000.0).aged(1_120.0) == Held(at=1_120.0, value=0.4, why="x")
