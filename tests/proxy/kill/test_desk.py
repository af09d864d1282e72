"""The kill desk on a disk that refuses, with an epoch that is damaged, and where one bot of several is killed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import proxy.kill.job
from proxy.clock import utc_now
from proxy.kill import gap, line
from proxy.kill.asked import Asked, asked_of, note_asked
from proxy.kill.desk import KillDesk
from proxy.kill.in_flight import IN_FLIGHT_OVER, OVER_AFTER_S
from proxy.kill.jobs import job_directory, job_history, unfinished_jobs
from proxy.kill.journal import Journal
from proxy.kill.lock import AccountLock
from proxy.kill.press import Press
from proxy.kill.pursuit import Pursuit
from proxy.kill.rearm import RearmRefused, rearm
from proxy.kill.roster import Roster
from proxy.kill.runner import Clock
from proxy.kill.runs import Work
from proxy.kill.tries import PURSUER, SHOWN_AGAIN
from proxy.kill.truths import Stopped
from proxy.store.epoch import Epoch, EpochFile
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.telling import ToldHolds
from proxy.store.warden_store import WardenStore
from rules.account import HoldStatus
from rules.kill.events import Phase, Resumed
from rules.kill.legs import OpenLeg
from rules.kill.settings import Flatten
from rules.model import PositionSide, TradingState
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import LOT, SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk, a_hold
from tests.proxy.kill.test_scopes import flip
from tests.proxy.kill.test_watch import World
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.certificates import a_job
from tests.support.kills import kill

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


def test_no_press_is_lost_over_a_hold_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(accounts: Sequence[str]) -> ToldHolds:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    async def one() -> None:
        Fence.initialise(tmp_path)
        venue, store = SimulatedVenue(3, fault_share=0), SimulatedStore(random.Random(1))
        monkeypatch.setattr(store, "told_holds", broken)
        desk = a_desk(tmp_path, store, venue)
        blocked = await desk.press(MAIN, "ann", "stop")
        assert blocked.latched and not blocked.in_flight.known
        await desk.runs.join()
        assert venue.flat

    in_virtual_time(one())
    assert "what was on the wire cannot be followed: UnicodeDecodeError" in caplog.text


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


def test_a_press_is_answered_when_each_account_has_its_job_and_what_the_mirror_stops_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, venue = SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, store, venue)
        stop, noted = desk.truths.stop, list[Asked | None]()

        def noting(scope: Scope) -> Stopped:
            noted.append(asked_of(tmp_path, scope))
            return stop(scope)

        monkeypatch.setattr(desk.truths, "stop", noting)
        await desk.press(MAIN, "ann", "stop")
        assert noted == [Asked(by="ann", reason="stop")], "it is noted before anything is stopped"
        assert desk.at_it(MAIN) and asked_of(tmp_path, MAIN) is None, "it has its job, which is not over"
        await desk.press(MAIN, "bob", "stop, I said")
        await desk.runs.join()
        assert asked_of(tmp_path, MAIN) is None, "the one that joined"
        note_asked(tmp_path, MAIN, Asked(by="ann", reason="again"))
        await desk.rearm(MAIN, "bob", "looked at it all", "account:main")
        assert asked_of(tmp_path, MAIN) is None, "it was let go"
        store.fields["account:main"] = "HALTED"
        await desk.truths.compare(desk.running, desk._found)
        assert MAIN in desk.truths.scopes() and asked_of(tmp_path, MAIN) is None

    in_virtual_time(one())


def test_a_press_is_owed_until_the_job_that_no_disk_took_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
        create = Journal.create

        def refused(path: Path, *rest: Any) -> Journal:
            journal = create(path, *rest)
            journal.trouble = "No space left on device"
            return journal

        monkeypatch.setattr(Journal, "create", refused)
        await desk.press(MAIN, "ann", "stop")
        await asyncio.sleep(0.5)
        assert desk.at_it(MAIN) and asked_of(tmp_path, MAIN) == Asked(by="ann", reason="stop")
        await desk.runs.join()
        assert asked_of(tmp_path, MAIN) is None

    in_virtual_time(one())


def test_the_kill_of_one_account_of_a_press_does_not_answer_it(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path).engage(DESK)
        note_asked(tmp_path, DESK, Asked(by="ann", reason="stop"))
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
        await desk.again(DESK, "main", "guard", "it has come back")
        await desk.runs.join()
        assert asked_of(tmp_path, DESK) is not None

    in_virtual_time(one())


def test_a_stop_that_has_no_kill_yet_is_told_in_the_name_of_whoever_asked_and_not_as_an_old_one(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        events, by = list[Any](), list[str]()
        venue = SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue, events=events, by=by)
        await desk.press(MAIN, "bob", "yesterday")
        await desk.runs.join()
        for path in (tmp_path / "kill" / "jobs" / "main").glob("*.jsonl"):
            job = Journal.read(path)
            assert job is not None
            started_at = job.job.started_at.isoformat().replace("+00:00", "Z").encode()
            path.write_bytes(path.read_bytes().replace(started_at, b"2020-01-01T00:00:00.000000Z", 1))
        await desk.rearm(MAIN, "bob", "looked at it all", "account:main")
        Fence(tmp_path).engage(MAIN)
        note_asked(tmp_path, MAIN, Asked(by="ann", reason="runaway grid"))
        events.clear()
        by.clear()
        await desk.truths.compare(desk.running, desk._found)
        assert ([what for what, _ in events], by) == (["kill.engaged"], ["ann"])

    in_virtual_time(one())


def test_a_job_that_this_process_is_at_is_seen_by_whoever_watches(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
        await desk.press(MAIN, "ann", "stop")
        assert desk.at_it(DESK) == {"main"} and desk.at_it(GRID) == frozenset()
        await desk.runs.join()

    in_virtual_time(one())


def a_damaged_job(data_dir: Path) -> None:
    """The newest journal of the account cannot be read: one line in its midst is no line of ours."""
    (path,) = (data_dir / "kill" / "jobs" / "main").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"damage\n", *lines[2:]]))


@pytest.mark.parametrize("what", ["damaged", "empty"])
def test_what_is_left_of_a_job_is_no_kill_under_way_and_where_its_scope_is_stopped_it_is_taken_up(
    tmp_path: Path, what: str
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        venue, store = SimulatedVenue(3, fault_share=0), SimulatedStore(random.Random(1))
        desk = a_desk(tmp_path, store, venue)
        await desk.press(MAIN, "ann", "a month ago")
        await desk.runs.join()
        if what == "damaged":
            a_damaged_job(tmp_path)
        else:
            (tmp_path / "kill" / "jobs" / "main" / "21261124T093000000000-00000000.jsonl").touch()
        assert not desk.running(MAIN), "bots' exits stay trapped"
        venue.enter("BTCUSDT")

        async def record(*_: Any) -> None:
            return

        pursuit = Pursuit(data_dir=tmp_path, desk=desk, record=record, now=Clock().now)
        await pursuit.look()
        await desk.runs.join()
        assert venue.flat

    in_virtual_time(one())


def test_an_automatic_kill_is_not_held_off_by_a_damaged_journal(tmp_path: Path) -> None:
    async def one() -> None:
        fence, venue = Fence.initialise(tmp_path), SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue)
        await desk.press(MAIN, "ann", "a month ago")
        await desk.runs.join()
        fence.release(MAIN)
        a_damaged_job(tmp_path)
        venue.enter("BTCUSDT")
        assert await desk.close("main", "warden", "liquidation in sight")
        assert not await desk.close("main", "warden", "liquidation in sight"), "it runs already"
        await desk.runs.join()
        assert venue.flat

    in_virtual_time(one())


def test_a_kill_on_a_disk_without_room_leaves_no_file_that_looks_like_one_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        venue, write = SimulatedVenue(3, fault_share=0), os.write

        def full(descriptor: int, content: bytes) -> int:
            if "/kill/jobs/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                raise OSError(28, "No space left on device")
            return write(descriptor, content)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            report = await kill(tmp_path, MAIN, [venue], "ann", "from the command line")
        monkeypatch.setattr(gap, "_kept", {})  # That process is over.
        assert report.flat and list((tmp_path / "kill" / "jobs" / "main").glob("*.jsonl")) == []
        assert unfinished_jobs(tmp_path) == ()

    in_virtual_time(one())


def test_f19_the_newest_job_is_shown_where_the_disk_took_none_of_it(tmp_path: Path, disk: Disk) -> None:
    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue)
        await desk.press(MAIN, "ann", "yesterday")
        await desk.runs.join()
        disk.read_only = True
        await desk.press(MAIN, "bob", "today")
        await desk.runs.join()
        assert [report.reason for report in desk.reports()] == ["today"]

    in_virtual_time(one())


def test_f19_journals_that_no_disk_takes_are_remembered_up_to_a_bound(tmp_path: Path, disk: Disk) -> None:
    disk.read_only = True
    directory = tmp_path / "kill" / "jobs" / "main"
    for number in range(gap.KEPT_MAX + 2):
        gap.keep(Journal(directory / f"20261124T093000000000-{number:08}.jsonl", a_job("main"), []))
    kept = sorted(path.stem for path in gap.paths(tmp_path))
    assert len(kept) == gap.KEPT_MAX and kept[0].endswith("-00000002")


async def test_f19_a_stop_that_the_disk_refuses_is_pursued_beside_a_damaged_epoch(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "kill" / "epoch").write_bytes(b"damage")
    disk.read_only = True
    desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
    desk.truths.stop(MAIN)
    assert desk.engaged() == {MAIN}


def test_f24_a_job_that_is_resumed_follows_what_was_on_the_wire(tmp_path: Path) -> None:
    async def one() -> None:
        store, venue, events = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0), list[Any]()
        desk = a_desk(tmp_path, store, venue)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)

        async def arrive() -> None:
            await asyncio.sleep(12)
            venue.enter("BTCUSDT")
            store.under_way["main"] = (a_hold("d1", HoldStatus.ACCEPTED),)

        arriving = asyncio.create_task(arrive())
        await desk.press(DESK, "ann", "stop")
        await asyncio.sleep(0.3)
        for task in list(desk.runs._tasks.values()):
            task.cancel()  # The warden dies.
        await asyncio.sleep(0.01)
        desk = a_desk(tmp_path, store, venue, events=events)
        await desk.resume()
        await desk.runs.join()
        await arriving
        assert venue.flat, "what arrived after the crash was not closed"
        assert [sent["hold_id"] for sent in events[-1][1]["in_flight"]["sent"]] == ["d1"]

    in_virtual_time(one())


def leave_unended(data_dir: Path, account: str) -> None:
    """A job whose process has just died."""
    job = a_job(account, started_at=utc_now())
    Journal.create(job_directory(data_dir, account) / f"{job.job_id}.jsonl", job).close()


def test_what_was_rearmed_over_a_job_that_nobody_can_end_stays_so_at_the_next_start(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, venue = SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0)
        leave_unended(tmp_path, "gone")
        desk = a_desk(tmp_path, store, venue)
        await desk.press(DESK, "ann", "stop")
        await desk.runs.join()
        await desk.rearm(DESK, "bob", "the account was moved elsewhere", "desk")
        desk = a_desk(tmp_path, store, venue)
        await desk.resume()
        await desk.runs.join()
        assert not desk.truths.scopes() and (await store.controls())["desk"] == TradingState.ACTIVE.value

    in_virtual_time(one())


def test_a_job_that_nobody_can_end_and_that_came_after_the_last_rearm_stops_at_the_next_start(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        rearm(tmp_path, DESK, "bob", "it was a rehearsal", "desk")
        leave_unended(tmp_path, "gone")
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
        await desk.resume()
        await desk.runs.join()
        assert desk.truths.scopes() == {DESK}

    in_virtual_time(one())


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    async def one() -> None:
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
        assert await desk.unreadable() == ()
        await desk.press(MAIN, "ann", "stop")
        await desk.runs.join()
        assert await desk.unreadable() == ()
        (journal,) = (tmp_path / "kill" / "jobs" / "main").glob("*.jsonl")
        journal.write_bytes(b"damage\n" + journal.read_bytes())
        assert await desk.unreadable() == ("main",)
        assert await desk.progress() == ()

    in_virtual_time(one())


def test_a_job_of_before_the_clock_was_set_back_answers_no_press(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(Clock):
        def __init__(self) -> None:
            super().__init__()
            self._wall += timedelta(minutes=10)

    async def one() -> None:
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, fault_share=0))
        with monkeypatch.context() as patch:
            patch.setattr(proxy.kill.job, "Clock", Ahead)
            await desk.press(MAIN, "ann", "yesterday")
            await desk.runs.join()
        over = {report.job_id for report in desk.reports()}
        blocked = await desk.press(MAIN, "bob", "now")
        assert blocked.over == over
        assert [report.reason for report in await desk.progress()] == ["now"]
        await desk.runs.join()

    in_virtual_time(one())


def test_f19_a_disk_that_lists_nothing_and_knows_no_locks_keeps_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def broken(path: Any) -> Any:
        if "jobs" in os.fspath(path):
            raise OSError(5, "Input/output error")
        return scandir(path)

    def lockless(*_: Any) -> None:
        raise OSError(37, "No locks available")

    async def one() -> None:
        Fence.initialise(tmp_path)
        (tmp_path / "kill" / "jobs" / "main").mkdir(parents=True)
        venue = SimulatedVenue(3, fault_share=0)
        monkeypatch.setattr(os, "scandir", broken)
        report = await kill(tmp_path, MAIN, [venue], "ann", "stop")
        assert report.flat and venue.flat
        monkeypatch.setattr(os, "scandir", scandir)
        monkeypatch.setattr(fcntl, "flock", lockless)
        assert AccountLock(tmp_path / "kill" / "jobs" / "main" / "lock").acquire()

    in_virtual_time(one())


def test_f19_the_store_is_told_of_a_kill_whose_stop_no_disk_takes(tmp_path: Path, disk: Disk) -> None:
    told: list[tuple[str, int | None]] = []

    async def latch(scope: Scope, generation: int | None) -> None:
        told.append((str(scope), generation))

    async def one() -> None:
        disk.read_only = True
        report = await kill(tmp_path, MAIN, [SimulatedVenue(3, fault_share=0)], "ann", "stop", latch=latch)
        assert report.flat and report.accounts[0].latched
        assert told == [("account:main", Fence(tmp_path).generation())]
        disk.read_only = False
        (tmp_path / "kill" / "epoch").write_bytes(b"damage")
        disk.read_only = True
        await kill(tmp_path, MAIN, [SimulatedVenue(3, fault_share=0)], "ann", "stop", latch=latch)
        assert told[1:] == [("account:main", None)], "there is no number to be believed"

    in_virtual_time(one())


@pytest.fixture
def epoch_refuses(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The sentinel is written, the epoch is not."""

    def write(self: EpochFile, epoch: Epoch) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(EpochFile, "write", write)
        yield patch


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


