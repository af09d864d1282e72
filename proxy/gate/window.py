"""The time in which a request may leave: a bot's own window, asked once more where nothing waits any more.

An order waits: for its bot's turn, for a second look, for a connection. The window it came with goes on meanwhile, and
what adds risk is not sent after its end. What is left of it is what it is signed with, so the venue keeps to it on the
way as well. Exits and cancels are asked nothing: they are as welcome late.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from proxy.clock import milliseconds
from proxy.gate.upstream import NotSent, Turnstile
from proxy.venues.binance.signing import RECV_WINDOW_DEFAULT_MS

_LEAST_MS: Final = 1
"""The least the venue takes. More would be more than the bot gave."""


class WindowClosed(NotSent):
    """The time for which the bot meant the request was over before it could leave."""


class SendWindow:
    """From the moment a request is signed until its bot's window ends, or as usual where it has none.

    ``opens_ms`` and ``recv_window_ms`` are what it is signed with, by the venue's clock, which judges them too: a short
    one may be over on the way, and says nothing against the clock then.
    """

    __slots__ = ("_now", "_valid_until_ms", "opens_ms", "recv_window_ms")

    def __init__(self, valid_until_ms: int | None, now: Callable[[], datetime]) -> None:
        """``now`` is the venue's time. Raises ``WindowClosed`` when the window is over already."""
        self._now = now
        self._valid_until_ms = valid_until_ms
        self.opens_ms = milliseconds(now())
        self.recv_window_ms = RECV_WINDOW_DEFAULT_MS
        if valid_until_ms is not None:
            self._expect_open(self.opens_ms)
            self.recv_window_ms = max(_LEAST_MS, min(RECV_WINDOW_DEFAULT_MS, valid_until_ms - self.opens_ms))

    def within(self, fence: Turnstile | None) -> Turnstile | None:
        """``fence``, through which nothing passes after the window. No fence stays none."""
        if fence is None or self._valid_until_ms is None:
            return fence

        def enter() -> Callable[[], None]:
            self._expect_open(milliseconds(self._now()))
            return fence()

        return enter

    def _expect_open(self, now_ms: int) -> None:
        if self._valid_until_ms is not None and now_ms > self._valid_until_ms:
            raise WindowClosed("the bot's recvWindow was over")
