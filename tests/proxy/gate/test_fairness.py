"""Who goes next when a gate is busy: nobody's flood is anybody else's wait, and no slot is ever lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from proxy.gate.counting import Kind
from proxy.gate.fairness import Lane, Lanes

SOON_S = 0.02
NEVER_S = 60.0


def a_lane(slots: int = 8, queued_max: int = 4, wait_s: float = NEVER_S) -> Lane:
    return Lane(slots, queued_max=queued_max, wait_s=wait_s)


def fill(lane: Lane, *bots: str) -> Counter[str]:
    """All the bots take what they can get, by turns."""
    took: Counter[str] = Counter()
    while sum(lane.enter_at_once(bot) and not took.update((bot,)) for bot in bots):
        pass
    return took


@pytest.mark.parametrize("slots", [4, 8, 128, 256], ids=str)
def test_alone_a_bot_has_a_quarter(slots: int) -> None:
    lane = a_lane(slots)
    assert fill(lane, "flood")["flood"] == slots // 4
    assert lane.under_way == lane.holds("flood") == slots // 4


@pytest.mark.parametrize("bots", [1, 2, 5, 13, 29, 61], ids=str)
def test_those_who_want_everything_get_the_same_and_leave_as_much_three_times(bots: int) -> None:
    lane = a_lane(128)
    took = fill(lane, *(f"flood{number}" for number in range(bots)))
    assert max(took.values()) - min(took.values()) <= 1
    assert max(took.values()) == -(-128 // (3 + bots))


@pytest.mark.parametrize("floods", [1, 2, 5, 20, 50, 100], ids=str)
def test_who_holds_nothing_finds_room_beside_any_flood(floods: int) -> None:
    lane = a_lane(128)
    fill(lane, *(f"flood{number}" for number in range(floods)))
    assert lane.enter_at_once("quiet")


async def in_turn(lane: Lane, bot: str, served: list[str]) -> bool:
    entered = await lane.enter(bot)
    if entered:
        served.append(bot)
    return entered


@pytest.mark.parametrize("floods", [8, 20, 50], ids=str)
async def test_where_every_slot_is_taken_a_quiet_bot_waits_for_one_of_each_flooding_bot(floods: int) -> None:
    lane, served = a_lane(8, queued_max=16), []
    bots = [f"flood{number}" for number in range(floods)]
    tasks = [asyncio.create_task(in_turn(lane, bot, served)) for _ in range(10) for bot in bots]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(in_turn(lane, "quiet", served)))
    await asyncio.sleep(0)
    released = 0
    while "quiet" not in served:
        lane.leave(served[released])
        released += 1
        await asyncio.sleep(0)
        assert released <= floods + 1, "one of each, and then it is its turn"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_those_who_wait_are_served_by_turns() -> None:
    lane, served = a_lane(4), []
    assert fill(lane, "a", "b", "c", "d") == Counter("abcd")
    waiting = [asyncio.create_task(in_turn(lane, bot, served)) for bot in "aaaabbbbc"]
    await asyncio.sleep(0)
    for bot in "abcd":
        lane.leave(bot)
    for _ in range(len(waiting)):
        await asyncio.sleep(0)
        for bot in served[len(served) - lane.under_way :]:
            lane.leave(bot)
    assert await asyncio.gather(*waiting) == [True] * 9
    assert served[:3] == ["a", "b", "c"]


async def test_beyond_its_queue_a_bot_is_told_at_once_and_another_is_not() -> None:
    lane = a_lane(4, queued_max=2)
    assert fill(lane, "flood", "other1", "other2", "other3").total() == 4
    waiting = [asyncio.create_task(lane.enter("flood")) for _ in range(2)]
    await asyncio.sleep(0)
    assert lane.queued("flood") == 2
    assert not await lane.enter("flood")
    another = asyncio.create_task(lane.enter("other1"))
    await asyncio.sleep(0)
    assert not another.done()
    for bot in ("flood", "other1"):
        lane.leave(bot)
    assert await waiting[0]
    assert await another
    waiting[1].cancel()


async def test_nobody_waits_longer_than_the_bound() -> None:
    lane = a_lane(4, wait_s=SOON_S)
    assert lane.enter_at_once("flood")
    assert not await lane.enter("flood")
    assert (lane.queued("flood"), lane.under_way) == (0, 1)
    lane.leave("flood")
    assert await lane.enter("flood"), "and is free to come again"


async def test_who_is_cancelled_in_the_turn_of_the_grant_gives_the_slot_to_the_next() -> None:
    lane = a_lane(4)
    assert lane.enter_at_once("a")
    first, second = (asyncio.create_task(lane.enter("a")) for _ in range(2))
    await asyncio.sleep(0)
    lane.leave("a")
    first.cancel()
    assert await second
    assert first.cancelled()
    lane.leave("a")
    assert lane.under_way == 0


async def test_who_was_cancelled_before_is_passed_over() -> None:
    lane = a_lane(4)
    assert lane.enter_at_once("a")
    first, second = (asyncio.create_task(lane.enter("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    lane.leave("a")
    assert await second
    assert lane.under_way == 1


class Simulation:
    """Bots that come, hang up and finish in a random order, and what must hold after every step."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.slots = self.random.choice((1, 2, 4, 7, 16))
        self.lane = Lane(self.slots, queued_max=3, wait_s=self.random.choice((0.0, 0.001, NEVER_S)))
        self.bots = [f"bot{number}" for number in range(self.random.choice((1, 2, 5, 12)))]
        self.inside: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def one(self, bot: str) -> None:
        if await self.lane.enter(bot):
            self.inside.append(bot)

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
            if self.random.random() < 0.5:
                await asyncio.sleep(0)
            self.check()
        await self.drain()

    def step(self) -> None:
        match self.random.choice(("come", "come", "finish", "finish", "hang up", "at once")):
            case "come":
                self.tasks.append(asyncio.create_task(self.one(self.random.choice(self.bots))))
            case "at once":
                bot = self.random.choice(self.bots)
                if self.lane.enter_at_once(bot):
                    self.inside.append(bot)
            case "finish" if self.inside:
                self.lane.leave(self.inside.pop(self.random.randrange(len(self.inside))))
            case "hang up" if self.tasks:
                self.tasks.pop(self.random.randrange(len(self.tasks))).cancel()

    def check(self) -> None:
        held = {bot: self.lane.holds(bot) for bot in self.bots}
        assert sum(held.values()) == self.lane.under_way <= self.slots
        assert all(count >= 0 for count in held.values())
        free = self.slots - self.lane.under_way
        for bot in self.bots:
            assert self.lane.queued(bot) <= 3
            if self.lane.queued(bot):
                assert held[bot] * 3 >= free, f"{bot} waits and might go"

    async def drain(self) -> None:
        """Everybody who has not hung up is served, or was told; then nothing is left."""
        while any(not task.done() for task in self.tasks) or self.inside:
            await asyncio.sleep(0)
            if self.inside:
                self.lane.leave(self.inside.pop())
            self.check()
        assert self.lane.under_way == 0
        assert all(self.lane.queued(bot) == self.lane.holds(bot) == 0 for bot in self.bots)


@pytest.mark.parametrize("seed", range(60), ids=lambda seed: f"seed {seed}")
async def test_whatever_happens_no_slot_is_lost_and_nobody_waits_who_might_go(seed: int) -> None:
    async with asyncio.timeout(20):
        await Simulation(seed).run(300)


def test_the_way_out_has_a_lane_of_its_own_and_a_batch_with_an_entry_is_not_on_it() -> None:
    lanes = Lanes()
    assert {kind for kind in Kind if lanes.lane(kind) is lanes.exits} == {Kind.EXIT, Kind.CANCEL}
    assert {kind for kind in Kind if lanes.lane(kind) is lanes.reads} == {Kind.READ}