@pytest.mark.parametrize(("sender", "jobs"), [("maker", 2), ("grid", 4)])
def test_the_kill_of_a_bot_waits_for_its_own_requests_alone(tmp_path: Path, sender: str, jobs: int) -> None:
    async def one() -> None:
        store, venue = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True)
        hold = a_hold("d1", HoldStatus.UNKNOWN)
        store.under_way["main"] = (replace(hold, hold=replace(hold.hold, bot=sender)),)
        desk = a_desk(tmp_path, store, venue)
        desk.roster = replace(
            desk.roster, traders=lambda: [("grid", "main"), ("maker", "main")], bot_hands=lambda bot, account: venue
        )
        blocked = await desk.press(GRID, "ann", "stop")
        await desk.runs.join()
        assert await desk.again(GRID, "main", PURSUER, "again")
        await desk.runs.join()
        assert [each.bot for each in blocked.in_flight.sent] == (["grid"] if sender == "grid" else [])
        assert len([*job_history(tmp_path, "main", "grid")]) == jobs, "it was killed again for what another has sent"
        blocked = await desk.press(MAIN, "ann", "all of it")
        assert [each.bot for each in blocked.in_flight.sent] == [sender]
        await desk.runs.join()

    in_virtual_time(one())


def test_a_narrower_press_is_answered_while_the_wider_one_is_at_another_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "time", SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time()))

    async def one() -> None:
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in ("main", "second"))
        second.away = {"positions"}
        desk, loop = a_desk(tmp_path, SimulatedStore(random.Random(5)), main, second), asyncio.get_running_loop()
        answered = dict[Scope, float]()

        async def press(scope: Scope, after_s: float) -> None:
            await asyncio.sleep(after_s)
            async for told in line.KillLine(tmp_path, desk, desk.roster.accounts)._kill(scope, "ann", "stop"):
                assert told.get("following", []) == []
            answered[scope] = loop.time()

        await asyncio.gather(press(DESK, 0), press(MAIN, 0.5))
        assert answered[MAIN] < 10 < answered[DESK]
        await desk.runs.join()

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_the_last_word_of_a_kill_that_was_followed_tells_what_was_done_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "time", SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time()))

    async def one() -> None:
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        venue = SimulatedVenue(3, fault_share=0, quiet=True, hedged=True)
        venue.positions["BTCUSDT", PositionSide.LONG] = Decimal(30)
        venue.plain["o1"] = "BTCUSDT"
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, venue, events=events)
        said = [told async for told in line.KillLine(tmp_path, desk, desk.roster.accounts)._kill(DESK, "ann", "stop")]
        await desk.runs.join()
        for (account,) in (said[-1]["report"]["accounts"], events[-1][1]["accounts"]):
            assert (account["cancelled"], account["reason"]) == (1, "stop")
            assert [(each["symbol"], each["filled"]) for each in account["closed"]] == [("BTCUSDT", "30.0")]
            assert account["exposed_ms"] < 5_000 < OVER_AFTER_S * 1000 < account["flat_ms"] < account["verified_ms"]
        assert [journal.job.reason for journal in job_history(tmp_path, "main")] == [IN_FLIGHT_OVER, "stop"]

    in_virtual_time(one())


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


