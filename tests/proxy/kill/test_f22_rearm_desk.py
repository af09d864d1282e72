"""F22, by the clock: a delay, what fails meanwhile, restarts in between, files that are damaged. No venue is needed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

import proxy.kill.job
from proxy.exchange.troubles import VenueRefused
from proxy.kill.asked import Asked, asked_of
from proxy.kill.desk import KillDesk, PressedSoFar
from proxy.kill.jobs import job_history
from proxy.kill.preconditions import Finding, Precondition, not_named
from proxy.kill.pursuit import Pursuit
from proxy.kill.rearm import RearmRefused, rearm
from proxy.kill.rearm_desk import RearmDesk
from proxy.kill.rearm_files import RearmFiles
from proxy.kill.runner import Clock
from proxy.kill.truths import Truths
from proxy.people.roles import Role
from proxy.store.client import STORE_TROUBLE
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.ramp import ramp_field
from proxy.store.warden_store import WardenStore
from rules.kill.events import CloseStep
from rules.kill.rearming import GRACE_S, Request, Stage
from rules.kill.settings import KillSettings, Rearm
from rules.model import PositionSide, TradingState
from rules.ramp import WHOLE
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.rules.builders import a_policy
from tests.support.people import a_register, write_people

MAIN, OTHER = Scope("main"), Scope("other")
TERMS = Rearm(delay_s=900, reduce_only_s=300, ramp_s=1000, ramp_start=Decimal("0.25"))
POLICY = a_policy()
POLICY = type(POLICY)(name="p", owner="o", version="ab" * 8, rules=POLICY.rules, kill=KillSettings(rearm=TERMS))


class Store(SimulatedStore):
    """One that knows of ramps."""

    async def set_ramp(self, scope: str, share: Decimal) -> None:
        await self._way("warden")
        if share == WHOLE:
            self.fields.pop(ramp_field(scope), None)
        else:
            self.fields[ramp_field(scope)] = f"{share:f}"


class Kill:
    """The kill desk's part: the fence, the latch, and what opens both."""

    def __init__(self, data_dir: Path, store: Store) -> None:
        self.data_dir = data_dir
        self.store = store
        self.truths = Truths(data_dir, Fence.initialise(data_dir), cast("WardenStore", store))
        self.presses = 0
        self.under_way: set[Scope] = set()

    def running(self, scope: Scope) -> bool:
        return scope in self.under_way

    def generation(self) -> int:
        return self.truths.generation()

    async def press(self, scope: Scope) -> None:
        self.presses += 1
        await self.truths.tell(scope, self.truths.fence.engage(scope), running=False)

    @property
    def pressed_so_far(self) -> PressedSoFar:
        return PressedSoFar(presses=self.presses, generation=self.generation())

    async def rearm(self, scope: Scope, name: str, reason: str, typed: str, *, looked_at: PressedSoFar) -> int:
        assert looked_at == self.pressed_so_far
        generation = rearm(self.data_dir, scope, name, reason, typed)
        try:
            await self.store.set_state(scope.control, TradingState.ACTIVE, generation=generation, kill_running=False)
        except STORE_TROUBLE:
            self.truths.fence.engage(scope)
            raise
        return generation


