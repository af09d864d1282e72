"""A bot's dead-man timer runs out: its plain orders go, whatever stands in the way, and nobody else's do."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from proxy.accounts import dead_man
from proxy.accounts.dead_man import DeadMan
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.store import timers
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.leases import LeaseStore
from proxy.store.timers import DeadManTimer, TimersFound
from proxy.store.warden_store import WardenStore
from rules.account import OpenOrder
from rules.model import Side
from tests.rules.builders import an_open_order
from tests.support.waiting import until

ADA, BOB = DeadManTimer("ada", "BTCUSDT"), DeadManTimer("bob", "BTCUSDT")
_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


class Venue:
    """Open orders by client id, ``BOT/NAME``; it may be in trouble, and remembers what was cancelled."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.asked: list[str] = []
        self.trouble: VenueTrouble | None = None
        self.troubled: Callable[[str], bool] = lambda asked: True
        self.stands_still = False

    async def plain_orders(self, symbol: str) -> tuple[OpenOrder, ...]:
        await self._answer(f"list {symbol}")
        order = an_open_order(Side.BUY, symbol, "1", "40000")
        return tuple(replace(order, client_order_id=name) for name in self.names)

    async def cancel_order(self, symbol: str, client_order_id: str) -> None:
        await self._answer(client_order_id)
        self.names.remove(client_order_id)

    async def _answer(self, asked: str) -> None:
        self.asked.append(asked)
        if self.stands_still:
            await asyncio.Event().wait()
        if self.trouble is not None and self.troubled(asked):
            raise self.trouble


class Clocked(WardenStore):
    """The real store, whose clock a test can set: what is timed there, and by what was heard of it, moves the other
    way."""

    def __init__(self, url: str, desk: str) -> None:
        super().__init__(url, desk)
        self.looks = 0
        self._later_us = 0
        self._one_at_a_time = asyncio.Lock()

    async def set_clock(self, later_s: float) -> None:
        """On by so many seconds, or back."""
        later_us = round(later_s * 1_000_000)
        async with self._one_at_a_time:
            self._later_us += later_us
            for key in (self._keys.timers("main"), self._keys.running_timers("main")):
                for field, text in (await self._redis.hgetall(key)).items():
                    moment_us, bar, countdown_us = text.partition("|")
                    await self._redis.hset(key, field, f"{int(moment_us) - later_us}{bar}{countdown_us}")

    async def take_timers(
        self, account: str, *, held: Iterable[DeadManTimer], most: int, last_us: int = 0, away: bool = False
    ) -> TimersFound:
        async with self._one_at_a_time:
            last_us -= self._later_us if last_us else 0
            found = await super().take_timers(account, held=held, most=most, last_us=last_us, away=away)
            self.looks += 1
            return replace(found, now_us=found.now_us + self._later_us)


class Guard:
    """A gate that arms, and a warden that runs what it armed, on one store."""

    def __init__(self, url: str, venue: Venue) -> None:
        self.venue = venue
        self.url, self.desk = url, f"desk{next(_numbers)}"
        self.gate = GateStore(url, self.desk, timeout_s=2.0)
        self.store = Clocked(url, self.desk)
        self.records: list[dict[str, Any]] = []
        self.surveys = 0

    def dead_man(self) -> DeadMan:
        return DeadMan(
            account="main",
            venue=self.venue,
            store=self.store,
            owns=lambda bot, name: name.startswith(f"{bot}/"),
            record=self._record,
            cancelled=self._survey,
        )

    async def arm(self, timer: DeadManTimer, countdown_ms: int = 1) -> None:
        await self.gate.set_timer("main", timer, countdown_ms)

    async def stands(self, timer: DeadManTimer, left_s: float, countdown_s: float | None) -> None:
        """It has been armed a while ago; without a countdown, by an earlier version."""
        due_us = await self.store.now_us() + round(left_s * 1_000_000)
        text = str(due_us) if countdown_s is None else f"{due_us}|{round(countdown_s * 1_000_000)}"
        await self.store._redis.hset(self.store._keys.timers("main"), timer.field, text)

    async def left_s(self, timer: DeadManTimer) -> float:
        """Until it runs out."""
        text = await self.store._redis.hget(self.store._keys.timers("main"), timer.field)
        assert text is not None
        return (int(text.partition("|")[0]) - await self.store.now_us()) / 1_000_000

    async def looked(self) -> None:
        """Twice, and the second time after all that was done until now."""
        seen = self.store.looks
        await until(lambda: self.store.looks >= seen + 2)

    async def until_finished(self, timer: DeadManTimer) -> None:
        """Nobody has it, and nobody would be given it."""
        key = self.store._keys.running_timers("main")
        async with asyncio.timeout(10):
            while await self.store._redis.hexists(key, timer.field):
                await asyncio.sleep(0.002)

    def done(self) -> list[str]:
        return [each["bot"] for each in self.records if each["what"] == "dead_man.done"]

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.records.append({"what": what, "by": by, **detail})

    def _survey(self) -> None:
        self.surveys += 1

    @asynccontextmanager
    async def watched(self, *, away: bool = False) -> AsyncIterator[None]:
        warden = self.dead_man()
        if away:
            warden.store_was_away()
        task = asyncio.create_task(warden.run())
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def guard(server: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guard]:
    monkeypatch.setattr(dead_man, "TICK_S", 0.005)
    monkeypatch.setattr(dead_man, "AGAIN_S", 0.005)
    built = Guard(server.url, Venue("ada/1", "ada/2", "bob/1", "web"))
    yield built
    await built.gate.aclose()
    await built.store.aclose()


