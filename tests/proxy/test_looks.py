"""A look that takes too long stands in nobody's way but that of other looks of its kind, and is not taken twice."""

from __future__ import annotations

import asyncio
import threading

import pytest

from proxy.looks import Looks


class Reading:
    """Reads until it is let go; tells how often it began, and in which thread."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()
        self.threads: list[str] = []

    def __call__(self) -> int:
        self.threads.append(threading.current_thread().name)
        self.began.set()
        assert self.go_on.wait(10)
        return len(self.threads)


async def until(event: threading.Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.001)


async def test_who_gives_up_leaves_the_answer_to_who_asks_next() -> None:
    looks, reading = Looks("test"), Reading()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await looks.ask("a", reading)
    next_one = asyncio.create_task(looks.ask("a", reading))
    await asyncio.sleep(0.02)
    reading.go_on.set()
    assert await next_one == 1
    assert await looks.ask("a", reading) == 2, "what has been answered is read anew"


async def test_a_look_is_in_a_thread_of_its_kind_and_not_in_the_pool_of_what_must_be_written() -> None:
    looks, reading = Looks("test"), Reading()
    reading.go_on.set()
    await looks.ask("a", reading)
    assert reading.threads[0].startswith("look-test")


async def test_a_look_that_has_not_begun_is_given_up_with_the_last_who_waits() -> None:
    looks, first, second = Looks("test"), Reading(), Reading()
    second.go_on.set()
    running = asyncio.create_task(looks.ask("a", first))
    await until(first.began)
    waiting = [asyncio.create_task(looks.ask("b", second)) for _ in range(2)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    await asyncio.sleep(0.01)
    stays = asyncio.create_task(looks.ask("c", second))
    await asyncio.sleep(0.01)
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
    first.go_on.set()
    assert (await running, await stays) == (1, 1)
    assert await looks.ask("b", second) == 2


async def test_a_look_that_was_given_up_can_be_asked_for_at_once() -> None:
    looks, first, second = Looks("test"), Reading(), Reading()
    second.go_on.set()
    running = asyncio.create_task(looks.ask("a", first))
    await until(first.began)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await looks.ask("b", second)
    again = asyncio.create_task(looks.ask("b", second))
    await asyncio.sleep(0)
    first.go_on.set()
    assert (await again, await running) == (1, 1)


async def test_what_a_reading_raises_is_everybodys_who_waits() -> None:
    looks = Looks("test")

    def broken() -> int:
        raise OSError("the disk is gone")

    found = await asyncio.gather(looks.ask("a", broken), looks.ask("a", broken), return_exceptions=True)
    assert [str(each) for each in found] == ["the disk is gone"] * 2