class Bench:
    """A desk of two accounts, both killed, and a clock that is moved by hand."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.now = datetime(2026, 11, 27, 12, tzinfo=UTC)
        self.store = Store(random.Random(7), delay_s=0)
        self.kill = Kill(data_dir, self.store)
        self.policy = POLICY
        self.findings: dict[str, Finding] = {"flat": Finding(holds=True, said="no position, no order")}
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.opened: list[tuple[Scope, str]] = []
        self.desk = self.started()

    def started(self) -> RearmDesk:
        async def record(what: str, by: str, detail: dict[str, Any]) -> None:
            self.events.append((what, by, detail))

        def look(name: str) -> Precondition:
            async def found(scope: Scope) -> Finding:
                return self.findings[name]

            return Precondition(name, found)

        return RearmDesk(
            data_dir=self.data_dir,
            kill=cast("KillDesk", self.kill),
            store=cast("WardenStore", self.store),
            record=record,
            policy=lambda: self.policy,
            preconditions=[look(name) for name in self.findings],
            opened=self.heard,
            may=a_register(self.data_dir, lambda: self.now).may,
            now=lambda: self.now,
        )

    async def heard(self, scope: Scope, request: Request) -> None:
        self.opened.append((scope, request.by))

    async def ask(self, scope: Scope = MAIN, **changed: str) -> None:
        asked = {"name": "ann", "reason": "mended the loop", "typed": str(scope), "policy": POLICY.version} | changed
        await self.desk.request(scope, **asked)  # type: ignore[arg-type]

    async def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await self.desk.look()

    def stage(self, scope: Scope = MAIN) -> Stage:
        state = self.desk.under_way().get(scope)
        return state.stage if state is not None else Stage.KILLED

    def stopped(self, scope: Scope = MAIN) -> bool:
        return scope in self.kill.truths.fence.scopes()

    def why(self) -> str:
        return str(self.events[-1][2].get("why"))


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for scope in (MAIN, OTHER):
        await bench.kill.press(scope)
    return bench


async def test_f22_one_person_waits_fifteen_minutes_then_reduce_only_then_a_ramp(bench: Bench):
    await bench.ask()
    await bench.later(899)
    assert (bench.stage(), bench.stopped()) == (Stage.REQUESTED, True)
    await bench.later(1)
    assert (bench.stage(), bench.stopped(), bench.store.fields["ramp:account:main"]) == (Stage.REDUCING, False, "0")
    await bench.later(299)
    assert bench.store.fields["ramp:account:main"] == "0"
    shares = []
    for seconds in (1, 500, 499):
        await bench.later(seconds)
        shares.append(bench.store.fields.get("ramp:account:main"))
    assert shares == ["0.25", "0.62", "0.99"]
    await bench.later(1)
    assert (bench.stage(), bench.store.fields.get("ramp:account:main")) == (Stage.KILLED, None)
    assert [event[0] for event in bench.events] == ["rearm.requested", "rearm.opened", "rearm.step", "rearm.step"]
    assert bench.stopped(OTHER)
    assert bench.opened == [(MAIN, "ann")]


async def test_f22_what_fails_when_the_delay_is_over_holds_it_back_and_then_drops_it(bench: Bench):
    await bench.ask()
    bench.findings["flat"] = Finding(holds=False, said="left: BTCUSDT", left=("BTCUSDT LONG 1 of main",))
    await bench.later(900)
    assert (bench.stage(), bench.desk.held_back(MAIN)) == (Stage.REQUESTED, ("flat: left: BTCUSDT",))
    await bench.later(GRACE_S - 1)
    assert (bench.stage(), bench.stopped()) == (Stage.REQUESTED, True)
    await bench.later(1)
    assert (bench.stage(), bench.stopped()) == (Stage.KILLED, True)
    assert "flat: left: BTCUSDT" in bench.why()


async def test_f22_what_holds_again_within_the_grace_opens(bench: Bench):
    await bench.ask()
    bench.findings["flat"] = Finding(holds=False, said="not surveyed yet")
    await bench.later(900)
    bench.findings["flat"] = Finding(holds=True, said="no position")
    await bench.later(10)
    assert bench.stage() is Stage.REDUCING


async def test_f22_another_policy_in_force_drops_what_was_asked_under_the_old_one(bench: Bench):
    await bench.ask()
    bench.policy = type(POLICY)(name="p", owner="o", version="cd" * 8, rules=POLICY.rules)
    with pytest.raises(RearmRefused, match="another policy is in force"):
        await bench.desk.approve(MAIN, name="ben", reason="looked at it", typed=str(MAIN))
    await bench.later(1)
    assert (bench.stage(), bench.why()) == (Stage.KILLED, "another policy is in force since")


async def test_f22_any_press_cancels_a_request_and_anothers_re_arming_does_not(bench: Bench):
    await bench.ask()
    await bench.ask(OTHER)
    await bench.desk.approve(OTHER, name="ben", reason="looked at it", typed=str(OTHER))
    await bench.later(1)
    assert (bench.stage(), bench.stage(OTHER)) == (Stage.REQUESTED, Stage.REDUCING)
    await bench.kill.press(DESK)
    with pytest.raises(RearmRefused, match="a kill was pressed since"):
        await bench.desk.approve(MAIN, name="ben", reason="looked at it", typed=str(MAIN))
    await bench.later(1)
    assert (bench.stage(), bench.why()) == (Stage.KILLED, "a kill was pressed since")


async def test_f22_a_press_ends_a_probation_and_nothing_is_left_of_it(bench: Bench):
    await bench.ask()
    await bench.later(900)
    await bench.kill.press(MAIN)
    await bench.later(1)
    assert (bench.stage(), bench.stopped(), bench.why()) == (Stage.KILLED, True, "it was stopped again")
    assert "ramp:account:main" not in bench.store.fields


async def test_f22_a_restart_finds_what_was_asked_for_and_opens_it_when_it_is_due(bench: Bench):
    await bench.ask()
    bench.desk = bench.started()
    await bench.desk.load()
    assert bench.stage() is Stage.REQUESTED
    await bench.later(900)
    assert bench.stage() is Stage.REDUCING


async def test_f22_a_wiped_store_is_told_of_a_probation_again(bench: Bench):
    await bench.ask()
    await bench.later(900)
    bench.store.wipe()
    bench.desk = bench.started()
    await bench.desk.load()
    await bench.desk.publish()
    assert bench.store.fields == {"ramp:account:main": "0"}
    await bench.later(300)
    assert bench.store.fields == {"ramp:account:main": "0.25"}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [Path.unlink, _flip, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"{}")]
)
async def test_f22_a_probation_that_is_damaged_or_gone_stops_its_scope(bench: Bench, damage: Callable[[Path], Any]):
    await bench.ask()
    await bench.later(900)
    damage(bench.data_dir / "kill" / "rearming" / "account.main")
    await bench.later(1)
    assert (bench.stage(), bench.stopped()) == (Stage.KILLED, True)
    assert bench.store.fields["account:main"] == "HALTED"
    assert bench.events[-1][0] == "rearm.damaged"


async def test_f22_a_file_that_names_nothing_stops_the_desk(bench: Bench):
    await bench.ask()
    await bench.later(900)
    path = bench.data_dir / "kill" / "rearming" / "account.main"
    path.rename(path.with_name("moon"))
    await bench.later(1)
    assert DESK in bench.kill.truths.fence.scopes()


async def test_f22_a_store_that_does_not_answer_opens_nothing(bench: Bench):
    await bench.ask()
    bench.store.away.add("warden")
    with pytest.raises(ConnectionError):
        await bench.desk.approve(MAIN, name="ben", reason="looked at it", typed=str(MAIN))
    assert (bench.stopped(), bench.stage()) == (True, Stage.REQUESTED)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"typed": "main"}, "the name typed"),
        ({"name": "  "}, "nobody is named"),
        ({"reason": "ok"}, "shorter"),
        ({"policy": "0" * 16}, "the policy confirmed"),
    ],
)
async def test_f22_a_request_is_refused_with_everything_that_is_missing(bench: Bench, changed: Any, refusal: str):
    bench.findings["flat"] = Finding(holds=False, said="its kill has not ended")
    with pytest.raises(RearmRefused) as refused:
        await bench.ask(**changed)
    assert refusal in str(refused.value)
    assert "flat: its kill has not ended" in str(refused.value)
    assert "--acknowledge" not in str(refused.value), "nothing of it can be"
    assert bench.stage() is Stage.KILLED


async def test_f22_what_nobody_stopped_is_not_asked_for(bench: Bench):
    with pytest.raises(RearmRefused, match="nothing has stopped it"):
        await bench.ask(Scope("third"))


async def test_f22_a_look_that_fails_has_not_found_that_it_holds(bench: Bench):
    async def broken(scope: Scope) -> Finding:
        raise RuntimeError("a bug")

    bench.desk._preconditions = [Precondition("clock", broken)]
    with pytest.raises(RearmRefused, match=r"clock: could not be looked at \(RuntimeError\)"):
        await bench.ask()


async def test_f22_dust_is_acknowledged_by_name_and_the_words_are_kept(bench: Bench):
    bench.findings["flat"] = Finding(holds=False, said="left: DOGEUSDT", left=("DOGEUSDT LONG 3 of main",))
    with pytest.raises(RearmRefused, match=r"flat: left: DOGEUSDT.* by name \(--acknowledge TEXT\): DOGEUSDT"):
        await bench.ask(acknowledged="some dust is left")
    await bench.ask(acknowledged="3 dogeusdt are too small to close")
    await bench.later(900)
    assert bench.events[-1][2]["acknowledged"] == "3 dogeusdt are too small to close"
    assert not_named(("A 1", "B 2"), "A and more") == ("B",)
    assert not_named(("A 1",), "A") == ("A",)


def test_files_of_one_scope_never_name_another(tmp_path: Path):
    files = RearmFiles(tmp_path)
    assert files.read() == ({}, frozenset())
    (tmp_path / "kill" / "rearming").mkdir(parents=True)
    (tmp_path / "kill" / "rearming" / "account.main.next").write_bytes(b"half")
    assert files.read() == ({}, frozenset())


def test_the_terms_have_bounds():
    for wrong in ({"delay_s": 59}, {"reduce_only_s": 0}, {"ramp_s": 0}, {"ramp_start": Decimal(0)},
                  {"ramp_start": Decimal("1.01")}, {"delay_s": 604_801}, {"ramp_s": 604_801}):  # fmt: skip
        with pytest.raises(ValueError, match="needs"):
            Rearm(**cast("dict[str, Any]", wrong))
    usual = Rearm()
    assert (usual.delay_s, usual.reduce_only_s, usual.ramp_s, usual.ramp_start) == (900, 300, 1800, Decimal("0.25"))


@pytest.mark.parametrize("name", ["ann", "Ann", " A-N-N "])
async def test_f22_another_spelling_of_a_name_is_no_second_person(bench: Bench, name: str):
    await bench.ask()
    with pytest.raises(RearmRefused, match="ann asked for it: somebody else must approve"):
        await bench.desk.approve(MAIN, name=name, reason="looked at it", typed=str(MAIN))
    assert (bench.stage(), bench.stopped()) == (Stage.REQUESTED, True)


async def test_f22_what_somebody_asked_for_who_was_disabled_since_does_not_come_back_by_itself(bench: Bench):
    write_people(bench.data_dir)
    register = a_register(bench.data_dir, lambda: bench.now)
    for scope, name in ((MAIN, "Ann"), (OTHER, "Ben")):
        await bench.ask(scope, name=name)
    register.set_disabled("Ann", disabled=True, by="a test")
    register.set_role("Ben", Role.TRADER, by="a test")
    await bench.later(900)
    for scope, name in ((MAIN, "Ann"), (OTHER, "Ben")):
        assert (bench.stage(scope), bench.stopped(scope)) == (Stage.REQUESTED, True)
        assert bench.desk.held_back(scope) == (f"{name}, who asked for it, may not now",)
    register.set_role("Ben", Role.RISK, by="a test")
    await bench.later(1)
    assert bench.stage(OTHER) is Stage.REDUCING
    await bench.later(GRACE_S)
    assert (bench.stage(), bench.stopped()) == (Stage.KILLED, True)
    assert "Ann, who asked for it, may not now" in bench.why()


@pytest.mark.parametrize("who", ["a", "b"])
def test_f22_pursuit_is_no_press_and_the_request_of_what_is_left_lives_while_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Account a is flat; what b holds the venue will not let go, and pursuit begins its kill again and again."""

    async def one() -> None:
        clock = Clock()
        monkeypatch.setattr(proxy.kill.job, "Clock", lambda: clock)
        Fence.initialise(tmp_path)
        flat = SimulatedVenue(3, quiet=True, fault_share=0, name="a")
        stuck = SimulatedVenue(4, quiet=True, fault_share=0, name="b", hedged=False)
        stuck.positions["ETHUSDT", PositionSide.BOTH] = Decimal(20)

        def refuse(step: CloseStep) -> None:
            raise VenueRefused(-4005, "Quantity greater than max quantity.")

        stuck.on_close = refuse
        store, events = Store(random.Random(7), delay_s=0), list[tuple[str, dict[str, Any]]]()
        kill = a_desk(tmp_path, store, flat, stuck)

        async def record(what: str, by: str, detail: dict[str, Any]) -> None:
            events.append((what, detail))

        async def left(scope: Scope) -> Finding:
            if kill.running(scope):
                return Finding(holds=False, said="its kill has not ended")
            lines = tuple("ETHUSDT 20 of b" for each in kill.reports() if scope == Scope(each.account) and each.left)
            return Finding(holds=not lines, said="; ".join(lines), left=lines)

        async def opened(scope: Scope, request: Request) -> None:
            return

        rearming = RearmDesk(
            data_dir=tmp_path,
            kill=kill,
            store=cast("WardenStore", store),
            record=record,
            policy=lambda: POLICY,
            preconditions=[Precondition("flat", left)],
            opened=opened,
            may=lambda name, role: True,
            now=clock.now,
        )
        for account in ("a", "b"):
            await kill.press(Scope(account), "ann", "stop")
        await kill.runs.join()
        asked = {"name": "ann", "reason": "mended the loop", "typed": f"account:{who}", "policy": POLICY.version}

        async def ask() -> None:
            await rearming.request(Scope(who), **asked, acknowledged="ETHUSDT stays, I know of it")

        async def look_on_until(last: str, most_s: float) -> str:
            until = asyncio.get_running_loop().time() + most_s
            while last != (seen := [what for what, _ in events if what.startswith("rearm")][-1]):
                assert asyncio.get_running_loop().time() < until, seen
                await asyncio.sleep(0.25)
                await rearming.look()
            return str(events[-1][1].get("why"))

        pursuing = asyncio.create_task(Pursuit(data_dir=tmp_path, desk=kill, record=record, now=clock.now).run())
        try:
            await asyncio.sleep(60)
            while kill.running(Scope(who)):
                await asyncio.sleep(0.25)
            begun = len([*job_history(tmp_path, "b")])
            await ask()
            await look_on_until("rearm.opened", TERMS.delay_s + GRACE_S)
            assert len([*job_history(tmp_path, "b")]) > begun + 10, "it was not pursued"
            assert Scope(who) not in kill.engaged()
            other = Scope("b" if who == "a" else "a")
            asked["typed"], who_else = str(other), other
            while kill.running(who_else):
                await asyncio.sleep(0.25)
            await rearming.request(who_else, **asked, acknowledged="ETHUSDT stays, I know of it")
            await kill.press(Scope("a"), "ben", "not so")
            assert await look_on_until("rearm.cancelled", 1) == "a kill was pressed since"
        finally:
            pursuing.cancel()
            await kill.runs.join()

    in_virtual_time(one())


