"""F16 and F17 in virtual time: a watchdog, a guard that comes and goes, a line that is cut, and both alive at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.store.beats import Turn
from proxy.store.fence import DESK, Fence
from proxy.watchdog.beat import Beat, Duty, Terms
from proxy.watchdog.memory import Memory
from proxy.watchdog.turns import TURN_S, Turns
from proxy.watchdog.watch import AGAIN_S, Watch
from rules.kill.settings import Flatten, OnGoodbye
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill

SEEDS = range(25)


@dataclass
class World:
    """A guard and a line, both as a test wants them, and what the watchdog did. Times are the loop's."""

    data_dir: Path
    on_goodbye: OnGoodbye = OnGoodbye.STAND_DOWN
    supervised: bool = False
    flat: Callable[[], bool] = lambda: True
    alive: bool = True
    leaving: bool = False
    store_alive: bool = False
    line: bool = True
    boot_us: int = 1
    orphan: bool = False
    acts: list[float] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.watch = Watch(
            ways=(_Way(self, lambda: self.alive), _Way(self, lambda: self.store_alive)),
            hands=self,
            memory=Memory(self.data_dir),
            orphaned=lambda: self.orphan,
            grace_s=30.0 if self.supervised else 0.0,
            pause=asyncio.sleep,
        )

    def beat(self) -> Beat:
        self.number += 1
        terms = Terms(silent_s=10, on_goodbye=self.on_goodbye, flatten=Flatten())
        return Beat(boot_us=self.boot_us, number=self.number, terms=terms, leaving=self.leaving)

    async def line_holds(self) -> bool:
        return self.line

    async def flatten(self, reason: str, flatten: Flatten) -> bool:
        self.acts.append(asyncio.get_running_loop().time())
        return self.flat()


@dataclass
class _Way:
    world: World
    alive: Callable[[], bool]
    name: str = "a way"

    async def look(self, duty: Duty) -> Beat | None:
        return self.world.beat() if self.alive() and self.world.line else None


def play(world: World, *script: tuple[float, Callable[[World], object]]) -> list[float]:
    """Run the watchdog along the script of (time, what happens); when it acted."""

    async def run() -> list[float]:
        watching = asyncio.create_task(world.watch.run())
        for at, happens in script:
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            happens(world)
        world.watch.stopping = True
        await watching
        return world.acts

    return in_virtual_time(run())


def sets(**values: object) -> Callable[[World], None]:
    def happens(world: World) -> None:
        for name, value in values.items():
            setattr(world, name, value)

    return happens


END = sets()


def test_f16_it_acts_ten_seconds_after_the_guard_fell_silent(tmp_path: Path) -> None:
    (acted,) = play(World(tmp_path), (20.5, sets(alive=False)), (60, END))
    assert 30 <= acted <= 31.5


def test_f16_a_cut_of_nine_seconds_flattens_nothing(tmp_path: Path) -> None:
    cuts = [(20 * at + offset, sets(alive=alive)) for at in range(1, 30) for offset, alive in ((0, False), (9, True))]
    assert play(World(tmp_path), *cuts, (700, END)) == []


def test_f16_silence_is_silence_on_every_way(tmp_path: Path) -> None:
    """The control port is cut off for good; the store still has fresh beats."""
    assert play(World(tmp_path), (5, sets(alive=False, store_alive=True)), (300, END)) == []


def test_f16_its_own_line_is_cut_and_comes_back(tmp_path: Path) -> None:
    """Neither guard nor venue answers for a minute: the guard is well, and nothing may be flattened, then or after."""
    assert play(World(tmp_path), (5, sets(line=False)), (65, sets(line=True)), (200, END)) == []


def test_f16_its_line_comes_back_and_the_guard_does_not(tmp_path: Path) -> None:
    (acted,) = play(World(tmp_path), (5, sets(line=False, alive=False)), (65, sets(line=True)), (200, END))
    assert 65 <= acted <= 67


def test_f16_it_acts_again_until_it_is_flat(tmp_path: Path) -> None:
    answers = iter((False, False, True))
    acts = play(World(tmp_path, flat=lambda: next(answers)), (5, sets(alive=False)), (120, END))
    assert len(acts) == 3
    assert all(later - earlier >= AGAIN_S for earlier, later in itertools.pairwise(acts))


def test_f16_a_watch_outlives_its_process(tmp_path: Path) -> None:
    play(World(tmp_path), (5, END))
    (acted,) = play(World(tmp_path, alive=False), (60, END))
    assert 10 <= acted <= 11.5


def test_f16_one_that_starts_with_the_guard_gives_it_time_to_come_up(tmp_path: Path) -> None:
    play(World(tmp_path), (5, END))
    assert play(World(tmp_path, alive=False, supervised=True), (38, sets(alive=True)), (100, END)) == []


def test_a_watchdog_that_never_heard_the_guard_does_nothing(tmp_path: Path) -> None:
    assert play(World(tmp_path, alive=False), (3_600, END)) == []


def test_after_a_goodbye_it_stands_down_and_forgets(tmp_path: Path) -> None:
    assert play(World(tmp_path), (5, sets(leaving=True)), (8, sets(alive=False)), (300, END)) == []
    assert play(World(tmp_path, alive=False), (300, END)) == []


def test_a_goodbye_flattens_where_the_policy_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, on_goodbye=OnGoodbye.FLATTEN)
    (acted,) = play(world, (5, sets(leaving=True)), (8, sets(alive=False)), (300, END))
    assert acted < 8


