"""Waiting for the store, and no longer."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from proxy.store.client import within


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