def test_f22_a_press_that_joins_a_kill_under_way_cancels_requests_too(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        store = Store(random.Random(7), delay_s=0)
        kill = a_desk(tmp_path, store, SimulatedVenue(3, quiet=True, fault_share=0, name="a"))
        rearming = Bench(tmp_path).started()
        rearming._kill, rearming._presses_before = kill, kill.presses
        await kill.press(Scope("a"), "ann", "stop")
        await kill.press(MAIN, "ann", "no account of that name")
        await rearming.request(MAIN, name="ann", reason="mended the loop", typed=str(MAIN), policy=POLICY.version)
        before = kill.generation()
        assert kill.runs.now, "it has ended, and the press begins another"
        await kill.press(Scope("a"), "ben", "not so")
        await kill.press(Scope("a"), "ben", "and once more")
        assert kill.generation() == before + 1, "one move voids it: a thousand presses wait for one disk"
        await rearming.look()
        assert MAIN not in rearming.under_way()
        await kill.press(Scope("a"), "ben", "nothing waits any more")
        assert kill.generation() == before + 1
        await kill.runs.join()

    in_virtual_time(one())


def test_f22_a_press_that_joins_a_kill_under_way_outlives_the_warden_and_a_store_that_is_away(bench: Bench) -> None:
    async def one() -> None:
        kill = a_desk(bench.data_dir, bench.store, SimulatedVenue(3, quiet=True, fault_share=0, name="main"))
        bench.kill = cast("Kill", kill)
        bench.desk = bench.started()
        await kill.press(MAIN, "ann", "stop")
        await kill.runs.join()
        await bench.ask()
        await kill.again(MAIN, "main", "guard", "begun again")
        await asyncio.sleep(0.01)
        bench.store.away.add("warden")
        await kill.press(MAIN, "ben", "not so")
        await kill.runs.join()
        with pytest.raises(ConnectionError):
            await bench.desk.look()
        bench.store.away.clear()
        bench.kill = cast("Kill", a_desk(bench.data_dir, bench.store, SimulatedVenue(3, quiet=True, name="main")))
        bench.desk = bench.started()
        await bench.desk.load()
        await bench.later(900)
        assert (bench.stage(), bench.stopped()) == (Stage.KILLED, True)
        assert bench.why() == "a kill was pressed since"

    in_virtual_time(one())


@pytest.mark.parametrize(("pressed", "over"), [(MAIN, False), (MAIN, True), (OTHER, False)])
def test_f22_nothing_opens_over_a_press_that_comes_while_it_is_on_its_way_to_the_store(
    bench: Bench, pressed: Scope, over: bool
) -> None:
    async def one() -> None:
        bench.store.delay_s = 0.02
        kill = a_desk(bench.data_dir, bench.store, SimulatedVenue(3, quiet=True, fault_share=0, name="main"))
        bench.kill = cast("Kill", kill)
        bench.desk = bench.started()
        await kill.press(MAIN, "ann", "stop")
        await kill.runs.join()
        await bench.ask()
        set_ramp, presses = bench.store.set_ramp, list[asyncio.Task[Any]]()

        async def slow(scope: str, share: Decimal) -> None:
            await set_ramp(scope, share)
            if not presses:
                presses.append(asyncio.create_task(kill.press(pressed, "cid", "it runs away")))
                await asyncio.sleep(0.001)
                if over:
                    await presses[0]
                    await kill.runs.join()

        bench.store.set_ramp = slow  # type: ignore[method-assign]
        with pytest.raises(RearmRefused, match="a kill was pressed since"):
            await bench.desk.approve(MAIN, name="ben", reason="looked at it", typed=str(MAIN))
        assert bench.stopped() and bench.store.fields["account:main"] == TradingState.HALTED.value
        if not over:
            assert asked_of(bench.data_dir, pressed) == Asked(by="cid", reason="it runs away")
        await presses[0]
        await kill.runs.join()
        await bench.later(1)
        assert (bench.stage(), bench.stopped(), bench.why()) == (Stage.KILLED, True, "a kill was pressed since")

    in_virtual_time(one())


async def test_f22_while_a_kill_runs_that_the_guard_began_again_no_request_lapses(bench: Bench):
    await bench.ask()
    bench.findings["flat"] = Finding(holds=False, said="its kill has not ended")
    bench.kill.under_way.add(MAIN)
    for _ in range(4):
        await bench.later(900 if bench.now.hour == 12 and bench.now.minute == 0 else GRACE_S - 1)
    assert bench.stage() is Stage.REQUESTED
    bench.kill.under_way.clear()
    await bench.later(1)
    bench.findings["flat"] = Finding(holds=True, said="no position")
    await bench.later(1)
    assert bench.stage() is Stage.REDUCING


async def test_f22_what_is_made_reduce_only_while_it_comes_back_is_asked_for_anew(bench: Bench):
    bench.kill = cast("Kill", a_desk(bench.data_dir, bench.store, SimulatedVenue(3, quiet=True, name="third")))
    third, bench.desk = Scope("third"), bench.started()
    kill = cast("KillDesk", bench.kill)
    await kill.reduce("third", "ann", "first")
    await bench.ask(third)
    await bench.later(900)
    await bench.later(300)
    assert bench.stage(third) is Stage.RAMPING
    assert await kill.reduce("third", "warden", "a stop was lost")
    await bench.later(1)
    assert (bench.stage(third), bench.why()) == (Stage.KILLED, "it was made reduce-only again")
    assert (bench.store.fields["account:third"], bench.store.fields.get("ramp:account:third")) == ("REDUCING", None)
    await bench.ask(third)
    await bench.later(900)
    assert (bench.stage(third), bench.store.fields["account:third"]) == (Stage.REDUCING, "ACTIVE")