@pytest.mark.parametrize(
    "end",
    [sets(alive=True, boot_us=2), sets(alive=False)],
    ids=["another guard is up", "it has flattened"],
)
def test_an_orphan_ends_with_its_watch(tmp_path: Path, end: Callable[[World], None]) -> None:
    world = World(tmp_path)

    async def run() -> None:
        watching = asyncio.create_task(world.watch.run())
        await asyncio.sleep(5)
        world.orphan, world.alive = True, False
        await asyncio.sleep(5)
        assert not watching.done()
        end(world)
        await asyncio.wait_for(watching, 30)

    in_virtual_time(run())


def test_a_memory_that_cannot_be_read_is_no_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    play(World(tmp_path), (5, END))
    (tmp_path / "watchdog" / "on-watch").write_bytes(b"{")
    assert play(World(tmp_path, alive=False), (60, END)) == []
    assert "cannot be read; not on watch" in caplog.text


class OneTurn:
    """The store's turn, with a store that may be away for one of those who ask."""

    def __init__(self) -> None:
        self.holder, self.until, self.number = "", 0.0, 0
        self.away: set[str] = set()
        self.most = 0

    async def take_turn(self, holder: str, for_s: float) -> Turn:
        await asyncio.sleep(0.01)
        if holder in self.away:
            raise ConnectionError
        now = asyncio.get_running_loop().time()
        if self.holder != holder and now < self.until:
            return Turn(ours=False, holder=self.holder, number=self.number)
        if now >= self.until:
            self.number += 1
        self.holder, self.until = holder, now + for_s
        return Turn(ours=True, holder=holder, number=self.number)

    async def end_turn(self, holder: str) -> None:
        if self.holder == holder:
            self.until = 0.0


async def _kill(turns: Turns, data_dir: Path, venue: SimulatedVenue, by: str, after_s: float) -> bool:
    await asyncio.sleep(after_s)
    async with turns.held():
        report = await kill(data_dir, DESK, [venue], by, "split brain")
    return report.flat


@pytest.mark.parametrize("store_away", [False, True], ids=["with the store", "without it"])
def test_f17_watchdog_and_warden_on_two_hosts_end_flat_and_never_flip(tmp_path: Path, store_away: bool) -> None:
    """Split brain: both think that it is theirs to act, at moments of chance, each with a data directory of its own."""
    for seed in SEEDS:

        async def one(seed: int = seed) -> None:
            venue, turn = SimulatedVenue(seed, heals_at=15.0), OneTurn()
            turn.away = {"the warden", "watchdog"} if store_away else set()
            ends = await asyncio.gather(
                *(
                    _kill(Turns(turn, by), tmp_path / str(seed) / by, venue, by, venue.chance.uniform(0, 5))
                    for by in ("the warden", "watchdog")
                )
            )
            assert venue.flips == 0, f"seed {seed}: a position changed its sign"
            assert all(ends) and venue.flat, f"seed {seed}: {ends}"
            for by in ("the warden", "watchdog"):
                assert DESK in Fence(tmp_path / str(seed) / by).scopes(), "both stay stopped"

        in_virtual_time(one())


def test_f17_with_the_store_they_act_one_after_the_other(tmp_path: Path) -> None:
    async def run() -> None:
        store = OneTurn()
        acting: list[str] = []
        order: list[str] = []

        async def act(by: str, for_s: float) -> None:
            async with Turns(store, by).held():
                assert not acting, "two act at once"
                acting.append(by)
                order.append(by)
                await asyncio.sleep(for_s)
                acting.remove(by)

        await asyncio.gather(act("the warden", 12), act("watchdog", 12))
        assert sorted(order) == ["the warden", "watchdog"]
        assert store.number == 2

    in_virtual_time(run())


def test_f17_a_holder_that_died_is_out_of_the_way_in_time(tmp_path: Path) -> None:
    async def run() -> float:
        store = OneTurn()
        await store.take_turn("the warden", TURN_S)
        async with Turns(store, "watchdog").held():
            return asyncio.get_running_loop().time()

    assert in_virtual_time(run()) < TURN_S + 1


def test_f17_a_process_does_not_wait_for_itself(tmp_path: Path) -> None:
    async def run() -> None:
        store = OneTurn()
        turns = Turns(store, "the warden")
        async with turns.held():
            async with asyncio.timeout(1), turns.held():
                pass
            assert (await store.take_turn("watchdog", 1)).ours is False, "the first still holds it"

    in_virtual_time(run())


class LateGoodbye(OneTurn):
    """A store that hears the end of a turn a while after it was said."""

    async def end_turn(self, holder: str) -> None:
        await asyncio.sleep(0.1)
        await super().end_turn(holder)


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05])
def test_f17_who_begins_while_the_turn_is_given_back_has_one_of_its_own(after_s: float) -> None:
    async def run() -> None:
        store = LateGoodbye()
        turns = Turns(store, "the warden")
        entered = asyncio.Event()

        async def first() -> None:
            async with turns.held():
                entered.set()

        async def second() -> None:
            await entered.wait()
            await asyncio.sleep(after_s)
            async with turns.held():
                await asyncio.sleep(0.3)
                assert (await store.take_turn("watchdog", 1)).ours is False, "it acts without a turn"

        await asyncio.gather(first(), second())
        assert (await store.take_turn("watchdog", 1)).ours, "given back in the end"

    in_virtual_time(run())
