"""When what is read of a peer can have come: at once, or any time since reading it was paused."""

from __future__ import annotations

import asyncio
from typing import Final

ALL_OF_IT_BYTES: Final = 16_384
"""Fewer bytes at once were all that lay there: the loop asks the kernel for 256,000, and so many hold more than this
in the smallest records of TLS too."""

_TURNS: Final = 4
"""Turns of the loop until what lay unread has been handed over: one to ask for it, one to get it, TLS twice."""


class Arrival:
    """The arrival of one peer's bytes, on the event loop's clock. Of a peer that waits it is never told too late."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._unread_since: float | None = None
        self._looking: asyncio.Handle | None = None
        self._earliest = loop.time()

    @property
    def earliest(self) -> float:
        """The earliest moment at which the bytes that were read last can have come."""
        return self._earliest

    def paused(self) -> None:
        """From now on what comes lies unread."""
        self._stop_looking()
        if self._unread_since is None:
            self._unread_since = self._loop.time()

    def resumed(self) -> None:
        """What lay unread is handed over within some turns of the loop, or there was nothing."""
        self._stop_looking()
        self._look(_TURNS)

    def read(self, size: int) -> None:
        """So many bytes were handed over."""
        now = self._loop.time()
        if self._unread_since is None:
            self._earliest = now
            return
        self._earliest = self._unread_since
        if size < ALL_OF_IT_BYTES:
            self._unread_since = now
        if self._looking is not None:
            self.resumed()

    def _look(self, turns: int) -> None:
        if turns == 0:
            self._looking = None
            self._unread_since = None
        else:
            self._looking = self._loop.call_soon(self._look, turns - 1)

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
