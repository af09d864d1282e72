"""A bot's dead-man timer runs out: its plain orders go, whatever stands in the way, and nobody else's do."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from proxy.accounts import dead_man
from proxy.accounts.dead_man import DeadMan
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.store import warden_store
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.timers import DeadManTimer
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


class Guard:
    """A gate that arms, and a warden that runs what it armed, on one store."""

    def __init__(self, url: str, venue: Venue) -> None:
        self.venue = venue
        desk = f"desk{next(_numbers)}"
        self.gate = GateStore(url, desk, timeout_s=2.0)
        self.store = WardenStore(url, desk)
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
    async def watched(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.dead_man().run())
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
    monkeypatch.setattr(warden_store, "LEASE_S", 0.05)
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
