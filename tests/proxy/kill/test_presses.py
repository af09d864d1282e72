"""Whoever presses and looks at once sees that press, and no press comes too late to count.

In real time: which of two came first is told by the clock on the wall.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from proxy.kill.jobs import job_history
from proxy.kill.report import KillReport
from proxy.store.fence import DESK
from rules.kill.events import Phase
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk


async def test_a_press_is_seen_before_its_job_is_on_disk_and_one_at_the_end_of_a_job_begins_another(
    tmp_path: Path,
) -> None:
    turn, told = asyncio.Lock(), list[str]()

    async def certify(report: KillReport) -> None:
        told.append(report.by)
        if report.by == "ann":
            await desk.press(DESK, "bob", "once more")

    venue = SimulatedVenue(3, quiet=True, fault_share=0)
    desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue, certify=certify, turn=lambda: turn)

    async def shown() -> list[tuple[str, Phase]]:
        return [(each.by, each.phase) for each in await desk.progress()]

    async with asyncio.timeout(60):
        assert await shown() == []
        async with turn:  # Another host is at the desk: the job waits.
            await desk.press(DESK, "ann", "stop")
            assert (await shown(), desk.reports()) == ([("ann", Phase.ENGAGED)], ())
        async with turn:  # Taken when the job is over and its end has not been told.
            while not told:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert [(each.by, each.flat) for each in desk.reports()] == [("ann", True)]
            assert await shown() == [("bob", Phase.ENGAGED)], "bob is shown how flat ann's kill ended"
        await desk.runs.join()
    assert await shown() == [("bob", Phase.FLAT)]
    assert told == ["ann", "bob"]
    assert [journal.job.by for journal in job_history(tmp_path, venue.name)] == ["bob", "ann"]
