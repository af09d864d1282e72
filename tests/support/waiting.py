"""Waits in a test's own loop for what something else there does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Until ``condition`` holds, looked at each millisecond. Raises ``TimeoutError`` when it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.001)
