"""F01: BLOCKED means that no entry can start any more, on any machine; what had left is followed to its end.

The gates here are the real judge's last look, fence and latch, in virtual time; the store is simulated. Presses fall
at random moments: ``PERPGUARD_PROOF`` (1 to 100) multiplies them, 10,000 in ``make proof``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.gate.judge import Judge
from proxy.gate.latch import HEAR_EVERY_S, Latch
from proxy.gate.upstream import NotSent
from proxy.kill.desk import Certify, KillDesk
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.in_flight import OVER_AFTER_S
from proxy.kill.jobs import job_history
from proxy.kill.pressed import Blocked
from proxy.kill.report import KillReport
from proxy.kill.roster import Roster
from proxy.kill.truths import Latched
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.gates import LEASE_S
from proxy.store.trouble import StoreUnavailable
from proxy.store.warden_store import AgedHold, WardenStore
from rules.account import Hold, HoldStatus
from rules.kill.events import Phase
from rules.kill.machine import replay
from rules.kill.settings import Flatten
from rules.model import PositionSide, TradingState
from tests.proxy.gate.conftest import asking
from tests.proxy.kill.simulated_store import Ear, SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time

PRESSES = 100
PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))
SCOPES = (DESK, Scope(venue="binanceusdm"), Scope("demo"), Scope(bot="demo-bot"))


class Gate:
    """A gate process of some machine, whose bot sends as fast as it can."""

    def __init__(
        self, name: str, data_dir: Path, store: SimulatedStore, chance: random.Random, *pauses_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ear = Ear(store, name)
        self.latch = Latch(cast(Any, None), clock=loop.time)
        self.judge = Judge(
            store=cast(Any, None),
            fence=Fence.initialise(data_dir),
            journal=cast(Any, None),
            policy=cast(Any, None),
            now=cast(Any, None),
            latch=self.latch,
        )
        self.chance = chance
        self.pauses_s = pauses_s or (0.0,)
        self.sent: list[float] = []

    async def follow(self) -> None:
        """What the latch's thread does, with waits that take virtual time."""
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            with contextlib.suppress(StoreUnavailable):
                self.latch.heard(await self.ear.hear(self.latch.obeyed), asked_at)
            ask_at = loop.time() + HEAR_EVERY_S
            while not self.latch.obeys_more() and loop.time() < ask_at:
                await asyncio.sleep(0.001)

    async def trade(self) -> None:
        """Judged, then a wait for a connection, then the last look and the first byte.

        Between the two a machine may take the processor away from the process: the news is heard in another thread.
        """
        loop = asyncio.get_running_loop()
        while True:
            last_look = self.judge._entry_fence(asking(), self.judge._generation())
            await asyncio.sleep(self.chance.uniform(0, 0.01))
            with contextlib.suppress(NotSent):
                left = last_look()
                await asyncio.sleep(self.chance.choice(self.pauses_s))
                self.sent.append(loop.time())
                left()


async def _no_certificate(report: KillReport) -> None:
    return


def a_desk(
    data_dir: Path,
    store: SimulatedStore,
    *venues: SimulatedVenue,
    events: list[Any] | None = None,
    by: list[str] | None = None,
    certify: Certify = _no_certificate,
    changed: Callable[[Scope], None] = lambda scope: None,
    turn: Callable[[], contextlib.AbstractAsyncContextManager[None]] = contextlib.nullcontext,
) -> KillDesk:
    async def record(what: str, who: str, detail: dict[str, Any]) -> None:
        if events is not None:
            events.append((what, detail))
        if by is not None:
            by.append(who)

    def bot_hands(bot: str, account: str) -> AccountHands:
        raise AssertionError("no bot of this desk has only a part")

    return KillDesk(
        data_dir=data_dir,
        roster=Roster(
            hands={venue.name: venue for venue in venues},
            venues={venue.name: "binanceusdm" for venue in venues},
            traders=list,
            bot_hands=bot_hands,
        ),
        store=cast(WardenStore, store),
        record=record,
        certify=certify,
        changed=changed,
        flatten=Flatten,
        turn=turn,
    )


