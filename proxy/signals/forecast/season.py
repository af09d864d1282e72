"""The hour of the week: how much louder or quieter it usually is than the week around it, learned as it goes.

Volatility of perpetuals follows the clock of the world's desks: New York's morning is twice as wild as the weekend's
dawn. Taking the clock out before the past is averaged and putting it back for the hours ahead is worth more than any
other refinement of the forecast. Two layers, both running means of what a log value exceeded its own slow average by:
the hour of the day, of weekdays and of weekends apart (learned within months), and on top of it the hour of the
week (within years, shrunk to zero).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOURS_A_WEEK: Final = 168
MONDAY: Final = 96
"""1 January 1970 was a Thursday: hour 96 of the epoch is the first of a Monday."""

SLOW_HALF_LIFE_H: Final = 84.0
DAYS_MAX: Final = np.array([240.0, 144.0])
"""Days that a layer-one mean remembers at most: weekdays, weekend days."""
DAYS_PRIOR: Final = 20.0
WEEKS_MAX: Final = 52.0
WEEKS_PRIOR: Final = 20.0
SHRINK: Final = 0.3
HOURS_BEFORE: Final = 24
"""Before a day has been averaged there is nothing to exceed."""


class HourOfWeek:
    """The usual excess of every hour of the week over the slow average of a log value."""

    def __init__(self, usual: Floats) -> None:
        """``usual``: the pooled excess, two rows (weekday, weekend) of 24 hours."""
        self._daily = usual.copy()
        self._weekly = np.zeros(HOURS_A_WEEK)
        self._days = np.full((2, 24), DAYS_PRIOR)
        self._weeks = np.full(HOURS_A_WEEK, WEEKS_PRIOR)
        self._average = 0.0
        self._seen = 0
        self._factors = np.exp(self._table())

    def excess(self, hour: int) -> float:
        """What the log value of this hour is usually above its slow average; ``hour`` counts from 1970."""
        of_week = (hour - MONDAY) % HOURS_A_WEEK
        weekend, of_day = _where(of_week)
        return float(self._daily[weekend, of_day] + self._weekly[of_week])

    def learn(self, hour: int, value: float) -> None:
        """The log value that this hour came to."""
        of_week = (hour - MONDAY) % HOURS_A_WEEK
        weekend, of_day = _where(of_week)
        miss = value - self._average - self.excess(hour)
        self._average += max(_SLOW, 1 / (self._seen + 1)) * miss
        self._seen = min(self._seen + 1, _SEEN_MAX)
        if self._seen <= HOURS_BEFORE:
            return
        days = self._days[weekend, of_day] = min(self._days[weekend, of_day] + 1, DAYS_MAX[weekend])
        weeks = self._weeks[of_week] = min(self._weeks[of_week] + 1, WEEKS_MAX)
        self._daily[weekend, of_day] += miss / days
        self._weekly[of_week] += (miss - SHRINK * self._weekly[of_week]) / weeks
        self._factors[of_week] = np.exp(self._daily[weekend, of_day] + self._weekly[of_week])
        if of_week % 24 == 23:
            self._factors = np.exp(self._table())

    def log_factors_ahead(self, hour: int, horizons: NDArray[np.intp]) -> Floats:
        """Log of the mean factor of the hours after ``hour``, for each of ``horizons`` (in hours, at most a week)."""
        first = (hour + 1 - MONDAY) % HOURS_A_WEEK
        ahead = np.concatenate([self._factors[first:], self._factors[:first]])
        return np.asarray(np.log(np.cumsum(ahead)[horizons - 1] / horizons))

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart."""
        return {
            "daily": self._daily.tolist(), "weekly": self._weekly.tolist(), "days": self._days.tolist(),
            "weeks": self._weeks.tolist(), "factors": self._factors.tolist(), "average": self._average,
            "seen": self._seen,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._daily, self._days = _shaped(state["daily"], (2, 24)), _shaped(state["days"], (2, 24))
        self._weekly, self._weeks, self._factors = (
            _shaped(state[name], (HOURS_A_WEEK,)) for name in ("weekly", "weeks", "factors")
        )
        self._average, self._seen = float(state["average"]), int(state["seen"])

    def _table(self) -> Floats:
        weekdays, weekends = np.tile(self._daily[0], 5), np.tile(self._daily[1], 2)
        return np.concatenate([weekdays, weekends]) + self._weekly


_SLOW: Final = 1 - 0.5 ** (1 / SLOW_HALF_LIFE_H)
_SEEN_MAX: Final = 1000
"""The slow average needs the count of its beginning only."""


def _where(of_week: int) -> tuple[int, int]:
    return int(of_week >= 120), of_week % 24


def _shaped(values: Any, shape: tuple[int, ...]) -> Floats:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"a state of another shape: {array.shape} instead of {shape}")
    return array
