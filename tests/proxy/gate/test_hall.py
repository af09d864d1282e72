"""Strangers take turns: what a crowd asks at once stands in no bot's way, and is answered all the same."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from uvicorn.server import ServerState

from proxy.gate import protocol
from proxy.gate.hall import ENDED_AT_ONCE, ENDINGS_PAUSE_S, SLOW_STRANGERS_MAX, STRANGERS_PAUSE_S
from tests.proxy.gate.connections import Door, Line, a_get, a_post, settled

CROWD = 20
BOT = b"X-MBX-APIKEY: ada"
STRANGER = b"X-MBX-APIKEY: unknown"


def a_crowd(door: Door, count: int = CROWD) -> list[Line]:
    """So many connections of one server."""
    state = ServerState()
    return [Line(door, state=state) for _ in range(count)]


def names(door: Door) -> list[str]:
    return [path.rpartition(b"/")[2].decode() for _, path, _ in door.asked]


async def test_a_bots_request_begins_before_most_of_a_crowds() -> None:
    door = Door()
    *crowd, bot = a_crowd(door, CROWD + 1)
    for number, line in enumerate(crowd):
        line.protocol.data_received(a_get(f"{number}", *[STRANGER] * (number % 2)))
    bot.protocol.data_received(a_post("order", b"a=1", BOT))
    await settled()
    assert names(door).index("order") <= 1
    async with asyncio.timeout(10):
        while len(names(door)) < CROWD + 1:
            await asyncio.sleep(STRANGERS_PAUSE_S)
        await settled()
    assert [name for name in names(door) if name != "order"] == [str(number) for number in range(CROWD)]
    assert {len(line.answers) for line in crowd} == {1}


async def test_while_a_bot_waits_strangers_come_one_every_few_milliseconds() -> None:
    door = Door()
    door.open.clear()
    *crowd, bot = a_crowd(door, CROWD + 1)
    bot.protocol.data_received(a_post("order", b"a=1", BOT))
    await settled()
    began = asyncio.get_running_loop().time()
    for number, line in enumerate(crowd):
        line.protocol.data_received(a_get(f"{number}"))
    for _ in range(20):
        await settled()
    passed = asyncio.get_running_loop().time() - began
    assert len(names(door)) - 1 <= 2 + passed / STRANGERS_PAUSE_S
    async with asyncio.timeout(10):
        while len(names(door)) < 1 + CROWD:
            await asyncio.sleep(STRANGERS_PAUSE_S)
    assert asyncio.get_running_loop().time() - began >= (CROWD - 2) * STRANGERS_PAUSE_S
    door.open.set()


async def test_so_do_strangers_of_whom_each_comes_when_the_last_has_begun() -> None:
    door = Door()
    door.open.clear()
    *crowd, bot = a_crowd(door, CROWD + 1)
    bot.protocol.data_received(a_post("order", b"a=1", BOT))
    await settled()
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        for number, line in enumerate(crowd):
            line.protocol.data_received(a_get(f"{number}"))
            while len(names(door)) < number + 2:
                await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() - began >= (CROWD - 2) * STRANGERS_PAUSE_S
    door.open.set()


async def test_a_stranger_that_hangs_up_before_its_turn_has_asked_for_nothing() -> None:
    door = Door()
    crowd = a_crowd(door)
    for number, line in enumerate(crowd):
        line.protocol.data_received(a_get(f"{number}"))
    crowd[-1].hang_up()
    for _ in range(5):
        await settled()
    assert names(door) == [str(number) for number in range(CROWD - 1)]


async def test_of_too_many_strangers_that_do_not_read_the_one_that_waits_longest_goes_and_no_bot() -> None:
    bot, *crowd = a_crowd(Door(), SLOW_STRANGERS_MAX + 3)
    await bot.say(a_get("x", BOT))
    for line in (bot, *crowd):
        line.protocol.pause_writing()
        if line is crowd[0]:
            line.protocol.resume_writing()
    assert [line.transport.ended for line in crowd if line.transport.ended] == ["aborted"]
    assert crowd[1].transport.ended == "aborted"
    assert bot.transport.ended is None


async def test_a_crowd_that_is_late_together_is_closed_a_few_at_a_time_and_slower_while_a_bot_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_DEADLINE_S", 0.05)
    door = Door()
    door.open.clear()
    *crowd, bot = a_crowd(door, CROWD * ENDED_AT_ONCE + 1)
    bot.protocol.data_received(a_post("order", b"a=1", BOT))
    loop = asyncio.get_running_loop()
    closed: list[tuple[float, int]] = []

    def look() -> None:
        closed.append((loop.time(), sum(line.transport.ended is not None for line in crowd)))
        if closed[-1][1] < len(crowd):
            loop.call_soon(look)

    look()
    async with asyncio.timeout(10):
        while closed[-1][1] < len(crowd):
            await asyncio.sleep(0.01)
    steps = [after[1] - before[1] for before, after in itertools.pairwise(closed)]
    assert max(steps) <= ENDED_AT_ONCE
    began = next(at for at, number in closed if number)
    assert closed[-1][0] - began >= (CROWD - 2) * ENDINGS_PAUSE_S
    door.open.set()


async def test_who_is_late_and_yet_whole_before_its_turn_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_DEADLINE_S", 0.05)
    door = Door()
    crowd = a_crowd(door, ENDED_AT_ONCE * 2)
    time.sleep(0.1)  # All deadlines pass while the loop stands: they ring in one turn.
    asyncio.get_running_loop().call_soon(crowd[-1].protocol.data_received, a_post("order", b"a=1", BOT))
    async with asyncio.timeout(10):
        while not crowd[-1].answers:
            await asyncio.sleep(0.01)
    assert names(door) == ["order"]
    assert [line.transport.ended is None for line in crowd] == [False] * (len(crowd) - 1) + [True]