@contextlib.asynccontextmanager
async def trading(*gates: Gate) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(run) for gate in gates for run in (gate.trade(), gate.follow())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def press(desk: KillDesk, scope: Scope) -> Blocked:
    return await desk.press(scope, "ann", "a random moment")


@pytest.mark.parametrize("presses", [PRESSES, pytest.param(PRESSES * PROOF, marks=pytest.mark.full, id="proof")])
def test_f01_after_blocked_no_gate_of_any_machine_starts_a_send(tmp_path: Path, presses: int) -> None:
    async def one() -> None:
        chance = random.Random(1)
        store = SimulatedStore(chance)
        here, there = tmp_path / "here", tmp_path / "there"
        places = enumerate((here, here, there, there))
        gates = [Gate(f"g{number}", place, store, chance, 0, 0, 0.002, 0.01) for number, place in places]
        desk = a_desk(here, store)
        loop = asyncio.get_running_loop()
        async with trading(*gates):
            for number in range(presses):
                await asyncio.sleep(chance.uniform(0.05, 0.1))
                assert all(gate.sent for gate in gates), f"press {number}: not everybody was trading"
                scope = chance.choice(SCOPES)
                for gate in gates:
                    gate.sent.clear()
                blocked = await press(desk, scope)
                assert (blocked.gates.gates, blocked.gates.acknowledged, blocked.gates.silent) == (4, 4, ())
                assert blocked.gates.within_ms is not None and blocked.gates.within_ms < 50
                at = loop.time()
                await asyncio.sleep(0.05)
                late = [sent for gate in gates for sent in gate.sent if sent > at]
                assert late == [], f"press {number} of {scope}: sent {late[0] - at} s after BLOCKED"
                for gate in gates:
                    gate.sent.clear()
                desk.truths.fence.release(scope)
                state, generation = TradingState.ACTIVE, desk.generation()
                await store.set_state(scope.control, state, generation=generation, kill_running=False)

    in_virtual_time(one())


def test_f01_no_gate_counts_by_a_number_that_it_may_have_obeyed_before_the_stop(tmp_path: Path) -> None:
    """An older data directory was put back, and the mirror raises its number while the press is on its way."""

    async def one() -> None:
        for seed in range(40):
            store = SimulatedStore(random.Random(seed))
            store.fields |= {"account:other": "ACTIVE", "generation": "100"}
            gate = Gate("there", tmp_path / f"there{seed}", store, store.chance)
            here = tmp_path / f"here{seed}"
            Fence.initialise(here)
            desk = a_desk(here, store)
            async with trading(gate):
                await asyncio.sleep(0.2)
                mirror = asyncio.create_task(desk.mirror())
                await asyncio.sleep(store.chance.uniform(0, 0.003))
                blocked = await press(desk, Scope("demo"))
                obeys = gate.latch.stops("demo", "binanceusdm", "demo-bot")
                assert obeys or not blocked.gates.acknowledged, f"seed {seed}: it has not heard of the stop"
                await asyncio.sleep(0.1)
                assert gate.latch.stops("demo", "binanceusdm", "demo-bot")
                assert desk.generation() == int(store.fields["generation"]) == gate.latch.obeyed
                mirror.cancel()

    in_virtual_time(one())


@pytest.mark.parametrize("raised", [False, True], ids=["by the press", "by the mirror"])
async def test_f01_a_store_that_was_ahead_has_the_stop_under_a_number_that_is_above_its_own(
    tmp_path: Path, raised: bool
) -> None:
    Fence.initialise(tmp_path)
    store = SimulatedStore(random.Random(1), delay_s=0)
    store.fields |= {"generation": "100"}
    truths = a_desk(tmp_path, store).truths
    stopped = truths.stop(DESK)
    if raised:
        truths.fence.outrun(100)
    assert await truths.latch(DESK, stopped.generation, running=True) is Latched.OVERTAKEN
    assert store.fields == {"desk": "HALTED", "kill:desk": "1", "generation": "101"}
    assert await truths.latch(DESK, truths.stop(DESK).generation, running=True) is Latched.NUMBERED


