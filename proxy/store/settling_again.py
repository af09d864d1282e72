"""Tells the store again what became of holds, where it did not hear it: what the venue answered is not lost with it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from proxy.store.client import STORE_TROUBLE, Script, run_script, within

UNTOLD_MAX: Final = 256
"""Settlements a gate keeps to be told again; beyond it the warden finds the holds, later."""

UNTOLD_KEPT_S: Final = 60.0
"""A failover takes seconds to half a minute. Later than this the warden has said itself that nobody knows."""

TELL_TIMEOUT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Untold:
    """The keys and arguments of one settlement, and until when, by the steady clock, it is told again."""

    keys: Sequence[str]
    arguments: Sequence[Any]
    until_s: float


class SettlingAgain:
    """The settlements of one gate that the store has not heard, told in the background, one after the other.

    Settling twice is safe: of a hold that is gone nothing is left to be said, and nothing is sent to the venue.
    """

    def __init__(self, client: Redis, script: Script, taken: Callable[[], bool]) -> None:
        """While the desk is ``taken`` by another guard nothing is told there."""
        self._redis = client
        self._script = script
        self._taken = taken
        self._untold: deque[_Untold] = deque()
        self._telling: asyncio.Task[None] | None = None

    def soon(self, keys: Sequence[str], arguments: Sequence[Any]) -> None:
        """Tell a settlement again, without its audit records: these are in the journal."""
        if len(self._untold) >= UNTOLD_MAX:
            return
        self._untold.append(_Untold(keys, arguments, time.monotonic() + UNTOLD_KEPT_S))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def done(self) -> None:
        """Wait until everything is told, or was kept for as long as it is."""
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    async def aclose(self) -> None:
        """Stop. Holds that were not settled are left to the warden, which asks about old ones."""
        if self._telling is not None:
            self._telling.cancel()
        await self.done()

    async def _tell_all(self) -> None:
        while self._untold:
            untold = self._untold[0]
            told = await self._tell(untold)
            self._untold.popleft()
            if not told and time.monotonic() < untold.until_s:
                self._untold.append(untold)  # Behind the others: what the store refuses must not keep these.
                await asyncio.sleep(TELL_TIMEOUT_S)

    async def _tell(self, untold: _Untold) -> bool:
        if self._taken():
            return False
        try:
            await within(TELL_TIMEOUT_S, run_script(self._redis, self._script, untold.keys, untold.arguments))
        except STORE_TROUBLE:
            return False
        return True
