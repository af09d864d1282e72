"""F15: the process dies in the middle of a kill, after any line of its journal and at any await; it ends flat."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from proxy.kill.jobs import unfinished_jobs
from proxy.kill.report import KillReport
from proxy.store.fence import DESK, Fence
from rules.account import HoldStatus
from tests.properties.strategies import PROOF
from tests.proxy.kill.crashes import Crash, Mortal, is_crash
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk, a_hold
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill

FAULTS = 0.1
# Seconds before somebody notices the death and takes over.
NOTICED_AFTER = (0.0, 0.3, 2.0, 7.0)


async def press(data_dir: Path, venue: SimulatedVenue, on_step: Any = None) -> KillReport:
    return await kill(data_dir, DESK, [venue], "ann", "F15", on_step=on_step)


async def taken_over(data_dir: Path, venue: SimulatedVenue, where: str) -> None:
    await asyncio.sleep(venue.chance.choice(NOTICED_AFTER))
    left_over = [job.job.job_id for job in unfinished_jobs(data_dir) if job.job is not None]
    report = await press(data_dir, venue)
    account = report.accounts[0]
    assert report.flat and venue.flat, f"{where}: {account.why or account.left}"
    if left_over:
        assert account.joined and account.job_id == left_over[0], f"{where}: begun anew instead of resumed"
    assert venue.flips == 0, f"{where}: a position changed its sign"
    assert unfinished_jobs(data_dir) == (), where


async def dies_at_await(data_dir: Path, seed: int, number: int) -> int:
    """One kill that dies at an await and is taken over; how many awaits it had."""
    venue, mortal = SimulatedVenue(seed, fault_share=FAULTS), Mortal(dies_at=number)
    mortal.enter()
    try:
        report = await asyncio.create_task(press(data_dir, venue, mortal.journal))
        assert report.flat and venue.flat, f"seed {seed}"
    except BaseException as crash:
        if not (mortal.dead and is_crash(crash)):
            raise
    finally:
        mortal.leave()
    if mortal.dead:
        await taken_over(data_dir, venue, f"seed {seed}, dead at await {number}")
    return mortal.awaits


async def dies_at_line(data_dir: Path, seed: int, number: int) -> int:
    """One kill that dies right after a line of its journal is written; how many lines it wrote."""
    venue, lines = SimulatedVenue(seed, fault_share=FAULTS), 0

    def listen(_: dict[str, Any]) -> None:
        nonlocal lines
        lines += 1
        if lines == number:
            raise Crash

    try:
        report = await press(data_dir, venue, listen)
        assert report.flat and venue.flat, f"seed {seed}"
    except BaseException as crash:
        if not is_crash(crash):
            raise
        await taken_over(data_dir, venue, f"seed {seed}, dead after line {number}")
    return lines


def test_f15_a_crash_at_any_await_is_resumed_to_flat(quick_path: Path):
    """Every fourth await; the proof takes every one."""
    total = in_virtual_time(dies_at_await(quick_path / "whole", 3, 0))
    assert total > 60
    for number in range(1, total, 4):
        in_virtual_time(dies_at_await(quick_path / str(number), 3, number))


def test_f15_a_crash_after_any_line_of_the_journal_is_resumed_to_flat(quick_path: Path):
    total = in_virtual_time(dies_at_line(quick_path / "whole", 3, 0))
    assert total > 30
    for number in range(1, total, 2):
        in_virtual_time(dies_at_line(quick_path / str(number), 3, number))


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 100 + PROOF))
@pytest.mark.parametrize("dies", [dies_at_await, dies_at_line], ids=["await", "line"])
def test_f15_proof_every_await_and_every_line(quick_path: Path, dies: Any, seed: int):
    total = in_virtual_time(dies(quick_path / "whole", seed, 0))
    for number in range(1, total):
        in_virtual_time(dies(quick_path / str(number), seed, number))


def test_f15_what_was_on_the_wire_when_the_warden_died_is_closed_as_soon_as_it_arrives(tmp_path: Path) -> None:
    """It had read the account as flat, and followed what the account had sent."""

    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        desk = a_desk(tmp_path, store, venue)
        await desk.press(DESK, "ann", "F15")
        await asyncio.sleep(7)
        assert unfinished_jobs(tmp_path) == (), "it was not flat yet"
        for task in list(desk.runs._tasks.values()):
            task.cancel()
        await asyncio.sleep(0.01)
        desk = a_desk(tmp_path, store, venue, events=events)
        await desk.resume()
        await asyncio.sleep(5)
        venue.enter("BTCUSDT")
        await asyncio.sleep(4)
        assert venue.flat, "nobody was at it any more"
        await desk.runs.join()
        assert [what for what, _ in events] == ["kill.flat"]

    in_virtual_time(one())