def test_f01_of_presses_at_once_each_counts_only_gates_that_heard_of_its_own_stop(tmp_path: Path) -> None:
    async def one() -> None:
        accounts = ("one", "two", "three")
        for seed in range(40):
            store = SimulatedStore(random.Random(seed), delay_s=0.04)
            gate = Gate("there", tmp_path / f"there{seed}", store, store.chance)
            desk = a_desk(tmp_path / f"here{seed}", store)
            Fence.initialise(tmp_path / f"here{seed}")

            async def pressed(account: str, gate: Gate = gate, desk: KillDesk = desk) -> int:
                blocked = await press(desk, Scope(account))
                obeys = gate.latch.stops(account, "binanceusdm", "demo-bot")
                assert obeys or not blocked.gates.acknowledged, f"it has not heard of the stop of {account}"
                assert blocked.latched and blocked.in_flight.known, f"the store says what {account} has on the wire"
                return blocked.gates.acknowledged

            async with trading(gate):
                await asyncio.sleep(0.2)
                assert max(await asyncio.gather(*map(pressed, accounts))) == 1, "not even the last one counts"

    in_virtual_time(one())


def test_f01_a_gate_that_cannot_hear_is_named_and_stops_by_its_lease(tmp_path: Path) -> None:
    async def one() -> None:
        chance = random.Random(2)
        store = SimulatedStore(chance)
        deaf = Gate("deaf", tmp_path / "there", store, chance)
        well = Gate("well", tmp_path / "there", store, chance)
        desk = a_desk(tmp_path / "here", store)
        async with trading(deaf, well):
            await asyncio.sleep(0.5)
            store.away.add("deaf")
            blocked = await press(desk, DESK)
            at = asyncio.get_running_loop().time()
            assert blocked.gates.silent == ("deaf",)
            assert (blocked.gates.gates, blocked.gates.acknowledged) == (2, 1)
            await asyncio.sleep(2 * LEASE_S)
            assert max(well.sent) < at
            assert max(deaf.sent) < at + LEASE_S, "it went on beyond its lease"
            assert (await press(desk, DESK)).gates.gates == 1, "a gate without a lease is waited for"

    in_virtual_time(one())


def test_f01_a_store_that_is_away_leaves_this_machine_stopped_and_nobody_asked(tmp_path: Path) -> None:
    async def one() -> None:
        chance = random.Random(3)
        store = SimulatedStore(chance)
        gate = Gate("here", tmp_path, store, chance)
        desk = a_desk(tmp_path, store)
        async with trading(gate):
            await asyncio.sleep(0.5)
            store.away.add("warden")
            blocked = await press(desk, DESK)
            at = asyncio.get_running_loop().time()
            assert (blocked.latched, blocked.gates.gates) == (False, None)
            await asyncio.sleep(1)
            assert max(gate.sent) < at

    in_virtual_time(one())


def test_f18_a_store_wiped_after_the_press_lets_nobody_go(tmp_path: Path) -> None:
    async def one() -> None:
        chance = random.Random(4)
        store = SimulatedStore(chance)
        gates = [Gate(f"g{place}", tmp_path / place, store, chance) for place in ("here", "there")]
        desk = a_desk(tmp_path / "here", store)
        async with trading(*gates):
            await asyncio.sleep(0.5)
            await press(desk, Scope("demo"))
            at = asyncio.get_running_loop().time()
            store.wipe()
            await asyncio.sleep(0.3)  # The warden is slow to notice.
            mirror = asyncio.create_task(desk.mirror())
            await asyncio.sleep(1)
            mirror.cancel()
            assert all(max(gate.sent) < at for gate in gates)
            assert store.fields["account:demo"] == "HALTED", "the store was not told again"

    in_virtual_time(one())


