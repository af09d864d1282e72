"""Bots' leases in a real store: what is held against a bot, and what is not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.leases import watch
from proxy.leases.watch import LeaseWatch
from proxy.store.client import STORE_TROUBLE
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.grace import STOOD_STILL_S
from proxy.store.keys import Keys
from proxy.store.leases import LeaseRequest, Leases, LeaseStore
from proxy.store.ownership import DeskTaken
from proxy.store.timers import DeadManTimer
from proxy.store.trouble import KeyDisabled, RequestReplayed
from rules.account import Account, OpenOrder
from rules.kill.settings import Lease
from rules.model import OrderType, Side
from tests.proxy.store.failover import Moved, demote
from tests.rules.builders import an_account, an_open_order

OURS, THEIRS = "0a" * 16, "0b" * 16
WATCHED_S = STOOD_STILL_S - 0.5
POLICY = Lease(reduce_after_s=1, cancel_after_s=2, flatten_after_s=3)


class Clocked(LeaseStore):
    """The real store, whose clock a test can move on, and which a test can take away."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        super().__init__(url, desk, guard)
        self.later_us = 0
        self.away = False
        self.on_forget: Callable[[], None] = lambda: None

    async def forget_released(self, field: str) -> None:
        self.on_forget()
        await super().forget_released(field)

    async def now_us(self) -> int:
        if self.away:
            raise ConnectionError
        return await super().now_us() + self.later_us

    async def read(self) -> Leases:
        if self.away:
            raise ConnectionError
        leases = await super().read()
        return Leases(now_us=leases.now_us + self.later_us, held=leases.held, released=leases.released)


