"""From the audit's records to the published score."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from proxy.settings import Settings
from proxy.signals import watch as watching
from proxy.signals.watch import AnomalyWatch, Held
from proxy.store.embedded import EmbeddedStore
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import Secret
from proxy.warden.pieces.ground import lay_ground
from rules.facts import Score
from rules.order.max_order_value import MaxOrderValue
from rules.usual import UsualOrders
from tests.proxy.signals.test_order_stream import HINDERED, a_record
from tests.rules.builders import NOW, a_buy
from tests.support.certificates import a_vault


def traders():
    return [("demo-bot", "demo"), ("second", "demo")]


def refused(bot="demo-bot", after_s=0.0):
    at = NOW + timedelta(seconds=after_s)
    return a_record(a_buy("BTCUSDT", "1"), rules=[MaxOrderValue(limit=Decimal(1))], bot=bot, at=at)


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
    await heir.load(NOW.timestamp())
    assert heir.score("demo-bot") == watch.score("demo-bot")


async def test_an_heir_goes_on_where_the_last_warden_was(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused()] * 3)
    await watch.see([refused()] * 3)
    await watch.decay(NOW.timestamp())
    heir = AnomalyWatch(store, traders)
    await heir.load(NOW.timestamp())
    for each in (watch, heir):
        await each.see([refused(after_s=0.01)] * 4)
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


@pytest.mark.parametrize(
    "left",
    [
        {"of": "another version"},
        {"at": 1.0, "value": 0.7, "why": "x", "scorer": {}},
        {"at": 1.0, "value": 0.7, "why": "x", "scorer": []},
        [],
    ],
)
async def test_a_state_that_cannot_be_read_starts_anew_and_its_score_decays_from_then(store, left):
    await store.publish_scores({"bot:demo-bot": Score(value=0.7, why="x")}, {"demo-bot": left})
    await a_new_beginning(store)


async def test_a_state_that_is_no_json_starts_anew_and_its_score_decays_from_then(server, store):
    await store.publish_scores({"bot:demo-bot": Score(value=0.7, why="x")}, {})
    with redis.Redis.from_url(server.url) as client:
        client.hset(store._keys.baselines, "demo-bot", '{"at": 1, "value"')
    await a_new_beginning(store)


async def a_new_beginning(store):
    watch = AnomalyWatch(store, traders)
    await watch.load(NOW.timestamp())
    assert not watch._bots["demo-bot"].scorer.symbols()
    await watch.decay(NOW.timestamp())
    assert watch.score("demo-bot") == (await store.scores())["bot:demo-bot"] == Score(value=0.7, why="x")
    await watch.decay(NOW.timestamp() + 120)
    assert (await store.scores())["bot:demo-bot"].value == pytest.approx(0.35, abs=1e-4)
    await watch.decay(NOW.timestamp() + 3_600)
    assert watch.score("demo-bot").value == (await store.scores())["bot:demo-bot"].value == 0.0


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


@pytest.mark.parametrize(("after_s", "stands"), [(6, 0.87), (8 * 3_600, 0.0)])
async def test_what_an_earlier_warden_published_later_than_it_wrote_down_decays_as_if_it_still_ran(
    store, after_s, stands
):
    watch = AnomalyWatch(store, traders)
    await watch.see([a_record(a_buy("BTCUSDT", "1", "49990"))])
    await watch.see([refused()] * 20)
    assert (await store.scores())["bot:demo-bot"].value > 0.5
    for _ in range(2):
        heir = AnomalyWatch(store, traders)
        await heir.load(NOW.timestamp() + after_s)
        await heir.decay(NOW.timestamp() + after_s)
        assert heir.score("demo-bot").value == pytest.approx(stands, abs=5e-3)
        assert heir.score("demo-bot").why == (watch.score("demo-bot").why if stands else "as usual")
        assert (await store.scores())["bot:demo-bot"].value == pytest.approx(heir.score("demo-bot").value, abs=1e-4)


async def test_an_heir_does_not_hear_again_what_its_bots_were_heard_for(store):
    watch = AnomalyWatch(store, traders)
    records = [refused(after_s=11 * number) for number in range(4)] + [refused("second", after_s=33)]
    await watch.see(records)
    at = NOW.timestamp() + 34
    heir = AnomalyWatch(store, traders)
    await heir.load(at)
    await heir.decay(at)
    await watch.decay(at)
    await heir.see([*records, *records])
    assert heir.score("demo-bot") == watch.score("demo-bot")
    assert heir._bots["demo-bot"].scorer.state() == watch._bots["demo-bot"].scorer.state()
    for each in (watch, heir):
        await each.see([refused(after_s=number) for number in (40, 32, 32, 32)])
    assert heir._bots["demo-bot"].scorer.state() == watch._bots["demo-bot"].scorer.state(), "then late ones count too"


async def test_an_order_dated_ahead_does_not_make_an_heir_deaf(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused(after_s=30 * 86_400)])
    heir = AnomalyWatch(store, traders)
    await heir.load(NOW.timestamp())
    await heir.see([refused(after_s=1)] * 20)
    assert heir.score("demo-bot").value > 0.5


async def test_a_start_after_hours_forgives_what_was_before(store):
    watch = AnomalyWatch(store, traders)
    await watch.see([refused(bot) for bot, _ in traders()] * 20)
    await watch.decay(NOW.timestamp())
    assert min(score.value for level, score in (await store.scores()).items() if level != "desk") > 0.5
    heir = AnomalyWatch(store, traders)
    await heir.load(NOW.timestamp())
    await heir.decay((NOW + timedelta(hours=8)).timestamp())
    assert {score.value for score in (await store.scores()).values()} == {0.0}


async def test_the_score_of_what_is_no_more_and_one_that_nobody_can_read_are_taken_back(server, store):
    await store.publish_scores({"account:gone": Score(value=0.9), "bot:unheard": Score(value=0.8)}, {})
    with redis.Redis.from_url(server.url) as client:
        client.hset(store._keys.scores, "bot:broken", "no number|x")
    watch = AnomalyWatch(store, traders)
    await watch.load(NOW.timestamp())
    await watch.decay(NOW.timestamp())
    assert {score.value for score in (await store.scores()).values()} == {0.0}


async def test_an_account_whose_bots_lost_their_keys_does_not_keep_its_score(store):
    trading = traders()
    watch = AnomalyWatch(store, lambda: trading)
    await watch.see([refused(bot) for bot, _ in traders()] * 20)
    assert (await store.scores())["account:demo"].value > 0.5
    trading.clear()
    await watch.decay(NOW.timestamp())
    assert (await store.scores())["account:demo"].value == 0.0


async def test_two_that_find_a_level_that_nobody_has_any_more_at_once_do_not_hurt_each_other():
    class Slow(Failing):
        async def publish_scores(self, scores: dict[str, Score], _: object) -> None:
            await asyncio.sleep(0)
            self.scores |= scores

    store, trading = Slow(), [*traders(), ("second", "two")]
    watch = AnomalyWatch(cast("Any", store), lambda: trading)
    await watch.see([refused(bot) for bot, _ in traders()] * 20)
    trading.pop()
    await asyncio.gather(*(watch.decay(NOW.timestamp()) for _ in range(3)))
    assert store.scores["account:two"] == Score()
    await watch.decay(NOW.timestamp())
    assert watch._stands.keys() == watch._told.keys()


async def test_nor_do_one_that_finds_it_and_one_that_publishes_all_because_the_store_may_have_lost_it():
    started, go = asyncio.Event(), asyncio.Event()

    class Slow(Failing):
        slow = False

        async def publish_scores(self, scores: dict[str, Score], baselines: object) -> None:
            if self.slow:
                started.set()
                await go.wait()
            await super().publish_scores(scores, baselines)

    store, trading = Slow(), [("demo-bot", "demo"), ("idle", "two")]
    watch = AnomalyWatch(cast("Any", store), lambda: trading)
    await watch.see([refused()] * 3)
    trading.pop()
    store.slow = True
    finding = asyncio.create_task(watch.see([refused(after_s=1.0)] * 3))
    await asyncio.wait_for(started.wait(), 20)
    store.slow = False
    every = asyncio.create_task(watch.publish_all())
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(finding, every)
    assert watch._stands.keys() == watch._told.keys()


class Failing:
    """A store that takes nothing while it is away, or takes it and cannot say so."""

    def __init__(self) -> None:
        self.scores: dict[str, Score] = {}
        self.told: list[str] = []
        self.away = self.mute = False

    async def publish_scores(self, scores: dict[str, Score], _: object) -> None:
        if self.away:
            raise ConnectionError
        self.scores |= scores
        self.told += scores
        if self.mute:
            raise ConnectionError

    async def publish_usual(self, _: object) -> None:
        pass


async def test_a_score_that_decayed_while_nothing_could_be_published_is_published_when_it_can():
    store = Failing()
    watch = AnomalyWatch(cast("Any", store), traders)
    await watch.see([refused(bot) for bot, _ in traders()] * 20)
    store.away = True
    for seconds in range(5, 25 * 60, 5):
        with pytest.raises(ConnectionError):
            await watch.decay(NOW.timestamp() + seconds)
    assert store.scores["bot:demo-bot"].value > store.scores["account:demo"].value * 0.9 > 0.5
    store.away = False
    await watch.decay(NOW.timestamp() + 25 * 60)
    assert {score.value for score in store.scores.values()} == {0.0}


async def test_a_score_that_stays_as_it_is_is_published_once_a_second(monkeypatch):
    clock = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock.at)
    store = Failing()
    watch = AnomalyWatch(cast("Any", store), traders)
    calm = a_record(a_buy("BTCUSDT", "1"), bot="demo-bot")
    for passed, told in ((0.0, True), (0.5, False), (1.5, True), (2.0, False)):
        store.told.clear()
        clock.at = 1000.0 + passed
        await watch.see([calm])
        assert bool(store.told) == told
    store.told.clear()
    await watch.publish_all()
    assert "bot:demo-bot" in store.told, "the store may have lost it"


async def test_a_score_that_may_have_arrived_is_published_anew_though_it_is_the_one_told_before():
    store = Failing()
    watch = AnomalyWatch(cast("Any", store), traders)
    await watch.see([a_record(a_buy("BTCUSDT", "1"), bot="demo-bot")])
    calm = store.scores["bot:demo-bot"]
    store.mute = True
    with pytest.raises(ConnectionError):
        await watch.see([refused("demo-bot")] * 20)
    assert store.scores["bot:demo-bot"].value > 0.5
    store.mute = False
    watch._bots["demo-bot"].held = replace(watch._bots["demo-bot"].held, value=calm.value, why=calm.why)
    await watch.decay(NOW.timestamp())
    assert store.scores["bot:demo-bot"] == calm


async def test_retries_while_a_stream_is_lost_or_a_bot_is_halted_make_nobody_odd():
    store = Failing()
    watch = AnomalyWatch(cast("Any", store), traders)
    for world in HINDERED.values():
        await watch.see([a_record(a_buy("BTCUSDT", "1"), world=world, bot=bot) for bot, _ in traders() * 30])
    assert watch.score("demo-bot") == Score(value=0.0, why="no history yet")
    assert watch.levels()["account:demo"] == Score()
    await watch.see([refused()] * 20)
    assert watch.score("demo-bot").value > 0.5, "nor did it learn that rejections are usual"


async def test_the_one_bot_of_an_account_speaks_for_it():
    watch = AnomalyWatch(cast("Any", Failing()), lambda: [*traders(), ("demo-bot", "alone")])
    await watch.see([refused()] * 20)
    assert watch.account("alone") == watch.score("demo-bot")
    assert watch.account("alone").value > 0.5
    assert watch.account("demo") == Score()


def test_only_keys_that_are_obeyed_make_a_bot_one_of_an_account(tmp_path):
    vault = a_vault(tmp_path)
    for number, account in enumerate(("old", "new")):
        key = str(number) * 64
        vault.add_exchange_key(account=account, venue="binanceusdm", api_key=key, api_secret=Secret("S" * 64), now=NOW)
        vault.issue(bot="grid", account=account, label=account, now=NOW)
    vault.disable(vault.guard_keys()[0].key, NOW)
    settings = Settings(data_dir=tmp_path, store_url="unix:///nowhere")
    ground = lay_ground(settings, vault, lambda: NOW)
    assert ground.active_traders() == [("grid", "new")]
    assert ground.traders() == [("grid", "old"), ("grid", "new")], "a stop holds it on both"