async def ended(desk: KillDesk) -> None:
    while desk.runs.now:
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("compared", [True, False], ids=["after a comparison", "before the first"])
def test_a_directory_that_was_put_back_presses_and_rearms_above_the_stores_number(
    tmp_path: Path, compared: bool
) -> None:
    async def one() -> None:
        chance = random.Random(5)
        store = SimulatedStore(chance)
        here = tmp_path / "here"
        Fence.initialise(here)
        shutil.copytree(here, tmp_path / "snapshot")
        before = a_desk(here, store)
        for _ in range(4):
            await press(before, DESK)
            await ended(before)
            await before.rearm(DESK, "ann", "all is well again", "desk")
        shutil.rmtree(here)
        shutil.copytree(tmp_path / "snapshot", here)
        gate = Gate("elsewhere", tmp_path / "elsewhere", store, chance)
        desk = a_desk(here, store)
        async with trading(gate):
            await asyncio.sleep(0.5)
            if compared:
                await desk.truths.compare(desk.running, desk._found)
            blocked = await press(desk, DESK)
            at = asyncio.get_running_loop().time()
            if compared:
                assert (blocked.latched, blocked.gates.acknowledged) == (True, 1)
            else:
                assert blocked.gates.gates is None, "a word that was given before the press counted"
            await ended(desk)
            assert max(gate.sent) < at + 0.05
            await desk.rearm(DESK, "ann", "all is well again", "desk")
            at = asyncio.get_running_loop().time()
            await asyncio.sleep(0.5)
            assert max(gate.sent) > at, "the gate goes on refusing what everybody else calls re-armed"

    in_virtual_time(one())


def a_hold(hold_id: str, status: HoldStatus) -> AgedHold:
    return AgedHold(Hold(hold_id=hold_id, bot="grid", sequence=1, status=status, orders=()), 0)


@pytest.mark.parametrize("dust", [None, "main", "second"])
@pytest.mark.parametrize("arrives_after_s", [1.0, 8.0, 12.0])
def test_f01_what_was_on_the_wire_is_followed_and_what_it_became_is_closed(
    tmp_path: Path, arrives_after_s: float, dust: str | None
) -> None:
    """The entry of an unknown outcome turns up after the calm that would have ended the kill; also where what is left
    of that account, or of another, is too small to be closed."""

    async def one() -> None:
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        venue = SimulatedVenue(3, fault_share=0, hedged=True)
        second = SimulatedVenue(4, fault_share=0, hedged=True, name="second")
        for each in (venue, second):
            if each.name == dust:
                each.positions["DUSTUSDT", PositionSide.LONG] = Decimal("0.04")
        desk = a_desk(tmp_path, store, venue, second, events=events)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)

        async def arrive() -> None:
            await asyncio.sleep(arrives_after_s)
            venue.enter("BTCUSDT")
            store.under_way["main"] = (a_hold("d1", HoldStatus.ACCEPTED),)

        arriving = asyncio.create_task(arrive())
        blocked = await press(desk, DESK)
        assert [each.hold_id for each in blocked.in_flight.sent] == ["d1"]
        await asyncio.gather(arriving, desk.runs.join())
        for each in (venue, second):
            each.positions.pop(("DUSTUSDT", PositionSide.LONG), None)
        assert venue.flat and second.flat, "what was in flight stayed open"
        followed = desk.in_flight(DESK)
        assert followed is not None and followed.over
        assert events[-1][0] == ("kill.flat_except_dust" if dust else "kill.flat")
        assert {each["account"] for each in events[-1][1]["accounts"]} == {"main", "second"}
        assert len(list(job_history(tmp_path, "second"))) == 1, "read anew though nothing of it was in flight"
        assert events[-1][1]["in_flight"]["sent"][0]["became"] == "known at the exchange, or refused"
        states = [replay(journal.events) for journal in job_history(tmp_path, "main")]
        flat = Phase.FLAT_EXCEPT_DUST if dust == "main" else Phase.FLAT
        assert {state.phase for state in states if state is not None} == {flat}

    in_virtual_time(one())


