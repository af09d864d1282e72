"""How often something that costs of the venue's budget may be done."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """A token bucket in monotonic time."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic or time.monotonic
        self._capacity = per_minute
        self._tokens = float(per_minute)
        self._at = self._monotonic()

    def available(self, tokens: int = 1) -> bool:
        """Whether so many tokens are there."""
        now = self._monotonic()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._capacity / 60)
        self._at = now
        return self._tokens >= tokens

    def take(self, tokens: int = 1) -> bool:
        """Take so many tokens if they are there."""
        if not self.available(tokens):
            return False
        self._tokens -= tokens
        return True
