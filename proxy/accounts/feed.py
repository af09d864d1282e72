"""Keeps an account's private stream open, and its frames in a bounded queue until the keeper takes them.

It knows connections, not accounts: that a new connection began, that one ended and why. Whatever happens between two
connections is a gap, and only the keeper's survey can close it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from proxy.exchange.troubles import VenueThrottled, VenueTrouble

log = logging.getLogger("perpguard.accounts")

QUEUE_MAX: Final = 10_000
"""Frames that may wait for the store; more is a gap, and a survey is cheaper than catching up."""

BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 15.0


class Stream(Protocol):
    """One connection at a time, as ``PrivateStream`` makes it."""

    async def connect(self) -> None:
        """Connect; frames come from now on. Raises ``VenueTrouble``."""

    async def ended(self) -> str:
        """Wait until the connection is over; why. Raises ``VenueTrouble``."""

    async def disconnect(self) -> None:
        """End the connection."""

    @property
    def silent_s(self) -> float:
        """Seconds since the venue's last sign of life."""


class Feed:
    """One account's feed. ``opened`` is told of every new connection, ``broke`` at once of every end of one and of lost
    frames, ``woke`` of every frame. None of them may raise. ``stream`` must be set before ``run``."""

    def __init__(
        self, name: str, *, opened: Callable[[], None], broke: Callable[[str], None], woke: Callable[[], None]
    ) -> None:
        self.name = name
        self.connected = False
        self.stream: Stream
        self._opened = opened
        self._broke = broke
        self._woke = woke
        self._frames: deque[object] = deque()
        self._restart = asyncio.Event()

    @property
    def silent_s(self) -> float | None:
        """Seconds since the venue's last sign of life, ``None`` while there is no connection."""
        return self.stream.silent_s if self.connected else None

    def received(self, frame: object) -> None:
        """A frame came in."""
        if len(self._frames) >= QUEUE_MAX:
            self._frames.clear()
            self._broke(f"more than {QUEUE_MAX} events waited")
        else:
            self._frames.append(frame)
        self._woke()

    def take(self) -> list[Any]:
        """Every frame that waits, oldest first."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def reconnect(self) -> None:
        """Nothing more will come on this connection; make another."""
        self._restart.set()

    async def run(self) -> None:
        """Connect for ever, ever more slowly while it fails."""
        pause = BACKOFF_FIRST_S
        while True:
            reason: str | VenueTrouble
            try:
                await self.stream.connect()
                self._restart.clear()
                self.connected = True
                pause = BACKOFF_FIRST_S
                log.info("the stream of %s is open", self.name)
                self._opened()
                reason = await self._over()
            except VenueThrottled as trouble:
                reason, pause = trouble, max(pause, trouble.retry_after)
            except VenueTrouble as trouble:
                reason = trouble
            finally:
                self.connected = False
            self._broke(str(reason))
            # The trouble itself, not its text: it says how often its line is written (``log_repeats``).
            log.warning("the stream of %s is down: %s", self.name, reason)
            await self.stream.disconnect()
            # Jitter: after an outage of the venue not everybody should knock at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF_MAX_S)

    async def _over(self) -> str:
        """Wait for the end of the connection, by itself or because it was asked for."""
        ended = asyncio.ensure_future(self.stream.ended())
        asked = asyncio.ensure_future(self._restart.wait())
        try:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else "its listen key ran out"
        finally:
            ended.cancel()
            asked.cancel()
            await asyncio.gather(ended, asked, return_exceptions=True)