async def test_a_timer_that_runs_out_takes_the_bot_s_own_orders_and_says_so(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    await guard.arm(BOB, 60_000)
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: guard.done() == ["ada"])
        await guard.until_finished(ADA)
    assert guard.venue.names == ["bob/1", "web"]
    assert guard.records[0] == {
        "what": "dead_man.ran_out",
        "by": "warden",
        "account": "main",
        "bot": "ada",
        "symbol": "BTCUSDT",
        "orders": ["ada/1", "ada/2"],
    }
    assert guard.surveys == 1
    assert "the dead-man timer of ada on BTCUSDT ran out: 2 orders go" in caplog.text


@pytest.mark.parametrize("when", ["list BTCUSDT", "ada/2"])
@pytest.mark.parametrize("trouble", [VenueUnavailable("away"), VenueThrottled(429, 0.0), VenueRefused(-2015, "key")])
async def test_it_is_tried_until_the_venue_has_done_it(guard: Guard, when: str, trouble: VenueTrouble) -> None:
    guard.venue.trouble, guard.venue.troubled = trouble, lambda asked: asked == when
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: guard.venue.asked.count(when) > 2)
        assert guard.done() == []
        guard.venue.trouble = None
        await until(lambda: guard.done() == ["ada"])
    assert guard.venue.names == ["bob/1", "web"]


async def test_a_warden_that_dies_halfway_leaves_it_to_the_next(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LEASE_S", 0.05)
    guard.venue.stands_still = True
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: guard.venue.asked == ["list BTCUSDT"])
    guard.venue.stands_still = False
    async with guard.watched():
        await until(lambda: guard.done() == ["ada"])
    assert guard.venue.names == ["bob/1", "web"]


async def test_two_wardens_run_it_once(guard: Guard) -> None:
    guard.venue.stands_still = True
    async with guard.watched(), guard.watched():
        await guard.arm(ADA)
        await until(lambda: bool(guard.venue.asked))
        await guard.arm(BOB)
        await until(lambda: len(guard.venue.asked) > 1)
    assert guard.venue.asked == ["list BTCUSDT", "list BTCUSDT"], "one of each bot"


async def test_armed_anew_while_it_runs_it_runs_out_again(guard: Guard) -> None:
    guard.venue.trouble, guard.venue.troubled = VenueUnavailable("away"), lambda asked: asked == "ada/1"
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: guard.venue.names[0] == "ada/1" and "ada/2" not in guard.venue.names)
        guard.venue.names.append("ada/3")
        await guard.arm(ADA)
        guard.venue.trouble = None
        await until(lambda: guard.done() == ["ada", "ada"])
    assert [each["orders"] for each in guard.records if each["what"] == "dead_man.done"] == [
        ["ada/1", "ada/2"],
        ["ada/3"],
    ]


async def test_of_a_symbol_that_is_listed_no_longer_nothing_is_left(guard: Guard) -> None:
    guard.venue.trouble = VenueRefused(-1121, "Invalid symbol.")
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: len(guard.records) == 1)
        await guard.until_finished(ADA)
    assert guard.records[0]["orders"] == []
    assert guard.surveys == 0


async def test_more_timers_than_run_at_once_wait_their_turn(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_man, "RUNS_MAX", 1)
    await guard.arm(ADA)
    await guard.arm(BOB)
    async with guard.watched():
        await until(lambda: sorted(guard.done()) == ["ada", "bob"])
    assert guard.venue.names == ["web"]


