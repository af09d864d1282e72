"""One process's connections to one desk of the store, where nothing is in a hurry, and whose that desk is.

Each part of what the warden has there is a class of its own on top of this; ``WardenStore`` is all of them over the
same connections.
"""

from __future__ import annotations

import redis.asyncio

from proxy.store.client import CALM_TIMEOUT_S, connect
from proxy.store.keys import Keys
from proxy.store.ownership import Ownership


class DeskStore:
    """``guard`` is the id of the guard that this process is of, empty for who is of none."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        self._desk = desk
        self._redis: redis.asyncio.Redis = connect(url, timeout_s=CALM_TIMEOUT_S)
        self._keys = Keys(desk)
        self._ownership = Ownership(self._redis, self._keys, guard)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
