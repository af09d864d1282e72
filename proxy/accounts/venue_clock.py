"""How far the venue's clock is from ours: measured, published for the gates, and said when it is too far.

The venue judges every signed request by its own clock. Host clocks drift and step, so the offset is kept against a
clock that never steps, and published against the store's, which gates on any host can read. That one may step as well,
or be another after a failover: then it is published anew, and gates doubt it until it is. Entries are not stopped by
any offset: the guard's requests are stamped with the venue's time, and bots are judged by it, so a wrong host clock
endangers no order. It does blur the audit's times and the ages of data between hosts; so it is said, loudly.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from proxy.clock import steady_s
from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE

log = logging.getLogger("perpguard.accounts")

EVERY_S: Final = 30.0
AGAIN_S: Final = 2.0
"""As soon again at the earliest, whatever is refused: each question costs of the budget that the kill needs."""

SAMPLES: Final = 8
"""The quickest answer of the last eight is believed: four minutes in which a quartz clock drifts by milliseconds."""

OFF_MS: Final = 1_000
"""Binance refuses what is stamped a second or more ahead of it."""

FAR_OFF_MS: Final = 5_000
"""Binance's usual recvWindow: with this much, a client that asks nobody is refused altogether."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of the venue: how long it took, and the venue's time less the steady clock's, in milliseconds."""

    round_trip_ms: float
    offset_ms: float


class ClockStore(Protocol):
    """The part of the store that the clock needs."""

    async def now_us(self) -> int:
        """The store's own time in microseconds."""
        ...

    async def publish_clock(self, venue: str, offset_us: int) -> None:
        """Tell the gates the venue's time less the store's."""
        ...


class VenueClock:
    """Follows the clock of one venue. ``offset_ms`` is the venue's time less this host's, ``None`` when not known yet.

    ``adjust`` tells the guard's own hands, in the same sense.
    """

    def __init__(
        self,
        *,
        venue: str,
        ask: Callable[[], Awaitable[datetime]],
        store: ClockStore,
        adjust: Callable[[int], None],
        record: Record,
        wall_s: Callable[[], float] = time.time,
        steady_s: Callable[[], float] = steady_s,
    ) -> None:
        self._venue = venue
        self._ask = ask
        self._store = store
        self._adjust = adjust
        self._record = record
        self._wall_s = wall_s
        self._steady_s = steady_s
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._measured_s = -AGAIN_S
        self._soon = asyncio.Event()
        self._level = 0

    @property
    def offset_ms(self) -> int | None:
        """The venue's time less this host's wall clock as it is now, steps and all."""
        if not self._samples:
            return None
        return round(self._best.offset_ms + (self._steady_s() - self._wall_s()) * 1000)

    def soon(self) -> None:
        """The venue refused a time stamp: measure as soon as may be."""
        self._soon.set()

    async def run(self) -> None:
        """Measure for ever. Trouble with the venue or the store is waited out with the last offset."""
        while True:
            pause = EVERY_S
            try:
                await self.measure()
            except VenueThrottled as trouble:
                log.warning("the clock of %s: %s", self._venue, trouble)
                pause = max(pause, trouble.retry_after)
            except (VenueTrouble, *STORE_TROUBLE) as trouble:
                log.warning("the clock of %s cannot be followed: %s", self._venue, trouble)
                pause = AGAIN_S
            await self._wait(pause)

    async def measure(self) -> None:
        """Ask once, publish, tell the hands, and say what is worth saying.

        Raises ``VenueTrouble`` or what the store client raises.
        """
        began = self._measured_s = self._steady_s()
        theirs = await self._ask()
        ended = self._steady_s()
        # The answer was given somewhere between; half way errs by half the round trip at most.
        middle = (began + ended) / 2
        sample = Sample((ended - began) * 1000, (theirs.timestamp() - middle) * 1000)
        # What is further from it than its own error was true once, if ever: the venue's clock was set.
        agreeing = [each for each in self._samples if abs(each.offset_ms - sample.offset_ms) <= sample.round_trip_ms]
        self._samples = deque((*agreeing, sample), maxlen=SAMPLES)
        offset_ms = self.offset_ms
        assert offset_ms is not None  # noqa: S101 - there is a sample now
        self._adjust(offset_ms)
        await self._say(offset_ms)
        await self.publish_again()

    async def publish_again(self) -> None:
        """Publish what is known against the store's clock as it is now; nothing before the first measurement.

        Raises what the store client raises.
        """
        if not self._samples:
            return
        began = self._steady_s()
        store_us = await self._store.now_us()
        middle_ms = (began + self._steady_s()) * 500
        await self._store.publish_clock(self._venue, round((self._best.offset_ms + middle_ms) * 1000) - store_us)

    async def _say(self, offset_ms: int) -> None:
        level = 0 if abs(offset_ms) <= OFF_MS else 1 if abs(offset_ms) <= FAR_OFF_MS else 2
        if level == self._level:
            return
        self._level = level
        if level == 2:
            log.error("the clock of %s is %+d ms from this host's", self._venue, offset_ms)
        elif level == 1:
            log.warning("the clock of %s is %+d ms from this host's", self._venue, offset_ms)
        await self._record("clock", "warden", {"venue": self._venue, "offset_ms": offset_ms, "ok": level == 0})

    @property
    def _best(self) -> Sample:
        return min(self._samples, key=lambda sample: sample.round_trip_ms)

    async def _wait(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._soon.wait()
        await asyncio.sleep(self._measured_s + AGAIN_S - self._steady_s())
        self._soon.clear()
