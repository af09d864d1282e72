"""How many frames a peer may send: a token bucket on the event loop's clock."""

from __future__ import annotations


class Rate:
    """``per_s`` frames a second, and as many at once after a pause."""

    __slots__ = ("_left", "_per_s", "_since")

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = self._left = per_s
        self._since = now

    def take(self, now: float) -> bool:
        """Count one frame at ``now`` (seconds, monotonic); whether it is within the rate."""
        self._left = min(self._per_s, self._left + (now - self._since) * self._per_s)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
