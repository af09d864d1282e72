"""How long a call waits: as long as the store is silent, in our own attention, and never for ever."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.store.client import HOT_PATIENCE
from proxy.store.lean.attention import SLICE_S, Attention

SILENCE_S = 0.02


class Waiting:
    """Calls that wait under one ``Attention``, and those it ended."""

    def __init__(self) -> None:
        self.attention = Attention(SILENCE_S, self.look)
        self.began = self.attention.begin()
        self.ended = asyncio.get_running_loop().create_future()
        self.looks = 0

    def look(self) -> bool:
        self.looks += 1
        if self.attention.spent(self.began) and not self.ended.done():
            self.ended.set_result(None)
        return not self.ended.done()


async def test_a_silent_store_is_given_up_and_not_before():
    before = time.monotonic()
    await asyncio.wait_for(Waiting().ended, 5)
    assert time.monotonic() - before >= SILENCE_S


async def test_a_busy_process_is_no_silence():
    waiting = Waiting()
    for _ in range(3):
        time.sleep(SILENCE_S * 2)  # The loop is held up.
        await asyncio.sleep(0)
    assert not waiting.ended.done()
    await asyncio.wait_for(waiting.ended, 5)


async def test_what_lies_unread_after_a_long_stop_of_ours_is_read_before_anybody_is_given_up():
    waiting = Waiting()
    waiting.attention._last -= 60  # As if the process had stood still for a minute.
    waiting.began = (waiting.began[0], waiting.began[1] - 60)
    waiting.attention._tick(asyncio.get_running_loop())
    assert not waiting.ended.done()


async def test_a_store_that_answers_others_is_waited_for():
    waiting = Waiting()
    for _ in range(10):
        await asyncio.sleep(SILENCE_S / 2)
        waiting.attention.heard()
    assert not waiting.ended.done()
    await asyncio.wait_for(waiting.ended, 5)


async def test_what_was_heard_before_the_call_says_nothing():
    loop = asyncio.get_running_loop()
    attention = Attention(SILENCE_S, lambda: True)
    attention.heard()
    began = attention.begin()
    while not attention.spent(began):
        await asyncio.sleep(SLICE_S)
    attention.stop()
    assert loop.time() - attention.heard_at < SILENCE_S * HOT_PATIENCE


async def test_an_answer_that_never_comes_is_given_up_though_others_get_theirs():
    waiting, before = Waiting(), time.monotonic()
    while not waiting.ended.done():
        assert time.monotonic() - before < 5
        waiting.attention.heard()
        await asyncio.sleep(SLICE_S)
    assert time.monotonic() - before >= SILENCE_S * HOT_PATIENCE


async def test_nothing_is_counted_while_nobody_waits():
    waiting = Waiting()
    await waiting.ended
    looks = waiting.looks
    await asyncio.sleep(SLICE_S * 5)
    assert waiting.looks == looks


@pytest.mark.parametrize("begun", [1, 1000])
async def test_one_timer_serves_any_number_of_calls(begun):
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        return False

    attention = Attention(SILENCE_S, look)
    for _ in range(begun):
        attention.begin()
    await asyncio.sleep(SLICE_S * 3)
    assert looks == 1
