"""One timer a connection, put forward only when it rings: a lively bot's requests set none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring`` when what was expected has not happened in time."""

    __slots__ = ("_due", "_loop", "_ring", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def expect_within(self, seconds: float) -> None:
        """Something must happen within so many seconds, instead of what was expected before."""
        self._due = due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._set(due)

    def expect_nothing(self) -> None:
        """What was expected has happened."""
        self._due = None

    @property
    def is_late(self) -> bool:
        """Whether it has rung, and nothing has happened or was expected since. Not by the clock: loops ring early."""
        return self._due is not None and self._timer is None

    def cancel(self) -> None:
        """Never ring again, and let go of whoever would have heard it."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, due: float) -> None:
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._timer_at:
            self._set(self._due)
        else:
            self._ring()
