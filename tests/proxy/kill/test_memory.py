"""F18, F19: a kill needs neither the store nor a disk; what it could not write is written later, with the gap named."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from proxy.kill.jobs import job_history, newest_jobs, unfinished_jobs
from proxy.kill.journal import Journal
from proxy.kill.lock import AccountLock
from proxy.kill.report import account_report
from proxy.store.fence import DESK, Scope
from rules.kill.events import Phase
from rules.kill.machine import replay
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk
from tests.proxy.kill.test_pursuit import Desk, pursued
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill


@pytest.mark.parametrize("loss", ["away", "wiped"])
@pytest.mark.parametrize("after_s", [0.0, 0.2, 5.0])
def test_f18_losing_the_store_mid_kill_changes_nothing(tmp_path: Path, loss: str, after_s: float) -> None:
    async def one() -> None:
        store = SimulatedStore(random.Random(1))
        venue = SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, store, venue)
        pressing = asyncio.create_task(desk.press(DESK, "ann", "stop"))
        await asyncio.sleep(after_s)
        if loss == "away":
            store.away.add("warden")
        else:
            store.wipe()
        await pressing
        await desk.runs.join()
        report = desk.reports()[0]
        assert (report.phase, venue.flat, desk.stopped("main")) == (Phase.FLAT, True, True)

    in_virtual_time(one())


class Disk:
    """The disk under ``kill/jobs``, which may be full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        if self.full and "/kill/jobs/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        self._fsync(descriptor)


@pytest.mark.parametrize("full_after", [1, 4, 9])
def test_f19_a_disk_that_fills_mid_kill_does_not_stop_it_and_the_gap_is_written_down_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_after: int
) -> None:
    disk, lines = Disk(monkeypatch), 0

    def fill(_: dict[str, Any]) -> None:
        nonlocal lines
        lines += 1
        disk.full = lines >= full_after

    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        report = await kill(tmp_path, DESK, [venue], "ann", "stop", on_step=fill)
        assert report.flat and venue.flat
        assert "in memory" in report.accounts[0].trouble
        path = next((tmp_path / "kill/jobs/main").glob("*.jsonl"))
        on_disk = Journal.read(path)
        assert on_disk is None or not _ended(on_disk), "the disk was not full"
        assert unfinished_jobs(tmp_path) == (), "an ended kill looks as if it ran"

        disk.full = False
        assert newest_jobs(tmp_path)[0].ended
        written = Journal.read(path)
        assert written is not None and _ended(written)
        gaps = [line for line in map(json.loads, path.read_text().splitlines()) if line["kind"] == "gap"]
        assert ["No space left" in gap["trouble"] for gap in gaps] == [True]
        assert [path.name for path in path.parent.glob("*.whole")] == []

    in_virtual_time(one())


def test_f19_a_second_press_goes_on_with_no_journal_that_a_full_disk_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, lines = Disk(monkeypatch), 0

    def fill(_: dict[str, Any]) -> None:
        nonlocal lines
        lines += 1
        disk.full = lines >= 4

    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        first = (await kill(tmp_path, DESK, [venue], "ann", "first", on_step=fill)).accounts[0]
        second = (await kill(tmp_path, DESK, [venue], "bob", "second")).accounts[0]
        assert first.closed and (second.by, second.joined) == ("bob", False)
        disk.full = False
        newest_jobs(tmp_path)
        reports = [account_report(each.job, each.events) for each in job_history(tmp_path, "main")]
        assert [(each.by, each.closed) for each in reports] == [("bob", ()), ("ann", first.closed)]

    in_virtual_time(one())


def _ended(journal: Journal) -> bool:
    state = replay(journal.events)
    return state is not None and state.phase.final


class Died(BaseException):
    """The process that ran the kill is gone."""


def test_a_kill_that_its_process_left_is_taken_up_by_the_warden_that_still_runs(tmp_path: Path) -> None:
    async def one() -> None:
        venue, lines = SimulatedVenue(3, fault_share=0), 0
        desk = Desk(tmp_path, venue)

        def die(_: dict[str, Any]) -> None:
            nonlocal lines
            lines += 1
            if lines == 6:
                raise Died

        with pytest.raises(BaseException) as death:
            await kill(tmp_path, DESK, [venue], "ann", "stop", on_step=die)
        assert isinstance(death.value, Died) or death.group_contains(Died)
        assert not venue.flat and len(unfinished_jobs(tmp_path)) == 1
        async with pursued(desk, _Clock()):
            await asyncio.sleep(15)
        assert venue.flat and desk.phases() == [Phase.FLAT], "it was left, or begun a second time"

    in_virtual_time(one())


def test_a_kill_whose_process_lives_is_left_to_it(tmp_path: Path) -> None:
    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        desk = Desk(tmp_path, venue)
        lock = AccountLock(tmp_path / "kill/jobs/main/lock")
        running = asyncio.create_task(kill(tmp_path, Scope("main"), [venue], "ann", "stop"))
        await asyncio.sleep(0.5)
        assert not lock.acquire()
        async with pursued(desk, _Clock()):
            await asyncio.sleep(3)
        assert desk.phases() != [], "nothing was journaled"
        assert (await running).flat and len(desk.phases()) == 1

    in_virtual_time(one())


class _Clock:
    """Only asked about bans, of which there are none here."""

    def now(self) -> Any:
        raise AssertionError("nobody is banned")