@dataclass
class Desk:
    """A store, a gate's access to it, and the warden's watch over it."""

    url: str
    name: str
    did: list[tuple[str, ...]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    trouble: dict[str, VenueTrouble] = field(default_factory=dict)
    """What comes of cancelling an order, by its client order id."""
    book: Account | None = None
    asked: int = 0
    cancelling_s: float = 0.0
    """How long the venue takes to cancel."""

    def __post_init__(self) -> None:
        self.store = Clocked(self.url, self.name)
        self.gate = GateStore(self.url, self.name)
        self.watch = self.a_watch()

    def a_watch(self) -> LeaseWatch:
        return LeaseWatch(
            store=self.store, hands=self, books=lambda _: self.book, policy=lambda: POLICY, record=self._record
        )

    async def heard(self, ttl_s: int = 30, digest: str | None = None, bot: str = "grid") -> None:
        """The bot asks."""
        self.asked += 1
        request = LeaseRequest(
            account="main",
            bot=bot,
            guard_key="key",
            ttl_s=ttl_s,
            replay_digest=digest or f"digest-{self.asked}",
            replay_window_ms=60_000,
        )
        await self.gate.keep_lease(request)

    async def after(self, seconds: float) -> list[tuple[str, ...]]:
        """What is done in the look at the end of so much time, in which the clock was watched."""
        left = seconds
        while left > 0 and not self.store.away:
            self._later(min(left, WATCHED_S))
            left -= WATCHED_S
            await self.watch.keep_time()
        return await self.looked()

    async def after_standing_still(self, seconds: float) -> list[tuple[str, ...]]:
        """What is done in the first look after nobody, not even the watch, ran for so long."""
        self._later(seconds)
        return await self.looked()

    async def looked(self) -> list[tuple[str, ...]]:
        """What is done in a look now."""
        self.did.clear()
        await self.watch.look()
        return list(self.did)

    def _later(self, seconds: float) -> None:
        self.store.later_us += round(seconds * 1_000_000)

    async def reduce(self, bot: str, reason: str) -> None:
        self.did.append(("reduce", bot))

    async def cancel_conditional(self, account: str, order: OpenOrder) -> None:
        await asyncio.sleep(self.cancelling_s)
        if order.client_order_id in self.trouble:
            self.did.append(("fail", order.client_order_id))
            raise self.trouble[order.client_order_id]
        self.did.append(("cancel", order.client_order_id))

    async def flatten(self, bot: str, reason: str) -> None:
        self.did.append(("flatten", bot))

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        assert what == "lease.lapsed"
        self.events.append(detail)

    def timers(self) -> set[str]:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return set(client.hkeys(Keys(self.name).timers("main")))

    def forget(self, key: str) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.delete(key)


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedStore(tmp_path_factory.mktemp("leases")) as store:
        yield store.url


@pytest.fixture
async def desk(store_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    made = Desk(store_url, request.node.name[:32].replace("[", "-").replace("]", ""))
    made.book = an_account().account
    yield made
    await made.store.aclose()
    await made.gate.aclose()


async def test_each_step_is_taken_once_in_its_time(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(29) == []
    assert await desk.after(2.5) == [("reduce", "grid")]
    assert await desk.after(0.1) == []
    assert await desk.after(2) == [("flatten", "grid")], "and the cancel before it, of nothing"
    assert await desk.after(3_600) == []
    assert [each["step"] for each in desk.events] == ["reduce", "cancel", "flatten"]


async def test_renewing_it_begins_anew(desk: Desk) -> None:
    await desk.heard(30)
    await desk.after(20)
    desk.store.later_us = 0
    await desk.heard(60)
    assert await desk.after(31) == []
    assert await desk.after(31) == [("reduce", "grid")]


async def test_a_bot_that_never_asked_is_not_touched(desk: Desk) -> None:
    assert await desk.after(3_600) == []
    assert desk.watch.states() == ()


async def test_what_was_given_back_is_over(desk: Desk) -> None:
    await desk.heard(30)
    await desk.after(0)
    await desk.heard(0)
    assert await desk.after(3_600) == []
    assert await desk.after(1) == []
    assert desk.watch.states() == ()


async def test_a_recorded_request_keeps_nobody_alive(desk: Desk) -> None:
    await desk.heard(30, "the same")
    with pytest.raises(RequestReplayed):
        await desk.heard(30, "the same")


async def test_a_key_that_was_switched_off_takes_no_lease(desk: Desk) -> None:
    with redis.Redis.from_url(desk.url) as client:
        client.hset(Keys(desk.name).disabled, "key", "1")
    with pytest.raises(KeyDisabled):
        await desk.heard(30)


async def test_only_what_could_open_is_cancelled_and_only_the_bots(desk: Desk) -> None:
    mine = {"bot": "grid", "client_order_id": "entry"}
    assert desk.book is not None
    desk.book = (
        an_account()
        .resting(
            an_open_order(Side.BUY, "BTCUSDT", "1", "40000", **mine),
            an_open_order(Side.BUY, "ETHUSDT", "1", "2000", bot="other"),
            an_open_order(Side.BUY, "SOLUSDT", "1", "100", order_type=OrderType.STOP_MARKET, **mine),
            an_open_order(Side.SELL, "XRPUSDT", "1", "1", order_type=OrderType.STOP_MARKET, reduce_only=True, **mine),
        )
        .account
    )
    await desk.heard(30)
    assert await desk.after(32.5) == [("reduce", "grid"), ("cancel", "entry")]
    assert desk.timers() == {DeadManTimer("grid", "BTCUSDT").field}


def entries(*names: str) -> Account:
    """A book with conditional entries of the bot."""
    triggered = [
        an_open_order(
            Side.BUY, "SOLUSDT", "1", "100", order_type=OrderType.STOP_MARKET, bot="grid", client_order_id=name
        )
        for name in names
    ]
    return an_account().resting(*triggered).account


async def test_a_step_that_failed_is_due_again(desk: Desk) -> None:
    desk.book = entries("a")
    desk.trouble["a"] = VenueUnavailable("down")
    await desk.heard(30)
    assert await desk.after(32.5) == [("reduce", "grid"), ("fail", "a")]
    assert await desk.after(0.1) == [("fail", "a")]
    desk.trouble.clear()
    assert await desk.after(0.1) == [("cancel", "a")]
    assert await desk.after(1) == [("flatten", "grid")]


async def test_an_order_that_cannot_be_cancelled_holds_up_no_other(desk: Desk) -> None:
    desk.book = entries("a", "b")
    desk.trouble["a"] = VenueRefused(-4999, "not now")
    await desk.heard(30)
    assert await desk.after(32.5) == [("reduce", "grid"), ("fail", "a"), ("cancel", "b")]
    desk.book = entries("a")
    assert await desk.after(0.1) == [("fail", "a")], "and is tried again"


async def test_a_venue_that_demands_silence_is_not_asked_for_the_next_order(desk: Desk) -> None:
    desk.book = entries("a", "b")
    desk.trouble["a"] = VenueThrottled(429, 30)
    await desk.heard(30)
    assert await desk.after(32.5) == [("reduce", "grid"), ("fail", "a")]


async def test_the_flattening_waits_for_no_order_that_cannot_be_cancelled(desk: Desk) -> None:
    desk.book = entries("a")
    desk.trouble["a"] = VenueRefused(-4999, "not now")
    await desk.heard(30)
    assert await desk.after(34) == [("reduce", "grid"), ("fail", "a"), ("flatten", "grid")]
    assert await desk.after(1) == [], "the kill cancels for itself"
    assert [each["step"] for each in desk.events] == ["reduce", "flatten"]


async def test_it_is_judged_by_whichever_warden_lives(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(31.5) == [("reduce", "grid")]
    desk.watch = desk.a_watch()
    assert await desk.after(0.1) == [], "what one has done the next does not do again"
    assert [each[0] for each in await desk.after(5)] == ["flatten"]


async def test_one_that_the_store_lost_runs_for_one_more_time_to_live(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.heard(30)
    await desk.after(20)
    desk.forget(Keys(desk.name).leases)
    assert await desk.after(0) == []
    assert "had lost 1 leases" in caplog.text
    assert await desk.after(29) == [], "thirty seconds from the loss"
    assert await desk.after(3) == [("reduce", "grid")]


async def test_after_an_outage_every_lease_has_grace_once(desk: Desk) -> None:
    await desk.heard(30)
    await desk.after(20)
    desk.store.away = True
    looking = desk.watch
    with pytest.raises(ConnectionError):
        await desk.after(60)
    looking.store_was_away()
    desk.store.away = False
    assert await desk.after(0) == []
    assert await desk.after(29) == []
    assert await desk.after(2.5) == [("reduce", "grid")]


async def test_an_outage_forgives_nothing_that_had_run_out_before(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(31.5) == [("reduce", "grid")]
    desk.watch.store_was_away()
    assert [each[0] for each in await desk.after(5)] == ["flatten"]


async def test_a_machine_that_stood_still_holds_nothing_against_a_bot(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.heard(30)
    assert await desk.after(1) == []
    assert await desk.after_standing_still(60) == []
    assert "nobody watched leases for 60." in caplog.text
    assert 28 < desk.watch.states()[0].left_s < 29.5, "as much as before"


async def test_a_lease_that_was_nearly_over_has_ten_seconds_after_a_standstill(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(29) == []
    assert await desk.after_standing_still(60) == []
    assert await desk.after(9) == []
    assert await desk.after(2.5) == [("reduce", "grid")]


async def test_a_dead_bots_lease_runs_out_however_often_the_machine_stands_still(desk: Desk) -> None:
    await desk.heard(30)
    for _ in range(2):
        assert await desk.after(12) == []
        assert await desk.after_standing_still(3) == []
    assert ("reduce", "grid") in await desk.after(12), "thirty seconds in which somebody watched"


async def test_a_bot_that_died_meanwhile_is_acted_on_after_one_more_time_to_live(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(1) == []
    assert await desk.after_standing_still(60) == []
    assert await desk.after(29) == []
    assert await desk.after(2.5) == [("reduce", "grid")]
    assert await desk.after(2) == [("flatten", "grid")]


@pytest.fixture
async def ours(desk: Desk) -> Desk:
    """A guard's, whose desk of the store is another's by now; it does not know yet."""
    await desk.store.aclose()
    desk.store = Clocked(desk.url, desk.name, OURS)
    desk.watch = desk.a_watch()
    return desk


def belongs_to(desk: Desk, guard: str) -> None:
    with redis.Redis.from_url(desk.url) as client:
        client.hset(Keys(desk.name).controls, "guard", guard)


def kept(desk: Desk) -> dict[str, str]:
    with redis.Redis.from_url(desk.url, decode_responses=True) as client:
        return dict(client.hgetall(Keys(desk.name).leases))


async def test_a_guard_that_comes_back_leaves_no_lease_in_a_desk_that_is_anothers(ours: Desk) -> None:
    belongs_to(ours, OURS)
    await ours.heard(30)
    assert await ours.after(1) == []
    ours.forget(Keys(ours.name).leases)  # The other took over.
    belongs_to(ours, THEIRS)
    with pytest.raises(DeskTaken):
        await ours.looked()
    assert kept(ours) == {}


async def test_it_does_nothing_to_its_bot_for_the_lease_of_anothers_that_is_called_alike(ours: Desk) -> None:
    belongs_to(ours, THEIRS)
    await ours.heard(30)
    with pytest.raises(DeskTaken):
        await ours.after(3_600)
    assert ours.did == []


async def test_the_desk_may_become_anothers_between_a_look_and_what_it_writes(ours: Desk) -> None:
    await ours.heard(30)
    await ours.heard(0, bot="maker")
    before = kept(ours)
    (lease,) = (await ours.store.read()).held.values()
    belongs_to(ours, THEIRS)
    for asked in (
        ours.store.change(lease, replace(lease, steps=1)),
        ours.store.change(None, replace(lease, bot="other")),
        ours.store.forget_released("main|maker"),
        ours.store.run_out("main", [DeadManTimer("grid", "BTCUSDT")]),
    ):
        with pytest.raises(DeskTaken):
            await asked
    assert (kept(ours), ours.timers()) == (before, set())


async def test_standing_still_forgives_nothing_that_had_run_out_before(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(31.5) == [("reduce", "grid")]
    assert await desk.after_standing_still(60) == [("flatten", "grid")]


async def test_one_that_had_run_out_before_any_step_was_due_is_not_forgiven_by_standing_still(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "POLICY", Lease(reduce_after_s=0, cancel_after_s=0, flatten_after_s=30))
    await desk.heard(30)
    assert await desk.after(50) == []
    assert await desk.after_standing_still(11) == [("flatten", "grid")]


async def test_a_clock_that_is_put_back_keeps_no_dead_bots_lease_alive(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.looked() == []
    desk.store.later_us -= 3_600_000_000
    assert await desk.looked() == []
    assert 29 < desk.watch.states()[0].left_s <= 30
    assert await desk.after(31.5) == [("reduce", "grid")]


async def test_a_turn_that_is_a_little_late_is_no_standing_still(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(29.5) == []
    assert await desk.after_standing_still(WATCHED_S) == [("reduce", "grid")]


async def test_whoever_reads_the_clock_first_sees_that_it_stood_still(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(1) == []
    desk.store.later_us += 60_000_000
    await desk.watch.keep_time()
    assert await desk.looked() == []


async def test_an_outage_that_is_said_during_a_look_is_for_the_next(desk: Desk) -> None:
    await desk.heard(30)
    assert await desk.after(29) == []
    await desk.heard(0, bot="maker")
    desk.store.on_forget = desk.watch.store_was_away
    assert await desk.after(0.5) == []
    assert desk.watch.states()[0].left_s < 1
    assert await desk.after(0.1) == []
    assert desk.watch.states()[0].left_s > 29, "it was counted anew"


async def test_a_look_that_waits_for_the_venue_keeps_nobody_elses_lease_alive(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(watch, "STOOD_STILL_S", 0.8)
    desk.book = entries("a")
    desk.cancelling_s = 1.6
    await desk.heard(30)
    await desk.heard(32, bot="maker")
    desk.store.later_us = 32_500_000
    running = asyncio.create_task(desk.watch.run())
    try:
        async with asyncio.timeout(10):
            while ("reduce", "maker") not in desk.did:
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert ("cancel", "a") in desk.did


async def test_a_bot_that_renews_at_the_new_server_is_not_judged_by_the_one_that_became_a_replica(
    tmp_path: Path,
) -> None:
    with (
        EmbeddedStore(tmp_path / "old") as old,
        EmbeddedStore(tmp_path / "new") as new,
        Moved(tmp_path / "address") as moved,
    ):
        moved.to(old)
        desk = Desk(moved.url, "moved")
        await desk.heard(20)
        await desk.after(1)
        await desk.gate.aclose()
        await demote(old)
        moved.to(new)
        desk.gate = GateStore(moved.url, desk.name, timeout_s=2.0)
        await desk.heard(60)
        for _ in range(16):
            try:
                await desk.after(WATCHED_S)
            except STORE_TROUBLE:
                desk.watch.store_was_away()  # As its loops say.
        assert desk.events == []
        assert [lease.ttl_s for lease in desk.watch.states()] == [60]
        await desk.store.aclose()
        await desk.gate.aclose()