def test_f01_what_nobody_can_list_is_waited_for_until_its_time_has_passed(tmp_path: Path) -> None:
    async def one() -> None:
        store = SimulatedStore(random.Random(6))
        venue = SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, store, venue)
        store.under_way["main"] = (a_hold("d1", HoldStatus.PENDING),)
        started = asyncio.get_running_loop().time()
        await press(desk, DESK)
        await desk.runs.join()
        followed = desk.in_flight(DESK)
        assert followed is not None and followed.sent[0].became == "its time has passed"
        journals = list(job_history(tmp_path, "main"))
        read = [event.at for event in journals[0].events]
        assert asyncio.get_running_loop().time() - started > OVER_AFTER_S
        assert len(journals) == 2 and read, "it was not read again after that"

    in_virtual_time(one())


@pytest.mark.parametrize("lost", ["before the press", "after it", "after it, and filled since"])
def test_f18_what_the_store_lost_of_the_wire_is_waited_for_until_its_time_has_passed(tmp_path: Path, lost: str) -> None:
    async def one() -> None:
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, other = two_accounts()
        desk = a_desk(tmp_path, store, main, other, events=events)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        if lost == "before the press":
            store.fail_over(filled=False)
        blocked = await press(desk, DESK)
        assert blocked.in_flight.known is (lost != "before the press")
        await asyncio.sleep(1)
        if lost != "before the press":
            store.fail_over(filled=lost == "after it, and filled since")
        await asyncio.sleep(10)
        main.positions["BTCUSDT", PositionSide.BOTH] = Decimal("0.3")
        await desk.runs.join()
        assert main.flat and events[-1][0] == "kill.flat", "what came after the last reading stayed open"

    in_virtual_time(one())


def slow_down(venue: SimulatedVenue, by_s: float) -> None:
    """Every reading of it takes longer."""
    survey = venue.survey

    async def slow(**options: Any) -> Reading:
        await asyncio.sleep(by_s)
        return await survey(**options)

    cast(Any, venue).survey = slow


def two_accounts() -> tuple[SimulatedVenue, SimulatedVenue]:
    first, second = (
        SimulatedVenue(3, quiet=True, fault_share=0, name=name, hedged=False) for name in ("main", "other")
    )
    return first, second


