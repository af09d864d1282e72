"""The venue's time in a gate: what requests are stamped with, and what bots' time stamps are judged by.

The warden measures and publishes; a gate only reads, off the order path, and keeps the time running by a clock that
never steps. Until the first reading the host's clock stands in; while the store is away the last reading goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from proxy.store.gate_store import GateStore, StoreUnavailable

READ_EVERY_S: Final = 5.0
FIRST_EVERY_S: Final = 0.25


class GateClock:
    """The clock of one venue."""

    def __init__(
        self,
        store: GateStore,
        venue: str,
        now: Callable[[], datetime],
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._venue = venue
        self._now = now
        self._steady_s = steady_s
        self._anchor: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The venue's time."""
        if self._anchor is None:
            return self._now()
        then, at = self._anchor
        return then + timedelta(seconds=self._steady_s() - at)

    async def follow(self) -> None:
        """Read what the warden publishes, for ever."""
        while True:
            await self.read()
            await asyncio.sleep(FIRST_EVERY_S if self._anchor is None else READ_EVERY_S)

    async def read(self) -> None:
        """Read once. A store that is away, or has nothing yet, changes nothing."""
        began = self._steady_s()
        try:
            venue_time = await self._store.venue_time(self._venue)
        except StoreUnavailable:
            return
        if venue_time is not None:
            self._anchor = (venue_time, (began + self._steady_s()) / 2)