async def test_a_clock_that_is_put_back_lets_no_timer_run_for_longer_than_its_countdown(guard: Guard) -> None:
    async with guard.watched():
        await guard.arm(ADA, 300)
        await guard.store.set_clock(-600)
        await until(lambda: guard.done() == ["ada"])


async def test_a_clock_that_was_put_back_while_no_warden_ran_is_seen_by_the_next(guard: Guard) -> None:
    await guard.stands(ADA, left_s=600, countdown_s=60)
    async with guard.watched():
        await guard.looked()
        assert 50 < await guard.left_s(ADA) <= 60


async def test_a_clock_that_went_on_takes_no_order_of_a_bot_that_lives(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    async with guard.watched():
        await guard.stands(ADA, left_s=40, countdown_s=60)
        await guard.looked()
        await guard.store.set_clock(120)
        await guard.looked()
        assert 30 < await guard.left_s(ADA) < 42, "as much as before"
    assert guard.records == []
    assert "dead-man timers of main run on (1): " in caplog.text


async def test_one_that_was_nearly_over_has_ten_seconds_after_that(guard: Guard) -> None:
    async with guard.watched():
        await guard.stands(ADA, left_s=3, countdown_s=60)
        await guard.looked()
        await guard.store.set_clock(120)
        await guard.looked()
        assert 5 < await guard.left_s(ADA) <= 10
    assert guard.records == []


async def test_a_bot_that_died_meanwhile_loses_its_orders_after_a_countdown_at_most(guard: Guard) -> None:
    async with guard.watched():
        await guard.stands(ADA, left_s=0.3, countdown_s=0.3)
        await guard.looked()
        await guard.store.set_clock(120)
        await until(lambda: guard.done() == ["ada"])


async def test_a_look_that_is_a_little_late_is_held_against_a_bot(guard: Guard) -> None:
    async with guard.watched():
        await guard.stands(ADA, left_s=1.5, countdown_s=60)
        await guard.looked()
        await guard.store.set_clock(1.5)
        await until(lambda: guard.done() == ["ada"], within_s=5)


async def test_a_clock_that_goes_on_forgives_nothing_that_had_run_out_before(guard: Guard) -> None:
    guard.venue.stands_still = True
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: bool(guard.venue.asked))
        await guard.stands(ADA, left_s=-1, countdown_s=60)
        await guard.looked()
        await guard.store.set_clock(120)
        await guard.looked()
        assert await guard.left_s(ADA) < -1, "it waits for the run under way"


async def test_where_no_bot_could_arm_its_timer_all_run_for_one_more_countdown(guard: Guard) -> None:
    await guard.stands(ADA, left_s=-5, countdown_s=60)
    async with guard.watched(away=True):
        await guard.looked()
        assert 50 < await guard.left_s(ADA) <= 60, "once"
        await guard.stands(ADA, left_s=0, countdown_s=60)
        await until(lambda: guard.done() == ["ada"])


async def test_that_no_bot_could_arm_its_timer_is_remembered_until_the_store_answers(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = guard.store.take_timers
    refused: list[str] = []

    async def silent_at_first(*asked: Any, **how: Any) -> TimersFound:
        if not refused:
            refused.append("once")
            raise ConnectionError
        return await take(*asked, **how)

    monkeypatch.setattr(guard.store, "take_timers", silent_at_first)
    await guard.stands(ADA, left_s=-5, countdown_s=60)
    async with guard.watched(away=True):
        await guard.looked()
        assert 50 < await guard.left_s(ADA) <= 60
    assert guard.records == []


async def test_one_that_is_told_to_run_out_now_does_whatever_the_store_did(guard: Guard) -> None:
    leases = LeaseStore(guard.url, guard.desk, "")
    await leases.run_out("main", [ADA])
    await leases.aclose()
    async with guard.watched(away=True):
        await until(lambda: guard.done() == ["ada"])


async def test_those_that_an_earlier_version_armed_run_out_when_it_said(guard: Guard) -> None:
    await guard.stands(ADA, left_s=-1, countdown_s=None)
    await guard.stands(BOB, left_s=60, countdown_s=None)
    async with guard.watched():
        await until(lambda: guard.done() == ["ada"])
        await guard.looked()
        assert 50 < await guard.left_s(BOB) <= 60


async def test_a_warden_that_died_before_the_clock_was_put_back_keeps_no_timer_from_the_next(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "LEASE_S", 0.05)
    guard.venue.stands_still = True
    async with guard.watched():
        await guard.arm(ADA)
        await until(lambda: guard.venue.asked == ["list BTCUSDT"])
    guard.venue.stands_still = False
    await guard.store.set_clock(-600)
    async with guard.watched():
        await until(lambda: guard.done() == ["ada"])