LISTS = frozenset({"orders", "conditional orders", "algo orders", "positions"})


@pytest.fixture
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job of a test by one clock, as on one machine."""
    clocks: dict[Any, Clock] = {}
    monkeypatch.setattr(proxy.kill.job, "Clock", lambda: clocks.setdefault(asyncio.get_running_loop(), Clock()))


def two_accounts() -> tuple[SimulatedVenue, SimulatedVenue]:
    main, second = (SimulatedVenue(3, fault_share=0, name=name) for name in ("main", "second"))
    return main, second


def told(events: list[Any]) -> list[tuple[str, list[str]]]:
    """What was recorded, and which accounts it says are still to be made flat."""
    return [(what, detail.get("waiting", [])) for what, detail in events]


@pytest.mark.usefixtures("one_clock")
def test_a_kill_that_found_nothing_has_no_account_read_once_more(tmp_path: Path) -> None:
    async def one() -> None:
        moved = list[Scope]()
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue, changed=moved.append)
        await desk.press(DESK, "ann", "idle")
        await desk.runs.join()
        assert moved == []
        venue.plain["o1"] = "BTCUSDT"
        await desk.press(DESK, "ann", "an order")
        await desk.runs.join()
        assert moved == [DESK]

    in_virtual_time(one())


def test_an_account_that_is_flat_is_not_told_as_its_scope_while_another_is_open(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        events, names = list[Any](), ("main", "second", "third")
        main, second, third = (SimulatedVenue(3, fault_share=0, name=name) for name in names)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, third, events=events)
        second.away, third.away = set(LISTS), set(LISTS)
        await desk.press(DESK, "ann", "runaway bots")
        await desk.runs.join()
        for venue in (second, third):
            venue.away = set()
            await desk.again(DESK, venue.name, "guard", "begun again")
            await desk.runs.join()
        assert told(events) == [
            ("kill.engaged", []),
            ("kill.degraded", []),
            ("kill.account_flat", ["third"]),
            ("kill.flat", []),
        ]
        assert events[2][1]["account"] == "second"
        assert events[3][1]["others"] == {"main": "FLAT", "second": "FLAT"} and third.flat

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_of_a_kill_that_is_taken_up_after_a_crash_the_scope_is_flat_when_its_last_account_is(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(1)), list[Any]()
        main, second = two_accounts()
        second.away = set(LISTS)
        desk = a_desk(tmp_path, store, main, second)
        await desk.press(DESK, "ann", "runaway bots")
        await asyncio.sleep(0.5)
        for task in list(desk.runs._tasks.values()):
            task.cancel()  # The warden dies.
        await asyncio.sleep(0.01)
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.resume()
        await asyncio.sleep(15)
        assert told(events) == [("kill.account_flat", ["second"])] and main.flat and not second.flat
        second.away = set()
        await desk.runs.join()
        assert told(events)[1:] == [("kill.flat", [])] and second.flat

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_a_scope_is_not_flat_while_it_is_followed_what_was_on_the_wire_of_another_account(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path).engage(DESK)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        venues = [SimulatedVenue(3, fault_share=0, name=name) for name in ("main", "second")]
        desk = a_desk(tmp_path, store, *venues, events=events)
        store.under_way["second"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        await desk.again(DESK, "second", "guard", "begun again")
        await desk.again(DESK, "main", "guard", "begun again")
        await desk.runs.join()
        assert told(events) == [("kill.account_flat", ["second"]), ("kill.flat", [])]

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize(("before", "rearmed"), [(Scope("second"), False), (DESK, True)])
def test_a_kill_of_before_the_stop_or_the_last_rearm_of_its_scope_says_nothing_of_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Scope, rearmed: bool
) -> None:
    async def one() -> None:
        fence, events, (main, second) = Fence.initialise(tmp_path), list[Any](), two_accounts()
        await kill(tmp_path, before, [second], "ann", "yesterday")
        if rearmed:
            rearm(tmp_path, before, "ann", "looked at it", "desk")
        fence.engage(DESK)
        ended = Clock().now() + timedelta(hours=1)
        monkeypatch.setattr(Fence, "stopped_at", lambda self, scope: ended.timestamp())
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, events=events)
        await desk.again(DESK, "main", "guard", "left unfinished")
        await desk.runs.join()
        assert told(events) == [("kill.account_flat", ["second"])]

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_a_kill_by_another_process_is_told_by_the_account_that_is_furthest_from_flat(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        events = list[Any]()
        main, second = two_accounts()
        second.away = set(LISTS)
        await kill(tmp_path, DESK, [second], "ann", "from the command line")
        await kill(tmp_path, DESK, [main], "ann", "from the command line")
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, events=events)
        await desk.truths.compare(desk.running, desk._found)
        assert told(events) == [("kill.degraded", [])]

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_a_scope_is_flat_but_for_the_dust_of_any_of_its_accounts(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        events = list[Any]()
        main, second = (
            SimulatedVenue(3, fault_share=0, name=name, quiet=True, hedged=True) for name in ("main", "second")
        )
        main.positions["BTCUSDT", PositionSide.LONG] = LOT.quantity_min / 2
        second.away = set(LISTS)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, events=events)
        await desk.press(DESK, "ann", "runaway bots")
        await desk.runs.join()
        second.away = set()
        await desk.again(DESK, "second", "guard", "begun again")
        await desk.runs.join()
        what, detail = events[-1]
        assert (what, detail["flat"], detail["phase"]) == ("kill.flat_except_dust", False, "FLAT_EXCEPT_DUST")
        assert detail["others"] == {"main": "FLAT_EXCEPT_DUST"}

    in_virtual_time(one())


def scopes_told(events: list[Any]) -> list[tuple[str, str]]:
    """What was recorded, and of which scope."""
    return [(what, detail["scope"]) for what, detail in events]


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("restarted", [False, True])
def test_a_scope_is_told_flat_when_its_last_account_became_so_under_another_press(
    tmp_path: Path, restarted: bool
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events, (main, second) = SimulatedStore(random.Random(1)), list[Any](), two_accounts()
        second.away = set(LISTS)
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.press(DESK, "ann", "runaway bots")
        await desk.runs.join()
        second.away = set()
        if restarted:
            desk = a_desk(tmp_path, store, main, second, events=events)
            await desk.resume()
        await desk.again(DESK, "second", "guard", "begun again")
        await asyncio.sleep(4)
        await desk.press(MAIN, "bob", "to be sure")
        await desk.runs.join()
        assert main.flat and second.flat
        assert scopes_told(events) == [
            ("kill.engaged", "desk"),
            ("kill.degraded", "desk"),
            ("kill.engaged", "account:main"),
            ("kill.account_flat", "desk"),
            ("kill.flat", "account:main"),
            ("kill.flat", "desk"),
        ]
        assert events[-1][1]["others"] == {"main": "FLAT", "second": "FLAT"}
        await desk.press(MAIN, "bob", "once more")
        await desk.runs.join()
        assert scopes_told(events)[6:] == [("kill.engaged", "account:main"), ("kill.flat", "account:main")]

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_a_scope_is_not_told_flat_with_another_while_one_of_its_accounts_is_open(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        events, (main, second) = list[Any](), two_accounts()
        second.away = set(LISTS)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, events=events)
        await desk.press(DESK, "ann", "runaway bots")
        await desk.runs.join()
        await desk.press(MAIN, "bob", "to be sure")
        await desk.runs.join()
        assert scopes_told(events)[2:] == [("kill.engaged", "account:main"), ("kill.flat", "account:main")]
        assert not second.flat

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("restarted", [False, True])
def test_an_account_that_was_told_open_is_told_flat_when_a_wider_press_made_it_so(
    tmp_path: Path, restarted: bool
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events, (main, second) = SimulatedStore(random.Random(1)), list[Any](), two_accounts()
        main.away = set(LISTS)
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.press(MAIN, "trigger", "drawdown")
        await desk.runs.join()
        main.away, second.away = set(), set(LISTS)
        if restarted:
            desk = a_desk(tmp_path, store, main, second, events=events)
            await desk.resume()
        await desk.press(DESK, "ann", "all of it")
        await desk.runs.join()
        assert scopes_told(events)[2:] == [
            ("kill.engaged", "desk"),
            ("kill.degraded", "desk"),
            ("kill.flat", "account:main"),
        ]
        assert main.flat and not second.flat

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_the_time_of_a_stops_file_makes_no_kill_of_its_own_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        events, (main, second) = list[Any](), two_accounts()
        second.away = set(LISTS)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, events=events)
        await desk.press(DESK, "ann", "runaway bots")
        await desk.runs.join()
        second.away = set()
        chowned = Clock().now() + timedelta(hours=1)
        monkeypatch.setattr(Fence, "stopped_at", lambda self, scope: chowned.timestamp())
        await desk.again(DESK, "second", "guard", "begun again")
        await desk.runs.join()
        assert told(events)[2:] == [("kill.flat", [])] and second.flat

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_an_account_that_came_after_the_press_is_not_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events, (main, added) = SimulatedStore(random.Random(1)), list[Any](), two_accounts()
        main.away = set(LISTS)
        desk = a_desk(tmp_path, store, main, events=events)
        await desk.press(DESK, "ann", "runaway bots")
        await desk.runs.join()
        main.away = set()
        desk = a_desk(tmp_path, store, main, added, events=events)
        await desk.resume()
        await desk.again(DESK, "main", PURSUER, "begun again")
        await desk.runs.join()
        assert told(events)[2:] == [("kill.flat", [])] and main.flat

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("why", ["nobody pressed here", "the press is not answered", "its journal is damaged"])
def test_an_account_that_may_have_been_pressed_for_is_waited_for(tmp_path: Path, why: str) -> None:
    async def one() -> None:
        fence, events, (main, second) = Fence.initialise(tmp_path), list[Any](), two_accounts()
        await kill(tmp_path, MAIN if why == "nobody pressed here" else DESK, [main], "ann", "stop")
        fence.engage(DESK)
        if why == "the press is not answered":
            note_asked(tmp_path, DESK, Asked(by="ann", reason="stop"))
        elif why == "its journal is damaged":
            jobs = tmp_path / "kill" / "jobs" / "second"
            jobs.mkdir()
            (jobs / "20261129T120000000000-damaged.jsonl").write_text("damage\ndamage\n")
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), main, second, events=events)
        await desk.again(DESK, "main", PURSUER, "it showed something again")
        await desk.runs.join()
        assert told(events) == [("kill.account_flat", ["second"])]

    in_virtual_time(one())


async def dies(desk: KillDesk) -> None:
    """The warden's process ends, wherever it is."""
    for task in list(desk.runs._tasks.values()):
        task.cancel()
    await asyncio.sleep(0.01)


