"""HTTP 418: addresses that are not heard any more, because they ignored 429s or because the fault console says so.

Rule: Binance "General Info", section on IP limits: whoever goes on after receiving 429s is banned for two minutes to
three days, longer each time. How many 429s that takes is not documented; the number here is a guess.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus

from sandbox.binance.errors import VenueError

REFUSALS_TOLERATED = 10
BAN_FIRST_S = 2 * 60
BAN_LONGEST_S = 3 * 24 * 3600
_WINDOW_MS = 60_000
# Callers are loopback addresses; the bound is only a promise.
_CALLERS_MAX = 1_000


class RateLimited(VenueError):
    """Too many requests or orders; `retry_after` is in seconds."""

    def __init__(
        self, code: int, message: str, retry_after: int, status: HTTPStatus = HTTPStatus.TOO_MANY_REQUESTS
    ) -> None:
        super().__init__(code, message, status)
        self.retry_after = retry_after


@dataclass(slots=True)
class _Caller:
    """One address: the times of its latest 429s, how often it has been banned, and until when it is."""

    refusals_ms: deque[int] = field(default_factory=lambda: deque(maxlen=REFUSALS_TOLERATED + 1))
    bans: int = 0
    banned_until_ms: int = 0


class Bans:
    """Who is banned. All times are wall-clock milliseconds."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}
        self._everyone_until_ms = 0

    def banned_until_ms(self, caller: str) -> int:
        """When the caller's latest ban ends or ended, zero without one."""
        known = self._callers.get(caller)
        return max(self._everyone_until_ms, known.banned_until_ms if known else 0)

    def check(self, caller: str, now_ms: int) -> None:
        """Raise a 418 `RateLimited` while the caller is banned."""
        until_ms = self.banned_until_ms(caller)
        if now_ms >= until_ms:
            return
        raise RateLimited(
            -1003,
            f"Way too many requests; IP({caller}) banned until {until_ms}. "
            "Please use the websocket for live updates to avoid bans.",
            (until_ms - now_ms + 999) // 1000,
            HTTPStatus.IM_A_TEAPOT,
        )

    def count_refusal(self, caller: str, now_ms: int) -> None:
        """Note that the caller is being answered 429; too many within a minute start a ban."""
        known = self._known(caller)
        known.refusals_ms.append(now_ms)
        if len(known.refusals_ms) > REFUSALS_TOLERATED and known.refusals_ms[0] > now_ms - _WINDOW_MS:
            ban_s = min(BAN_FIRST_S << min(known.bans, 32), BAN_LONGEST_S)
            known.bans += 1
            known.banned_until_ms = now_ms + ban_s * 1000
            known.refusals_ms.clear()

    def ban(self, caller: str | None, until_ms: int) -> None:
        """Ban a caller, or all when none is named, until a moment."""
        if caller is None:
            self._everyone_until_ms = until_ms
        else:
            self._known(caller).banned_until_ms = until_ms

    def _known(self, caller: str) -> _Caller:
        if caller not in self._callers and len(self._callers) >= _CALLERS_MAX:
            self._callers.clear()
        return self._callers.setdefault(caller, _Caller())

    def left_s(self, now_ms: int) -> int:
        """Seconds that the ban on everyone still lasts, zero without one."""
        return max(0, (self._everyone_until_ms - now_ms + 999) // 1000)

    def lift(self) -> None:
        """Forget all bans and refusals."""
        self._callers.clear()
        self._everyone_until_ms = 0
