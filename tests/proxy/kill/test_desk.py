"""The kill desk on a disk that refuses, with an epoch that is damaged, and where one bot of several is killed."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import proxy.kill.job
from proxy.kill import sentinels
from proxy.kill.desk import KillDesk
from proxy.kill.pursuit import Pursuit
from proxy.kill.roster import Roster
from proxy.kill.runner import Clock
from proxy.kill.sentinels import SentinelWatch
from proxy.store.epoch import Epoch, EpochFile
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.warden_store import WardenStore
from rules.kill.events import Phase
from rules.kill.settings import Flatten
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk
from tests.proxy.kill.test_scopes import flip
from tests.proxy.kill.test_watch import World
from tests.proxy.kill.virtual_time import in_virtual_time

MAIN, GRID = Scope("main"), Scope(bot="grid")


class Disk:
    """The disk under one directory. While ``read_only`` nothing can be made or opened for writing there."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read_only = False
        self._root = os.fspath(root)
        self._open, self._mkdir = os.open, os.mkdir
        monkeypatch.setattr(os, "open", self.open)
        monkeypatch.setattr(os, "mkdir", self.mkdir)

    def open(self, path: Any, flags: int, *mode: int, **at: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self._refuse(path)
        return self._open(path, flags, *mode, **at)

    def mkdir(self, path: Any, *mode: int) -> None:
        self._refuse(path)
        self._mkdir(path, *mode)

    def _refuse(self, path: Any) -> None:
        if self.read_only and os.fspath(path).startswith(self._root):
            raise OSError(30, "Read-only file system")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    Fence.initialise(tmp_path)
    return Disk(tmp_path, monkeypatch)


def test_f19_a_press_on_a_disk_that_cannot_be_written_closes_all_the_same_and_says_so(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async def one() -> None:
        venue, store, events = SimulatedVenue(3, fault_share=0), SimulatedStore(random.Random(1)), list[Any]()
        desk = a_desk(tmp_path, store, venue, events=events)
        disk.read_only = True
        blocked = await desk.press(MAIN, "ann", "stop")
        assert (blocked.latched, blocked.blocked_ms, blocked.gates.gates) == (True, None, None), "nobody can vouch"
        assert "Read-only file system" in blocked.trouble
        assert store.fields["account:main"] == "HALTED"
        await desk.runs.join()
        assert venue.flat and desk.stopped("main")
        assert [what for what, _ in events] == ["kill.engaged", "kill.flat"]
        assert events[0][1]["trouble"] == blocked.trouble

        mirror = asyncio.create_task(desk.mirror())
        await asyncio.sleep(3)
        assert not desk.truths.fence.stands(MAIN)
        disk.read_only = False
        await asyncio.sleep(1)
        mirror.cancel()
        assert desk.truths.fence.stands(MAIN), "it was not written when it could be"

    in_virtual_time(one())
    assert caplog.text.count("the stop of account:main is not on this machine's disk: Read-only file system") == 1


def test_f19_a_stop_that_neither_disk_nor_store_took_is_told_to_the_store_later_and_lifted_with_the_rest(
    tmp_path: Path, disk: Disk
) -> None:
    async def one() -> None:
        store = SimulatedStore(random.Random(1))
        desk = a_desk(tmp_path, store, SimulatedVenue(3, fault_share=0))
        disk.read_only = True
        store.away.add("warden")
        assert not (await desk.press(MAIN, "ann", "stop")).latched
        await desk.runs.join()
        store.away.clear()
        mirror = asyncio.create_task(desk.mirror())
        await asyncio.sleep(1)
        mirror.cancel()
        assert store.fields["account:main"] == "HALTED"

        disk.read_only = False
        await desk.rearm(MAIN, "bob", "checked at the venue", "account:main")
        assert not desk.stopped("main") and desk.truths.scopes() == frozenset()

    in_virtual_time(one())


def test_f19_the_automatic_kill_needs_no_disk_and_is_pressed_once(tmp_path: Path, disk: Disk) -> None:
    async def one() -> None:
        venue, events = SimulatedVenue(3, fault_share=0), list[Any]()
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue, events=events)
        disk.read_only = True
        world = World()
        world.respond(desk)
        await world.look(20)
        await desk.runs.join()
        assert venue.flat, "nothing was closed"
        assert [what for what, _ in events] == ["reducing", "kill.engaged", "kill.flat"]

    in_virtual_time(one())


def test_f19_a_job_is_resumed_on_a_disk_that_cannot_be_written(tmp_path: Path, disk: Disk) -> None:
    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        directory = tmp_path / "kill" / "jobs" / "main"
        directory.mkdir(parents=True)
        (directory / "20261124T093000000000-00000000.jsonl").touch()
        disk.read_only = True
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue)
        await desk.resume()
        await desk.runs.join()
        assert venue.flat

    in_virtual_time(one())


