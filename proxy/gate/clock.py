"""The venue's time in a gate: what requests are stamped with, and what bots' time stamps are judged by.

The warden measures and publishes the venue's time less the store's; a gate only reads, off the order path, and keeps
the time running by a steady clock of its own. The store's clock may step, and a failover leads to another one: a
reading that jumps while the published offset is the one of before is not believed until the warden has measured again.
Until the first reading the host's clock stands in; while the store is away the last reading goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from proxy.clock import steady_s
from proxy.store.gate_store import GateStore
from proxy.store.side_questions import VenueTime
from proxy.store.trouble import StoreUnavailable

READ_EVERY_S: Final = 5.0
SOON_S: Final = 0.25
"""While nothing is known yet, or the store's clock is doubted."""

JUMP: Final = timedelta(seconds=0.5)
"""No drift between two readings, nor a slow answer, comes to so much: a clock was set, or it is another one."""

DOUBTED_MAX_S: Final = 180.0
"""How long the store's clock is doubted. The warden measures every half minute, and tells a store that is another than
before at once: an offset that stays so long has no warden behind it, and nothing says any more which clock is wrong. It
may be this host's: one whose virtual machine was paused, or that was suspended and is no Linux (``steady_s``), lost
that time, and only the store brings it back."""


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The venue's time at ``steady_s`` of the steady clock, and the published offset it came of."""

    at: datetime
    steady_s: float
    offset_us: int


class GateClock:
    """The clock of one venue."""

    def __init__(
        self,
        store: GateStore,
        venue: str,
        now: Callable[[], datetime],
        steady_s: Callable[[], float] = steady_s,
    ) -> None:
        self._store = store
        self._venue = venue
        self._now = now
        self._steady_s = steady_s
        self._anchor: _Anchor | None = None
        self._doubted_s: float | None = None  # Since when the store's clock is.

    def now(self) -> datetime:
        """The venue's time."""
        if self._anchor is None:
            return self._now()
        return self._run_on(self._anchor, self._steady_s())

    async def follow(self) -> None:
        """Read what the warden publishes, for ever."""
        while True:
            await self.read()
            await asyncio.sleep(SOON_S if self._anchor is None or self._doubted_s is not None else READ_EVERY_S)

    async def read(self) -> None:
        """Read once. A store that is away, or has nothing yet, changes nothing."""
        began = self._steady_s()
        try:
            told = await self._store.venue_time(self._venue)
        except StoreUnavailable:
            return
        if told is None:
            return
        middle_s = (began + self._steady_s()) / 2
        if self._jumped(told, middle_s):
            if self._doubted_s is None:
                self._doubted_s = middle_s
            if middle_s - self._doubted_s < DOUBTED_MAX_S:
                return  # What is known runs on.
        self._doubted_s = None
        self._anchor = _Anchor(told.at, middle_s, told.offset_us)

    def _jumped(self, told: VenueTime, steady_s: float) -> bool:
        """Whether the store's clock seems to have moved, and not the venue's."""
        known = self._anchor
        if known is None or told.offset_us != known.offset_us:
            return False
        return abs(told.at - self._run_on(known, steady_s)) > JUMP

    @staticmethod
    def _run_on(anchor: _Anchor, steady_s: float) -> datetime:
        return anchor.at + timedelta(seconds=steady_s - anchor.steady_s)
