"""How long the store has been silent, in our own attention: ``proxy.store.client.within`` for many calls at once.

A busy process is no outage of the store, so only time in which the loop turned counts, in slices; and a store that
answers anybody is not silent. One timer serves all calls, and runs only while there are some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from proxy.store.client import HOT_PATIENCE

SLICE_S: Final = 0.005

Since = tuple[float, float]
"""When a call began: in attention, and by the loop's clock. Seconds, both."""


class Attention:
    """Counts while calls are in flight."""

    def __init__(self, silence_s: float, look: Callable[[], bool]) -> None:
        """``look`` is called after every slice: it ends calls that are ``spent``, and says whether others are left."""
        self._silence_s = silence_s
        self._look = look
        self._attended = 0.0
        self._last = 0.0
        self._heard = float("-inf")
        self.heard_at = float("-inf")
        """The loop's time of the store's last answer to anybody."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Since:
        """The moment at which a call begins; from here on slices are counted."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._timer is None:
            self._last = now
            self._timer = loop.call_later(SLICE_S, self._tick, loop)
        return self._attended + min(now - self._last, SLICE_S), now

    def heard(self) -> None:
        """The store answered: its silence begins anew for every call."""
        self.heard_at = asyncio.get_running_loop().time()
        self._heard = self._attended + (min(self.heard_at - self._last, SLICE_S) if self._timer is not None else 0.0)

    def spent(self, since: Since) -> bool:
        """Whether the store was silent for too long for a call that began then, or the call is too old in any case.

        Its age is that of the slice's beginning: since then the loop has read every socket once more, so after a stop
        of our own that is longer than any patience, what was answered meanwhile is still heard.
        """
        attended, at = since
        silent_s = self._attended - max(attended, self._heard)
        return silent_s >= self._silence_s or self._last - at >= self._silence_s * HOT_PATIENCE

    def stop(self) -> None:
        """Count no further."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        self._attended += min(now - self._last, SLICE_S)
        left = self._look()
        self._last = now
        if left:
            self._timer = loop.call_later(SLICE_S, self._tick, loop)