@pytest.fixture
def epoch_refuses(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The sentinel is written, the epoch is not."""

    def write(self: EpochFile, epoch: Epoch) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(EpochFile, "write", write)
        yield patch


async def test_a_sentinel_whose_epoch_was_not_written_is_pressed_for(
    tmp_path: Path, epoch_refuses: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence, pressed = Fence.initialise(tmp_path), list[Scope]()

    async def press(scope: Scope, by: str, reason: str) -> None:
        pressed.append(scope)

    def watch() -> SentinelWatch:
        return SentinelWatch(data_dir=tmp_path, press=press, accounts=lambda scope: ("main",))

    with pytest.raises(OSError, match="Input/output error"):
        fence.engage(MAIN)  # A press on the command line, say, which died of it.
    assert fence.put_at(MAIN) is None, "it is not dated 1970"
    first = watch()
    await first._look(MAIN)
    assert pressed == [], "its epoch may be on the way"
    monkeypatch.setattr(sentinels, "UNDER_WAY_S", 0.0)
    await first._look(MAIN)
    await first._look(MAIN)
    assert pressed == [MAIN]

    journal = tmp_path / "kill" / "jobs" / "main" / "20261124T093000000000-00000000.jsonl"
    journal.parent.mkdir(parents=True)
    journal.touch()
    await watch()._look(MAIN)
    assert pressed == [MAIN], "its job has been"

    epoch_refuses.undo()
    fence.engage(MAIN)
    journal.unlink()
    await watch()._look(MAIN)
    assert pressed == [MAIN], "the epoch names it: whoever pressed came that far"


def a_shared_account(data_dir: Path) -> KillDesk:
    """One account that two bots trade."""
    venue = SimulatedVenue(3, fault_share=0)

    async def nothing(*_: Any) -> None:
        return

    return KillDesk(
        data_dir=data_dir,
        roster=Roster(
            hands={"main": venue},
            venues={"main": "binanceusdm"},
            traders=lambda: [("grid", "main"), ("maker", "main")],
            bot_hands=lambda bot, account: venue,
        ),
        store=cast(WardenStore, SimulatedStore(random.Random(1))),
        record=nothing,
        certify=nothing,
        changed=lambda scope: None,
        flatten=Flatten,
    )


@pytest.mark.parametrize(
    ("killed", "whole", "part"),
    [(GRID, False, True), (Scope(bot="other"), False, False), (MAIN, True, True), (DESK, True, True)],
    ids=str,
)
async def test_a_bots_kill_stops_a_part_of_its_account(tmp_path: Path, killed: Scope, whole: bool, part: bool) -> None:
    Fence.initialise(tmp_path).engage(killed)
    desk = a_shared_account(tmp_path)
    assert (desk.stopped("main"), desk.stopped_in_part("main")) == (whole, part)


async def test_while_one_bot_is_killed_the_account_is_killed_for_what_the_others_lose(tmp_path: Path) -> None:
    Fence.initialise(tmp_path).engage(GRID)
    desk, world = a_shared_account(tmp_path), World()
    world.respond(desk)
    await world.look(20)
    await desk.runs.join()
    assert [what for what, _ in world.audit] == ["trigger.reduce", "trigger.kill"]
    assert desk.stopped("main")


def test_f23_damage_to_the_epoch_ends_no_pursuit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: list[Clock] = []
    monkeypatch.setattr(proxy.kill.job, "Clock", lambda: clock[0])

    async def one() -> None:
        clock.append(Clock())
        venue, loop = SimulatedVenue(3, fault_share=0), asyncio.get_running_loop()
        venue.banned_until = loop.time() + 120
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue)
        Fence.initialise(tmp_path)

        async def record(what: str, by: str, detail: dict[str, Any]) -> None:
            return

        await desk.press(MAIN, "ann", "stop")
        await desk.runs.join()
        assert desk.reports()[0].phase is Phase.DEGRADED
        flip(tmp_path / "kill" / "epoch")
        assert desk.engaged() == {MAIN}, "nobody has pressed for the desk"
        pursuing = asyncio.create_task(Pursuit(data_dir=tmp_path, desk=desk, record=record, now=clock[0].now).run())
        await asyncio.sleep(300)
        pursuing.cancel()
        assert venue.flat

    in_virtual_time(one())
