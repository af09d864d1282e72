"""How long a caller waits for the store: as long as it is silent, not as long as one answer is slow."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from proxy.store.client import HOT_PATIENCE, within

PATIENCE_S = 0.02


async def slowly(delay_s: float) -> str:
    await asyncio.sleep(delay_s)
    return "an answer"


async def test_an_answer_in_time_is_passed_on() -> None:
    assert await within(PATIENCE_S, slowly(0)) == "an answer"


async def test_a_silent_store_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        await within(PATIENCE_S, slowly(3600))


async def test_a_store_that_answers_others_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    assert await within(PATIENCE_S, slowly(PATIENCE_S * 5), heard=loop.time) == "an answer"


async def test_what_was_heard_before_the_call_says_nothing() -> None:
    before = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await within(PATIENCE_S, slowly(3600), heard=lambda: before)


async def test_an_answer_that_never_comes_is_given_up_though_others_get_theirs() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        await within(PATIENCE_S, slowly(3600), heard=loop.time)
    assert loop.time() - began >= PATIENCE_S * HOT_PATIENCE


async def test_the_call_that_was_given_up_does_not_go_on() -> None:
    ended = asyncio.Event()

    async def call() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await within(PATIENCE_S, call())
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_call_that_fails_after_nobody_waits_any_more_makes_no_noise() -> None:
    noises: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: noises.append(context))

    async def fails_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ConnectionError("closed under us") from None

    with pytest.raises(TimeoutError):
        await within(0.01, fails_when_cancelled())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert noises == []
