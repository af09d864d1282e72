"""Without a warden: what was on the wire at the press is followed, by the store's word or by the clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from proxy.kill.hands import AccountHands
from proxy.kill.in_flight import OVER_AFTER_S
from proxy.kill.job import Latch, kill
from proxy.kill.jobs import job_history
from proxy.kill.late import CalledOff, kill_followed
from proxy.kill.report import KillReport
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.warden_store import AgedHold, WardenStore
from rules.kill.events import Phase
from rules.model import PositionSide
from rules.snapshot import HoldStatus
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_hold, slow_down
from tests.proxy.kill.virtual_time import in_virtual_time


class World:
    """Two flat accounts; ``late_s`` after the press ``main`` gets what a bot had sent before."""

    def __init__(self, data_dir: Path) -> None:
        Fence.initialise(data_dir)
        self.data_dir = data_dir
        self.main, self.other = (
            SimulatedVenue(3, quiet=True, fault_share=0, name=name, hedged=False) for name in ("main", "other")
        )
        self.store = SimulatedStore(random.Random(5), delay_s=0.001)
        self.said: list[str] = []

    def holds(self, status: HoldStatus) -> None:
        self.store.under_way["main"] = (a_hold("h1", status),)

    async def arrives(self, late_s: float) -> None:
        await asyncio.sleep(late_s)
        self.main.positions["BTCUSDT", PositionSide.BOTH] = Decimal("0.3")
        self.store.under_way.clear()

    async def press(self, *, has_store: bool = True) -> KillReport:
        async def once(hands: Sequence[AccountHands], reason: str, latch: Latch, *, anew: bool) -> KillReport:
            return await kill(self.data_dir, DESK, hands, "ann", reason, latch=latch, whole=anew, anew=anew)

        async def latch(scope: Scope, generation: int | None) -> None:
            await self.store.controls()

        store = cast("WardenStore", self.store) if has_store else None
        return await kill_followed(
            once, [self.main, self.other], "stop", latch=latch, store=store, say=self.said.append
        )

    def jobs(self, account: str) -> int:
        return len([*job_history(self.data_dir, account)])


@pytest.mark.parametrize("store", ["answers", "is away", "is none"])
def test_what_arrives_when_all_was_read_as_flat_is_closed(tmp_path: Path, store: str) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)
        if store == "is away":
            world.store.away.add("warden")
        late = asyncio.create_task(world.arrives(11))
        report = await world.press(has_store=store != "is none")
        await late
        assert report.phase is Phase.FLAT and world.main.flat and world.other.flat
        assert [world.jobs(each) for each in ("main", "other")] == [2, 1]
        assert report.in_flight is not None and report.in_flight.known is (store == "answers")
        waits, again = world.said
        assert "read as flat; waiting at most" in waits and again.startswith("main is made flat once more")
        assert ("a request of " in waits) is (store == "answers")

    in_virtual_time(one())


def test_what_the_store_calls_over_is_not_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        report = await world.press()
        assert world.main.loop.time() < OVER_AFTER_S and world.said == []
        assert report.phase is Phase.FLAT and report.in_flight is not None and report.in_flight.known

    in_virtual_time(one())


def test_where_nothing_is_flat_nothing_is_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        for venue in (world.main, world.other):
            venue.banned_until = venue.loop.time() + 300
        report = await world.press(has_store=False)
        assert report.phase is Phase.DEGRADED and world.said == []
        assert world.main.loop.time() < 1

    in_virtual_time(one())


def test_while_one_account_is_open_the_others_wire_is_not_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.other.positions["BTCUSDT", PositionSide.BOTH] = Decimal(3)
        world.other.halted.add("BTCUSDT")
        report = await world.press(has_store=False)
        assert world.main.loop.time() < OVER_AFTER_S / 2
        assert [each.phase for each in report.accounts] == [Phase.FLAT, Phase.DEGRADED]
        assert report.in_flight is not None and not report.in_flight.known
        assert len(world.said) == 1 and world.said[0].startswith("main read as flat and not all is, so there is no")

    in_virtual_time(one())


def test_what_was_over_before_another_account_was_read_may_have_come_after_the_last_reading(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)
        slow_down(world.other, 5)
        late = asyncio.create_task(world.arrives(8))
        report = await world.press()
        assert late.done() and report.phase is Phase.FLAT and world.main.flat
        assert [world.jobs(each) for each in ("main", "other")] == [2, 1]
        assert world.said == ["main is made flat once more: what was in flight is over"]

    in_virtual_time(one())


def test_what_is_called_off_is_the_waiting_alone(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        press = asyncio.create_task(world.press(has_store=False))
        while not world.said:
            await asyncio.sleep(0.1)
        press.cancel()
        with pytest.raises(CalledOff) as called_off:
            await press
        report = called_off.value.report
        assert report.phase is Phase.FLAT and report.in_flight is not None and not report.in_flight.known
        assert world.main.loop.time() < OVER_AFTER_S / 2

    in_virtual_time(one())


def test_a_bug_in_the_following_loses_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def one() -> None:
        world = World(tmp_path)

        async def broken(account: str) -> tuple[AgedHold, ...]:
            raise UnicodeError(account)

        monkeypatch.setattr(world.store, "holds", broken)
        report = await world.press()
        assert report.phase is Phase.FLAT and report.in_flight is not None and not report.in_flight.known

    in_virtual_time(one())
