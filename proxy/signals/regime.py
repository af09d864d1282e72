"""Whether the market is in its high-volatility regime, and how likely it is to be within the next day. One symbol.

The regime is the symbol's own: a day is wild when its variance is above the 80 % quantile of the last 180 days' (the
variance of the 24 hours before every hour). The probability is the barrier forecaster's; whether the regime is called
high follows it with a dead band, so that it does not flicker around one half.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Any, Final

from proxy.signals.barrier import BarrierForecaster

DAY_H: Final = 24
QUANTILE: Final = 0.8
MEMORY_H: Final = 180 * 24
NEEDED_H: Final = 25 * 24
"""Before 25 days there is no usual to be above."""

ENTERED_ABOVE: Final = 0.6
LEFT_BELOW: Final = 0.4


class VolatilityRegime:
    """Follows a forecaster: call ``observe`` after each of its updates."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._hour = 0
        self.probability: float | None = None
        """P(the next day is wilder than ``threshold``) as of the last hour; ``None`` before 25 days."""
        self.high = False
        """Called high: entered above 0.6, left below 0.4."""

    @property
    def threshold(self) -> float | None:
        """The log variance of a day above which it counts as wild; ``None`` before 25 days."""
        if len(self._sorted) < NEEDED_H:
            return None
        place = QUANTILE * (len(self._sorted) - 1)
        below = int(place)
        above = min(below + 1, len(self._sorted) - 1)
        return self._sorted[below] + (place - below) * (self._sorted[above] - self._sorted[below])

    def observe(self, forecaster: BarrierForecaster) -> None:
        """Take in what the forecaster has seen; it does nothing between two hours of the forecaster."""
        if forecaster.hour == self._hour:
            return
        self._hour = forecaster.hour
        log_variance = forecaster.log_variance(DAY_H)
        if log_variance is not None:
            self._learn(log_variance)
        threshold = self.threshold
        if threshold is None:
            return
        self.probability = forecaster.prob_rv_above(DAY_H, threshold)
        self.high = self.probability > (LEFT_BELOW if self.high else ENTERED_ABOVE)

    def state(self) -> dict[str, Any]:
        """All it has learned, of bounded size and ready for JSON."""
        return {"recent": list(self._recent), "hour": self._hour, "probability": self.probability, "high": self.high}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> VolatilityRegime:
        """Goes on as if there had been no restart. Raises ``ValueError`` for what is no such state."""
        restored = cls()
        try:
            restored._recent.extend(float(each) for each in state["recent"][-MEMORY_H:])
            restored._hour, restored.high = int(state["hour"]), bool(state["high"])
            probability = state["probability"]
            restored.probability = None if probability is None else float(probability)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the state of a regime: {error}") from error
        restored._sorted = sorted(restored._recent)
        return restored

    def _learn(self, log_variance: float) -> None:
        self._recent.append(log_variance)
        insort(self._sorted, log_variance)
        if len(self._recent) > MEMORY_H:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
