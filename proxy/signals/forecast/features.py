"""What the past says about the volatility ahead: twelve numbers, each from averages that a new hour only nudges.

An hour's variance is Garman and Klass's (1980) from its range and its ends, plus the square of the jump from the last
close. The regressors are those of a heterogeneous autoregression (Corsi 2009) in logarithms, with exponential averages
in place of windows (Bollerslev et al. 2018, "Risk Everywhere"), and three additions: range alone, which sees what the
ends hide; volume above its own average; and two hinges, since a market louder than its own weeks settles at another
pace than a quieter one wakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proxy.signals.forecast.hours import Hour
from proxy.signals.forecast.pooled import POOLED
from proxy.signals.forecast.prior import Prior
from proxy.signals.forecast.season import HourOfWeek

Floats = NDArray[np.float64]

VARIANCE_FLOOR: Final = 1e-8
"""Added to every variance: one basis point squared, so that a flat hour has a logarithm."""

COUNT: Final = 12

_VARIANCE, _RANGE, _VOLUME = slice(0, 5), slice(5, 7), slice(7, 10)
_MEMORY_H: Final = np.array([0.5, 3.0, 12.0, 60.0, 300.0, 0.0, 3.0, 0.5, 12.0, 300.0])
"""Centres of mass, in hours, of the averages of log variance (five), log squared range (two), log volume (three)."""
_STEP: Final = 1 / (1 + _MEMORY_H)


@dataclass(frozen=True, slots=True)
class Measured:
    """An hour in the terms of the forecast."""

    variance: float
    range_squared: float
    volume: float


def measured(hour: Hour, last_close: float | None) -> Measured:
    """Garman-Klass variance of the hour's log return, its squared log range, its volume."""
    spread = math.log(hour.high / hour.low) ** 2
    body = math.log(hour.close / hour.open) ** 2
    jump = 0.0 if last_close is None else math.log(hour.open / last_close) ** 2
    # Written so that a bar which opens at one end and closes at the other still has a positive variance.
    variance = max(0.5 * spread - (2 * math.log(2) - 1) * body, 0.0) + jump
    return Measured(variance, spread + jump, hour.volume)


class Features:
    """The averages, and the clock that is taken out of them."""

    def __init__(self, prior: Prior = POOLED) -> None:
        self.season = HourOfWeek(prior.season)
        self._prior = prior
        self._volume_season = HourOfWeek(prior.volume_season)
        self._averages = prior.averages.copy()
        self._seen = 0
        self._volumes_seen = 0

    def learn(self, number: int, hour: Measured) -> Floats:
        """Take the hour in; the regressors after it."""
        self._averages = self._next(number, hour)
        self.season.learn(number, math.log(hour.variance + VARIANCE_FLOOR))
        if hour.volume > 0:
            self._volume_season.learn(number, math.log(hour.volume))
            self._volumes_seen = min(self._volumes_seen + 1, _SEEN_MAX)
        self._seen = min(self._seen + 1, _SEEN_MAX)
        return self._regressors(self._averages)

    def peek(self, number: int, hour: Measured) -> Floats:
        """The regressors as they would be after this hour, which is not taken in."""
        return self._regressors(self._next(number, hour))

    def now(self) -> Floats:
        """The regressors after the last hour; the pooled ones before the first."""
        return self._regressors(self._averages)

    def usual_volume(self, number: int) -> float:
        """The volume that this hour would have with nothing special about it; 0 while none was seen."""
        if not self._volumes_seen:
            return 0.0
        return math.exp(self._averages[9] + self._volume_season.excess(number))

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart."""
        return {
            "season": self.season.state(), "volume_season": self._volume_season.state(),
            "averages": self._averages.tolist(), "seen": self._seen, "volumes_seen": self._volumes_seen,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        averages = np.array(state["averages"], dtype=np.float64)
        if averages.shape != _MEMORY_H.shape:
            raise ValueError("a state of another shape")
        self.season.restore(state["season"])
        self._volume_season.restore(state["volume_season"])
        self._averages, self._seen, self._volumes_seen = averages, int(state["seen"]), int(state["volumes_seen"])

    def _next(self, number: int, hour: Measured) -> Floats:
        """Young averages are plain means, so that the first hour is not taken for a history."""
        clock = self.season.excess(number)
        now = np.empty(len(_MEMORY_H))
        now[_VARIANCE] = math.log(hour.variance + VARIANCE_FLOOR) - clock
        now[_RANGE] = math.log(hour.range_squared + VARIANCE_FLOOR) - clock
        step = np.maximum(_STEP, 1 / (self._seen + 2))
        if hour.volume > 0:
            now[_VOLUME] = math.log(hour.volume) - self._volume_season.excess(number)
            # The unit of volume is the symbol's own: its first value is where the averages begin.
            step[_VOLUME] = np.maximum(_STEP[_VOLUME], 1 / (self._volumes_seen + 1))
        else:
            now[_VOLUME] = self._averages[_VOLUME]
        return np.asarray(self._averages + step * (now - self._averages))

    def _regressors(self, averages: Floats) -> Floats:
        variance, ranges, volume = averages[_VARIANCE], averages[_RANGE], averages[_VOLUME]
        raw = np.array([
            *variance, *ranges, volume[0] - volume[2], volume[1] - volume[2],
            max(variance[0] - variance[3], 0.0), max(variance[1] - variance[4], 0.0),
        ])  # fmt: skip
        return np.concatenate([[1.0], (raw - self._prior.regressor_means) / self._prior.regressor_spreads])


_SEEN_MAX: Final = 1000
"""After a thousand hours every average has its own weight; the count need not go on."""