def owed(data_dir: Path) -> list[str]:
    folder = data_dir / "kill" / "following"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("cut_short", [False, True])
def test_what_a_warden_followed_when_it_died_the_next_one_follows_and_tells(tmp_path: Path, cut_short: bool) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in ("main", "second"))
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, main, second)
        await desk.press(MAIN, "ann", "stop")
        await asyncio.sleep(4)
        await desk.press(Scope("second"), "bob", "this one too")
        await asyncio.sleep(3)
        assert owed(tmp_path) == ["account.main", "account.second"]
        await dies(desk)
        if cut_short:
            (tmp_path / "kill" / "following" / "account.main").write_text('{"by": "a')
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.resume()
        assert desk.working(None) == {"main", "second"}
        await desk.runs.join()
        assert sorted(scopes_told(events)) == [("kill.flat", "account:main"), ("kill.flat", "account:second")]
        assert [sent["hold_id"] for _, told in events for sent in told["in_flight"]["sent"]] == ["d1"]
        assert owed(tmp_path) == [], "its end is told once more at every start"
        await a_desk(tmp_path, store, main, second).resume()

    in_virtual_time(one())


def test_what_was_let_go_since_is_not_taken_up_again(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, venue = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(MAIN, "ann", "stop")
        await asyncio.sleep(7)
        await dies(desk)
        assert owed(tmp_path) == ["account.main"]
        Fence(tmp_path).release(MAIN)
        desk = a_desk(tmp_path, store, venue)
        await desk.resume()
        assert (desk.runs.now, owed(tmp_path), desk.stopped("main")) == ((), [], False)

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_what_is_owed_of_an_account_is_told_though_a_wider_press_joined_its_kill(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, second = two_accounts()
        desk = a_desk(tmp_path, store, main, second)
        await desk.press(MAIN, "ann", "stop")
        await asyncio.sleep(1)
        await desk.press(DESK, "bob", "all of it")
        await asyncio.sleep(0.5)
        await dies(desk)
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.resume()
        await desk.runs.join()
        assert {("kill.flat", "account:main"), ("kill.flat", "desk")} <= set(scopes_told(events))
        assert owed(tmp_path) == []

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_of_a_press_some_of_whose_accounts_are_followed_alone_those_stay_owed(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store = SimulatedStore(random.Random(5))
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in ("main", "second"))
        second.enter("BTCUSDT")
        second.halted.add("BTCUSDT")
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, main, second)
        note = tmp_path / "kill" / "following" / "desk"
        await desk.press(DESK, "ann", "stop")
        assert json.loads(note.read_bytes()) == {"by": "ann", "accounts": ["main", "second"]}
        await asyncio.sleep(7)
        assert not desk.busy("second"), "it has not ended yet"
        assert json.loads(note.read_bytes()) == {"by": "ann", "accounts": ["main"]}
        assert await desk.again(DESK, "second", PURSUER, "it trades again")
        await asyncio.sleep(0)
        assert json.loads(note.read_bytes()) == {"by": "ann", "accounts": ["main", "second"]}, "she had pressed"
        await desk.runs.join()
        assert not note.exists()

    in_virtual_time(one())


def test_a_press_at_the_very_end_of_a_kill_is_not_lost(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(5)), venue)
        told, pressed = desk.runs.untold.told, list[Work]()

        def at_the_end(scope: Scope, accounts: frozenset[str]) -> None:
            told(scope, accounts)
            if not pressed:  # The last step of the task; what waits in the loop already runs before what it calls back.
                pressed.append(Work(press=Press(scope=scope, by="bob", reason="again", whole=True), hands=[venue]))
                asyncio.get_running_loop().call_soon(desk.runs.start, pressed[0])

        desk.runs.untold.told = at_the_end  # type: ignore[method-assign]
        await desk.press(MAIN, "ann", "stop")
        await desk.runs.join()
        await asyncio.sleep(0.01)
        await desk.runs.join()
        assert [journal.job.by for journal in job_history(tmp_path, "main")] == ["bob", "ann"]

    in_virtual_time(one())


