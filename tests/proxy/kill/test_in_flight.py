"""What was on the wire, by the word of real stores: a hold that was lost with a server is not over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from proxy import under_way
from proxy.gate.latch import ControlSource, Latch
from proxy.kill.in_flight import OVER_AFTER_S, InFlight, followed, in_flight
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import WardenStore
from tests.proxy.store.builders import a_request
from tests.proxy.store.failover import Moved

LEFT_S = 0.6
"""Of the time within which what was sent may be executed, where the press was as long ago as it takes."""


class Stores:
    """A server that a warden has filled and a gate has a hold on, and a replica of it that lacks that hold."""

    def __init__(self, address: Moved, first: EmbeddedStore, second: EmbeddedStore) -> None:
        self.address, self.first, self.second = address, first, second
        self.kills = WardenStore(address.url, "desk")

    async def begin(self) -> None:
        self.address.to(self.first)
        run_id, _ = await self.kills.server()
        for server in (self.first, self.second):
            warden = WardenStore(server.url, "desk")
            await warden.begin_epoch()
            await warden.fill(run_id)
            await warden.aclose()
        gate = GateStore(self.first.url, "desk", timeout_s=2.0)
        await gate.hold(a_request("h1"))
        await gate.settle("demo", "h1", "UNKNOWN", [])
        await gate.aclose()

    async def fail_over(self) -> None:
        self.address.to(self.second)
        self.first.stop()
        await self.kills.aclose()
        self.kills = WardenStore(self.address.url, "desk")  # One whose connections broke would say nothing at all.

    async def tell(self) -> None:
        """What a warden does as soon as it finds the other server."""
        run_id, _ = await self.kills.server()
        await self.kills.distrust(["demo"])
        await self.kills.fill(run_id)

    async def go_through(self) -> None:
        """What it does when the requests of before must be over."""
        await self.tell()
        await self.kills.forget_times("demo", [])
        await self.kills.begin_epoch()


@asynccontextmanager
async def stores(home: Path) -> AsyncIterator[Stores]:
    with (
        EmbeddedStore(home / "first") as first,
        EmbeddedStore(home / "second") as second,
        Moved(home / "s") as address,
    ):
        found = Stores(address, first, second)
        await found.begin()
        try:
            yield found
        finally:
            await found.kills.aclose()


async def end_of(found: InFlight, store: WardenStore) -> tuple[InFlight, float]:
    """What became of it, and how long that took, with ``LEFT_S`` left."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    return await followed(store, found, began + LEFT_S - OVER_AFTER_S), loop.time() - began


async def test_a_hold_that_its_server_has_no_more_is_over(tmp_path: Path) -> None:
    async with stores(tmp_path) as world:
        found = await in_flight(world.kills, ["demo"])
        assert [(each.hold_id, each.status) for each in found.sent] == [("h1", "UNKNOWN")]
        gate = GateStore(world.first.url, "desk", timeout_s=2.0)
        await gate.settle("demo", "h1", "RELEASE", [])
        await gate.aclose()
        ended, took_s = await end_of(found, world.kills)
        assert [each.became for each in ended.sent] == ["known at the exchange, or refused"]
        assert took_s < LEFT_S


@pytest.mark.parametrize("told", ["not yet", "distrusted", "gone through"])
async def test_a_hold_that_a_failover_lost_after_the_press_ends_with_its_time_alone(tmp_path: Path, told: str) -> None:
    async with stores(tmp_path) as world:
        found = await in_flight(world.kills, ["demo"])
        await world.fail_over()
        if told == "distrusted":
            await world.tell()
        if told == "gone through":
            await world.go_through()
        ended, took_s = await end_of(found, world.kills)
        assert [each.became for each in ended.sent] == ["its time has passed"]
        assert took_s >= LEFT_S


@pytest.mark.parametrize("told", [False, True])
async def test_after_a_failover_the_store_does_not_say_what_was_on_the_wire(tmp_path: Path, told: bool) -> None:
    async with stores(tmp_path) as world:
        await world.fail_over()
        if told:
            await world.tell()
        found = await in_flight(world.kills, ["demo"])
        assert not found.known
        assert (await end_of(found, world.kills))[1] >= LEFT_S


def test_the_wait_outlasts_what_a_gate_may_send_that_was_cut_off_at_the_press() -> None:
    """A gate that hears the store no more takes entries to the exchange until its latch gives up."""
    time_s = 0.0
    latch = Latch(Mock(spec=ControlSource), clock=lambda: time_s)
    latch.heard({}, asked_at=time_s)
    while not latch.lapsed:
        last_sent_s = time_s
        time_s += 0.01
    assert last_sent_s + under_way.REPLY_TIMEOUT_S + under_way.LATE_S <= OVER_AFTER_S
