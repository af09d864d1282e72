"""How many frames a peer may send: a token bucket on the event loop's clock."""

from __future__ import annotations


class Rate:
    """``per_s`` frames a second, and as many at once after a pause."""

    __slots__ = ("_left", "_per_s", "_since")

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = self._left = per_s
        self._since = now

    def take(self, now: float) -> bool:
        """Count one frame at ``now`` (seconds, monotonic), unless it is too many; whether it is within the rate."""
        self._fill(now)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def owe(self, now: float) -> None:
        """Count one frame at ``now``, too many or not: what is too much is taken from the time to come."""
        self._fill(now)
        self._left -= 1

    def wait_s(self, now: float) -> float:
        """Seconds from ``now`` until one more frame is within the rate."""
        self._fill(now)
        return max(0.0, (1 - self._left) / self._per_s)

    def _fill(self, now: float) -> None:
        self._left = min(self._per_s, self._left + (now - self._since) * self._per_s)
        self._since = now