def test_nothing_is_re_armed_over_a_press_that_has_no_job_yet(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, venue = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(DESK, "ann", "stop")
        await desk.runs.join()
        store.delay_s = 0.05
        pressing = asyncio.create_task(desk.press(DESK, "cid", "it runs away"))
        await asyncio.sleep(0.01)
        with pytest.raises(RearmRefused, match="a kill was pressed since"):
            await desk.rearm(DESK, "bob", "all is well again", "desk")
        assert asked_of(tmp_path, DESK) == Asked(by="cid", reason="it runs away")
        await pressing
        await desk.runs.join()
        seen = desk.pressed_so_far
        await desk.press(Scope("nobody"), "cid", "a press that is over at once")
        await desk.runs.join()
        with pytest.raises(RearmRefused, match="a kill was pressed since"):
            await desk.rearm(DESK, "bob", "all is well again", "desk", looked_at=seen)
        assert desk.stopped("main")
        await desk.rearm(DESK, "bob", "all is well again", "desk", looked_at=desk.pressed_so_far)

    in_virtual_time(one())


def test_a_press_that_comes_as_a_scope_opens_is_noted_like_any_other(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, venue = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(DESK, "ann", "stop")
        await desk.runs.join()
        set_state = store.set_state

        async def slow(level: str, state: TradingState, **told: Any) -> int:
            if state is TradingState.ACTIVE:
                await desk.press(DESK, "cid", "it runs away")
            return await set_state(level, state, **told)

        store.set_state = slow  # type: ignore[method-assign]
        await desk.rearm(DESK, "bob", "all is well again", "desk")
        assert (owed(tmp_path), desk.stopped("main")) == (["desk"], True)
        await desk.runs.join()
        assert owed(tmp_path) == []

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("second_is", ["out of reach", "halted"])
def test_a_late_fill_is_closed_at_once_though_another_account_is_open(tmp_path: Path, second_is: str) -> None:
    async def one() -> None:
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in ("main", "second"))
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        if second_is == "out of reach":
            second.away = {"positions"}
        else:
            second.enter("BTCUSDT")
            second.halted.add("BTCUSDT")
            store.under_way["second"] = (a_hold("d2", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.press(DESK, "ann", "stop")
        await asyncio.sleep(7)
        main.enter("BTCUSDT")
        store.under_way["main"] = ()
        await asyncio.sleep(1)
        assert main.flat
        await desk.runs.join()
        accounts = [each for what, told in events if what != "kill.engaged" for each in told["accounts"]]
        (account,) = [each for each in accounts if each["account"] == "main" and each["closed"]]
        assert (account["reason"], len(account["closed"])) == ("stop", 1)
        assert ("kill.flat", "desk") not in scopes_told(events)

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("by", ["ann", " ann\t", "ann" * 300], ids=["as it is kept", "with blanks", "too long"])
def test_the_last_word_of_a_followed_kill_outlives_the_warden(tmp_path: Path, by: str) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        venue.plain["o1"] = "BTCUSDT"
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(DESK, by, "stop")
        await asyncio.sleep(9)
        await dies(desk)
        desk = a_desk(tmp_path, store, venue, events=events)
        await desk.resume()
        await desk.runs.join()
        (account,) = events[-1][1]["accounts"]
        assert (account["by"], account["reason"], account["cancelled"]) == (by, "stop", 1)
        (shown,) = desk.reports()
        assert (shown.by, shown.reason, shown.cancelled) == (by, "stop", 1)

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_a_followed_job_goes_on_with_no_other_press_than_its_own(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, venue = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True)
        desk = a_desk(tmp_path, store, venue)
        venue.plain["o0"] = "BTCUSDT"
        await desk.press(MAIN, "zoe", "a month ago")
        await desk.runs.join()
        await desk.rearm(MAIN, "bob", "looked at it all", "account:main")
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        await desk.press(MAIN, "ann", "stop")
        await desk.runs.join()
        _, first, _ = job_history(tmp_path, "main")
        head, *rest = first.path.read_bytes().splitlines(keepends=True)
        first.path.write_bytes(b"".join([head, b"damage\n", *rest[1:]]))
        (shown,) = desk.reports()
        assert (shown.by, shown.cancelled) == ("ann", 0)

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_what_a_followed_kill_was_expected_to_cost_is_of_all_that_it_closed(tmp_path: Path) -> None:
    async def one() -> None:
        store, venue = SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True, hedged=True)
        venue.positions["BTCUSDT", PositionSide.LONG] = Decimal(1)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(MAIN, "ann", "stop")
        await asyncio.sleep(8)
        venue.positions["BTCUSDT", PositionSide.LONG] = Decimal(30)
        store.under_way["main"] = ()
        await desk.runs.join()
        (shown,) = desk.reports()
        assert shown.cost_estimate is not None and shown.cost is not None
        assert shown.cost_estimate.notional == shown.cost.notional == 3100
        assert len(shown.cost_estimate.legs) == 2

    in_virtual_time(one())


class Flapping(SimulatedVenue):
    """Lists as trading what it takes no orders for."""

    def _leg(self, symbol: str, side: PositionSide, quantity: Decimal) -> OpenLeg:
        return replace(super()._leg(symbol, side, quantity), trading=True)


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("second_ends_open", ["at once", "when it is killed once more"])
@pytest.mark.parametrize("pressed", [True, False], ids=["pressed again", "pursued"])
def test_an_account_that_is_open_waits_for_no_second_kill_of_another(
    tmp_path: Path, second_ends_open: str, pressed: bool
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        loop, store, events = asyncio.get_running_loop(), SimulatedStore(random.Random(5)), list[Any]()
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in ("main", "second"))
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        second.halted.add("BTCUSDT")
        if second_ends_open == "at once":
            second.enter("BTCUSDT")
        else:
            store.under_way["second"] = (a_hold("d2", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, main, second, events=events)
        pursuit = Pursuit(data_dir=tmp_path, desk=desk, record=desk._record, now=proxy.kill.job.Clock().now)
        await desk.press(DESK, "ann", "stop")
        if second_ends_open == "at once":
            await asyncio.sleep(4.5)
            store.under_way["main"] = ()
            await asyncio.sleep(2.2)
        else:
            await asyncio.sleep(7)
            second.enter("BTCUSDT")
            store.under_way = {}
        main.away = {"positions"}  # Its second kill lasts until they are read.
        await asyncio.sleep(3)
        assert "kill.degraded" in dict(events) and not desk.busy("second"), "it waits for main"
        second.halted.clear()
        running = asyncio.create_task(pursuit.run())
        if pressed:
            await desk.press(DESK, "ann", "it trades again")
        while not second.flat and loop.time() < 60:
            await asyncio.sleep(0.1)
        assert loop.time() < 20 and desk.busy("main")
        running.cancel()
        main.away = set()
        await desk.runs.join()
        assert ("kill.flat", "desk") in scopes_told(events) and owed(tmp_path) == []
        again, first, *_ = job_history(tmp_path, "main")
        assert again.job.continues == first.job.job_id
        assert not any(isinstance(event, Resumed) for event in again.events), "its second kill was cut off"

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("ran_s", [0, 0.2, 3])
def test_a_second_kill_that_outlasts_its_press_ends_with_the_warden_and_is_taken_up(
    tmp_path: Path, ran_s: float
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in ("main", "second"))
        main.plain["o1"] = "BTCUSDT"
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        second.enter("BTCUSDT")
        second.halted.add("BTCUSDT")
        desk = a_desk(tmp_path, store, main, second)
        await desk.press(DESK, "ann", "stop")
        await asyncio.sleep(5)
        store.under_way["main"] = ()
        while not any(work.begun for work in desk.runs.works):
            await asyncio.sleep(0.001)
        await asyncio.sleep(ran_s)
        await dies(desk)
        assert AccountLock(job_directory(tmp_path, "main") / "lock").free(), "it goes on without its warden"
        desk = a_desk(tmp_path, store, main, second, events=events)
        await desk.resume()
        await desk.runs.join()
        accounts = [each for _, told in events for each in told["accounts"] if each["account"] == "main"]
        assert [(each["reason"], each["cancelled"], each["flat"]) for each in accounts] == [("stop", 1, True)]
        assert len(list(job_history(tmp_path, "main"))) == 2

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("taken_up", ["at the start", "by a pursuit", "by a press"])
def test_the_last_word_of_a_second_kill_that_was_taken_up_tells_what_the_first_did(
    tmp_path: Path, taken_up: str
) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        venue.enter("BTCUSDT")
        venue.plain["o1"] = "BTCUSDT"
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(MAIN, "ann", "stop")
        await asyncio.sleep(OVER_AFTER_S + 1.5)
        (unfinished,) = unfinished_jobs(tmp_path)
        assert unfinished.job is not None and unfinished.job.continues is not None
        await dies(desk)
        desk = a_desk(tmp_path, store, venue, events=events)
        match taken_up:
            case "at the start":
                await desk.resume()
            case "by a pursuit":
                await desk.again(MAIN, "main", PURSUER, "left unfinished")
            case _:
                await desk.press(MAIN, "bob", "is it flat?")
        await desk.runs.join()
        (account,) = events[-1][1]["accounts"]
        (shown,) = desk.reports()
        assert (account["by"], account["cancelled"], len(account["closed"])) == ("ann", 1, 1)
        assert (shown.cancelled, len(shown.closed)) == (1, 1)
        assert (account["flat_ms"], account["exposed_ms"]) == (shown.flat_ms, shown.exposed_ms)

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize(("come", "expected"), [("0", 100), ("2", 300)])
def test_what_is_gone_on_with_is_expected_to_cost_once(tmp_path: Path, come: str, expected: int) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store = SimulatedStore(random.Random(5))
        main = Flapping(3, fault_share=0, quiet=True, hedged=True, name="main")
        second = SimulatedVenue(3, fault_share=0, quiet=True, name="second")
        main.positions["BTCUSDT", PositionSide.LONG] = Decimal(1)
        main.halted.add("BTCUSDT")
        desk = a_desk(tmp_path, store, main, second)
        await desk.press(DESK, "ann", "stop")
        await asyncio.sleep(4)
        assert {each.account: each.phase for each in desk.reports()}["main"] is Phase.DEGRADED
        await dies(desk)
        main.halted.clear()
        main.positions["BTCUSDT", PositionSide.LONG] += Decimal(come)
        desk = a_desk(tmp_path, store, main, second)
        await desk.resume()
        await desk.runs.join()
        (shown,) = (each for each in desk.reports() if each.account == "main")
        assert shown.cost_estimate is not None and shown.cost is not None
        assert shown.cost_estimate.notional == shown.cost.notional == expected
        assert shown.cost_estimate.in_book == 1

    in_virtual_time(one())


@pytest.mark.usefixtures("one_clock")
def test_a_pursuits_kill_goes_on_with_no_earlier_one_of_a_pursuit(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events, turn = SimulatedStore(random.Random(5)), list[Any](), asyncio.Lock()
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        desk = a_desk(tmp_path, store, venue, turn=lambda: turn)
        await desk.press(MAIN, "ann", "stop")
        await desk.runs.join()
        venue.enter("BTCUSDT")
        await desk.again(MAIN, "main", PURSUER, SHOWN_AGAIN)
        await desk.runs.join()
        await asyncio.sleep(3 * 3600)
        async with turn:  # A watchdog is at the desk.
            await desk.again(MAIN, "main", PURSUER, SHOWN_AGAIN)
            await asyncio.sleep(1)
            await dies(desk)
        desk = a_desk(tmp_path, store, venue, events=events)
        await desk.resume()
        await desk.runs.join()
        (account,) = events[-1][1]["accounts"]
        assert not account["closed"] and account["flat_ms"] < 60_000, "it tells of the one of three hours ago"

    in_virtual_time(one())


def test_a_kill_that_is_under_way_is_not_begun_again(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(5)), SimulatedVenue(3, fault_share=0, quiet=True))
        await desk.press(MAIN, "ann", "stop")
        assert not await desk.again(MAIN, "main", "bob", "once more")
        await desk.runs.join()
        assert await desk.again(MAIN, "main", "bob", "once more")
        await desk.runs.join()

    in_virtual_time(one())
