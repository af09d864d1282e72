"""Seeded simulation of whole kills against a venue full of faults, in virtual time. A failure prints its seed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.kill.jobs import unfinished_jobs
from proxy.kill.journal import Job, Journal
from proxy.kill.report import KillReport
from proxy.store.fence import DESK, Fence, Scope
from rules.kill.events import Cause, Engaged, Phase
from rules.kill.machine import DEADLINE
from rules.kill.settings import Flatten
from rules.model import PositionSide
from tests.proxy.kill.crashes import Crash, is_crash
from tests.proxy.kill.simulated_venue import IN_FLIGHT_SECONDS_MAX, SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill

SEEDS = range(100)


async def _press(data_dir: Path, *venues: SimulatedVenue, on_step: Any = None, scope: Scope = DESK) -> KillReport:
    return await kill(data_dir, scope, venues, "ann", "simulation", on_step=on_step)


def test_flat_is_true_whenever_it_is_said(quick_path: Path):
    phases: Counter[Phase] = Counter()
    faults: Counter[str] = Counter()
    for seed in SEEDS:

        async def one(seed: int = seed) -> None:
            venue = SimulatedVenue(seed)
            report = await _press(quick_path / str(seed), venue)
            phases[report.phase] += 1
            faults.update(venue.faults)
            assert venue.flips == 0, f"seed {seed}: a position changed its sign"
            assert report.accounts[0].steps[-1].what != "waited"
            if report.flat:
                assert venue.flat, f"seed {seed}: said flat, was not"
                assert report.accounts[0].left == ()
            else:
                assert report.accounts[0].left, f"seed {seed}: names nothing left"

        in_virtual_time(one())
    assert phases[Phase.FLAT] >= 0.97 * len(SEEDS), phases
    assert len(faults) == 13 and min(faults.values()) >= 20, faults


def test_with_one_call_in_five_going_wrong_ninety_nine_in_a_hundred_are_flat_within_45_seconds(quick_path: Path):
    """Nine kinds of faults, one call in five met by some, all the time."""
    times = []
    for seed in range(100):

        async def one(seed: int = seed) -> float:
            venue = SimulatedVenue(seed, fault_share=0.045, heals_at=10_000)
            report = await _press(quick_path / str(seed), venue)
            assert report.flat and venue.flat, f"seed {seed}: {report.accounts[0].why}"
            return report.accounts[0].flat_ms or 0

        times.append(in_virtual_time(one()))
    assert sorted(times)[98] < 45_000


def test_a_ban_is_respected(quick_path: Path):
    """One request in flight may meet the ban that another one earned; after that there is silence."""
    for seed in range(40):

        async def one(seed: int = seed) -> None:
            venue = SimulatedVenue(seed, fault_share=0.0)
            venue.banned_until = venue.loop.time() + 20
            started = venue.loop.time()
            report = await _press(quick_path / str(seed), venue)
            assert report.flat
            assert venue.called_while_banned == 1, f"seed {seed}"
            assert venue.loop.time() - started < 20 + 5 + 6 + IN_FLIGHT_SECONDS_MAX, f"seed {seed}"

        in_virtual_time(one())


def test_a_ban_longer_than_a_kill_ends_it_at_once_and_the_next_press_keeps_the_silence_too(quick_path: Path):
    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        venue.banned_until = venue.loop.time() + 300
        first = (await _press(quick_path, venue)).accounts[0]
        assert (first.phase, first.cause) == (Phase.DEGRADED, Cause.BANNED)
        assert first.retry_at is not None and (first.retry_at - first.started_at).total_seconds() >= 299
        assert venue.loop.time() < 2, "nobody learns anything by waiting for the deadline"
        second = (await _press(quick_path, venue)).accounts[0]
        assert (second.cause, second.retry_at) == (Cause.BANNED, first.retry_at)
        assert venue.called_while_banned == 1

    in_virtual_time(one())


def test_a_halted_symbol_keeps_its_hedge_and_holds_up_nothing_else(quick_path: Path):
    async def one() -> None:
        venue = SimulatedVenue(1, fault_share=0, quiet=True)
        venue.positions = {
            ("LUNAUSDT", PositionSide.BOTH): Decimal(-100),
            ("BTCUSDT", PositionSide.BOTH): Decimal(105),
        }
        venue.halted = {"LUNAUSDT"}
        venue.plain["p1"] = "LUNAUSDT"
        flatten = Flatten(naked_notional_max=Decimal(1_000))
        report = (await kill(quick_path, DESK, [venue], "ann", "halted", flatten=flatten)).accounts[0]
        assert (report.cause, report.cause_symbols) == (Cause.CLOSED, ("LUNAUSDT",))
        assert not venue.plain, "what can be cancelled is"
        assert venue.positions["BTCUSDT", PositionSide.BOTH] == 90, "ten less than what it hedges, and no less"
        assert {step.leg.symbol for step in venue.sent} == {"BTCUSDT"}

    in_virtual_time(one())


def test_a_venue_that_stays_down_ends_degraded_in_time(quick_path: Path):
    async def one() -> None:
        venue = SimulatedVenue(1, fault_share=1.0, heals_at=10_000)
        started = venue.loop.time()
        report = await _press(quick_path, venue)
        assert report.phase is Phase.DEGRADED
        assert venue.loop.time() - started <= 60.5
        assert report.accounts[0].left and report.accounts[0].advice
        assert unfinished_jobs(quick_path) == ()
        assert Fence(quick_path).engaged("main")

    in_virtual_time(one())


def test_crash_upon_crash_still_ends_flat(quick_path: Path):
    for seed in range(20):

        async def one(seed: int = seed) -> None:
            venue = SimulatedVenue(seed, fault_share=0.1)
            for crash_after in (9, 5, 7, 3, 6):
                lines = 0

                def listen(_: dict[str, Any], crash_after: int = crash_after) -> None:
                    nonlocal lines
                    lines += 1
                    if lines == crash_after:
                        raise Crash

                with pytest.raises(BaseException) as crash:
                    await _press(quick_path / str(seed), venue, on_step=listen)
                assert is_crash(crash.value)
            report = await _press(quick_path / str(seed), venue)
            assert report.flat and venue.flat and venue.flips == 0, f"seed {seed}"

        in_virtual_time(one())


def test_a_job_whose_deadline_passed_while_nobody_was_there_gets_a_new_one(quick_path: Path):
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    job = Job(job_id="20260101T000000000000-00000000", account="main", scope="desk", by="ann", reason="r",
              started_at=long_ago, blocked_ms=1)  # fmt: skip
    journal = Journal.create(quick_path / "kill" / "jobs" / "main" / f"{job.job_id}.jsonl", job)
    journal.record(Engaged(at=long_ago, by="ann", reason="r", deadline=long_ago + DEADLINE))
    journal.close()

    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        report = await _press(quick_path, venue)
        assert report.flat and venue.flat
        assert report.accounts[0].job_id == job.job_id

    in_virtual_time(one())


def test_many_presses_join_one_job(quick_path: Path):
    async def one() -> None:
        venue = SimulatedVenue(3)
        reports = await asyncio.gather(*(_press(quick_path, venue) for _ in range(50)))
        accounts = [report.accounts[0] for report in reports]
        assert len({account.job_id for account in accounts}) == 1
        assert sum(not account.joined for account in accounts) == 1
        assert all(report.flat for report in reports)
        assert len(list((quick_path / "kill/jobs/main").glob("*.jsonl"))) == 1

    in_virtual_time(one())


def test_a_press_after_the_end_verifies_anew(quick_path: Path):
    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        first, second = await _press(quick_path, venue), await _press(quick_path, venue)
        assert first.accounts[0].job_id < second.accounts[0].job_id
        assert second.flat and not second.accounts[0].joined
        assert len(second.accounts[0].read_backs) == 3

    in_virtual_time(one())


def test_accounts_are_killed_side_by_side_and_one_in_ruins_does_not_hold_up_the_others(quick_path: Path):
    async def one() -> None:
        venues = [SimulatedVenue(seed, fault_share=0, name=f"a{seed}") for seed in range(5)]
        ruin = SimulatedVenue(9, fault_share=1, heals_at=10_000, name="ruin")
        report = await _press(quick_path, *venues, ruin)
        phases = {account.account: account.phase for account in report.accounts}
        assert phases == {f"a{seed}": Phase.FLAT for seed in range(5)} | {"ruin": Phase.DEGRADED}
        assert all((account.verified_ms or 0) < 20_000 for account in report.accounts)
        assert report.phase is Phase.DEGRADED and not report.flat

    in_virtual_time(one())


@pytest.mark.parametrize("trouble", ["raises", "hangs"])
def test_a_store_that_is_down_costs_a_tenth_of_a_second(quick_path: Path, trouble: str):
    async def latch(scope: Scope, generation: int) -> None:
        if trouble == "raises":
            raise ConnectionError("redis is gone")
        await asyncio.sleep(3600)

    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        report = await kill(quick_path, DESK, [venue], "ann", "test", latch=latch)
        blocked = next(step for step in report.accounts[0].steps if "blocked" in step.what)
        assert (blocked.at - report.started_at).total_seconds() < 0.2
        assert report.flat and not report.accounts[0].latched

    in_virtual_time(one())


def test_the_latch_hears_scope_and_generation(quick_path: Path):
    told = []

    async def latch(scope: Scope, generation: int) -> None:
        told.append((scope, generation))

    async def one() -> None:
        Fence.initialise(quick_path)
        venue = SimulatedVenue(3, fault_share=0)
        report = await kill(quick_path, Scope("main"), [venue], "ann", "test", latch=latch)
        assert told == [(Scope("main"), 2)]
        assert report.accounts[0].latched

    in_virtual_time(one())


def test_a_disk_that_refuses_to_write_does_not_stop_the_kill(quick_path: Path):
    (quick_path / "kill").write_text("no directory")

    async def one() -> None:
        venue = SimulatedVenue(3, fault_share=0)
        report = await _press(quick_path, venue)
        assert venue.flat and report.flat
        assert "not stopped" in report.trouble and "memory" in report.accounts[0].trouble
        assert report.blocked_ms is None

    in_virtual_time(one())


def test_an_account_whose_hands_have_a_bug_does_not_stop_the_others(quick_path: Path):
    class Broken(SimulatedVenue):
        async def survey(self, *, orders: bool = True) -> Any:
            raise ZeroDivisionError

    async def one() -> None:
        report = await _press(quick_path, Broken(1, name="broken"), SimulatedVenue(2, fault_share=0))
        broken, sound = report.accounts
        assert sound.flat and "ZeroDivisionError" in broken.trouble
        assert [job.account for job in unfinished_jobs(quick_path)] == ["broken"]

    in_virtual_time(one())


def test_the_journal_is_the_report(quick_path: Path):
    async def one() -> None:
        report = await _press(quick_path, SimulatedVenue(3))
        path = next((quick_path / "kill/jobs/main").glob("*.jsonl"))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines[0]["job_id"] == path.stem == report.accounts[0].job_id
        events = [line for line in lines if line["kind"] == "event"]
        assert report.accounts[0].steps[0].what == "engaged by ann: simulation"
        assert len(events) == len(report.accounts[0].steps)

    in_virtual_time(one())