def test_f01_an_open_account_is_told_and_pursued_while_what_another_had_on_the_wire_is_followed(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, other = two_accounts()
        other.positions["BTCUSDT", PositionSide.BOTH] = Decimal(3)
        other.halted.add("BTCUSDT")
        desk = a_desk(tmp_path, store, main, other, events=events)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        await press(desk, DESK)
        await asyncio.sleep(7)
        assert [what for what, _ in events] == ["kill.engaged", "kill.degraded"], "told when the wire was over"
        assert desk.busy("main") and not desk.busy("other"), "what is open is pursued by nobody"
        assert [each.phase for each in await desk.progress()] == [Phase.FLAT, Phase.DEGRADED]
        other.halted.clear()
        await desk.again(DESK, "other", "guard", "begun again")
        await asyncio.sleep(5)
        main.positions["BTCUSDT", PositionSide.BOTH] = Decimal("0.3")
        await desk.runs.join()
        assert main.flat and other.flat
        assert [what for what, _ in events[2:]] == ["kill.account_flat", "kill.flat"]
        assert [len(list(job_history(tmp_path, each))) for each in ("main", "other")] == [2, 2]
        followed = events[-1][1]["in_flight"]["sent"]
        assert [each["became"] for each in followed] == ["its time has passed"]

    in_virtual_time(one())


def test_f01_what_was_over_when_another_account_was_read_is_closed(tmp_path: Path) -> None:
    """It arrived after the last reading of its account, and before that of one that took longer."""

    async def one() -> None:
        Fence.initialise(tmp_path)
        store, events = SimulatedStore(random.Random(5)), list[Any]()
        main, other = two_accounts()
        slow_down(other, 5)
        desk = a_desk(tmp_path, store, main, other, events=events)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        await press(desk, DESK)
        await asyncio.sleep(8)
        main.positions["BTCUSDT", PositionSide.BOTH] = Decimal("0.3")
        store.under_way.clear()
        await desk.runs.join()
        assert main.flat and events[-1][0] == "kill.flat"
        assert [len(list(job_history(tmp_path, each))) for each in ("main", "other")] == [2, 1]

    in_virtual_time(one())


def test_f01_an_account_that_was_read_after_the_end_of_its_wire_is_not_killed_again(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store = SimulatedStore(random.Random(5))
        main, other = two_accounts()
        desk = a_desk(tmp_path, store, main, other)
        store.under_way |= {each: (a_hold(each, HoldStatus.UNKNOWN),) for each in ("main", "other")}
        await press(desk, DESK)
        await asyncio.sleep(1)
        del store.under_way["main"]
        await desk.runs.join()
        assert [len(list(job_history(tmp_path, each))) for each in ("main", "other")] == [1, 2]

    in_virtual_time(one())


def test_f20_a_thousand_presses_are_one_job_an_account_and_all_are_told_the_same(tmp_path: Path) -> None:
    async def one() -> None:
        chance = random.Random(7)
        store, events = SimulatedStore(chance), list[Any]()
        venues = [SimulatedVenue(seed, fault_share=0, name=name) for seed, name in ((3, "main"), (4, "second"))]
        desk = a_desk(tmp_path, store, *venues, events=events)
        scopes = (DESK, Scope(venue="binanceusdm"), Scope("main"))
        await press(desk, Scope("main"))
        blocked = await asyncio.gather(*(press(desk, chance.choice(scopes)) for _ in range(1000)))
        assert len(asyncio.all_tasks()) < 20, "every press waits for the job by itself"
        assert len({each.generation for each in blocked}) <= 1 + 2 * len(scopes), "the disk was written for each"
        await desk.runs.join()
        for venue in venues:
            assert venue.flat
            assert len(list(job_history(tmp_path, venue.name))) == 1, f"{venue.name} has more than one job"
        reports = {report.account: report for report in desk.reports()}
        assert reports["main"].scope == reports["second"].scope == "desk", "the widest did not win"
        steps = [step.what for report in reports.values() for step in report.steps]
        assert "taken over after a crash" not in steps, "two ran one job at once"
        assert sum(what == "kill.engaged" for what, _ in events) == 1001
        assert desk.truths.fence.scopes() == set(scopes)

    in_virtual_time(one())


def test_f21_a_kill_of_one_account_within_a_kill_of_all_joins_it_and_is_released_alone(tmp_path: Path) -> None:
    async def one() -> None:
        store = SimulatedStore(random.Random(8))
        venues = [SimulatedVenue(seed, fault_share=0, name=name) for seed, name in ((3, "main"), (4, "second"))]
        desk = a_desk(tmp_path, store, *venues)
        await press(desk, DESK)
        await asyncio.sleep(0.2)
        await press(desk, Scope("main"))
        await desk.runs.join()
        assert len(list(job_history(tmp_path, "main"))) == len(list(job_history(tmp_path, "second"))) == 1
        await desk.rearm(Scope("main"), "bob", "checked at the venue", "account:main")
        assert desk.truths.fence.scopes() == {DESK} and desk.stopped("main")
        await desk.rearm(DESK, "bob", "checked at the venue", "desk")
        assert not desk.stopped("main")

    in_virtual_time(one())
