"""Undoes holds that may have been made, or may yet be: those of calls to which no answer came."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis

from proxy.store.client import STORE_TROUBLE, Script, run_script, within
from proxy.store.keys import Keys

VOIDING_MAX: Final = 64
"""Holds a gate undoes at once; beyond it the warden finds them, later."""

VOID_ATTEMPTS: Final = 20
VOID_TIMEOUT_S: Final = 0.5
VOID_KEPT_MS: Final = 600_000
"""Far longer than a request can lie unread in a store that stands still, and be read when it goes on."""


class Voiding:
    """The holds one gate is undoing, in the background."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._redis = client
        self._keys = keys
        self._script = Script.named("void")
        self._under_way: set[asyncio.Task[None]] = set()

    def soon(self, account: str, hold_id: str) -> None:
        """Undo a hold: safe to repeat, and in whatever order it arrives."""
        if len(self._under_way) < VOIDING_MAX:
            task = asyncio.create_task(self._void(account, hold_id))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def done(self) -> None:
        """Wait until every hold that was given up is undone, or its attempts are spent."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def aclose(self) -> None:
        """Stop. Holds still to be undone are left to the warden, which asks about old ones."""
        for task in self._under_way:
            task.cancel()
        await self.done()

    async def _void(self, account: str, hold_id: str) -> None:
        keys, arguments = [self._keys.holds(account), self._keys.void(hold_id)], [hold_id, VOID_KEPT_MS]
        for _ in range(VOID_ATTEMPTS):
            try:
                await within(VOID_TIMEOUT_S, run_script(self._redis, self._script, keys, arguments))
                return
            except STORE_TROUBLE:
                await asyncio.sleep(VOID_TIMEOUT_S)
