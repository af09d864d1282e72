"""From the laws of the fitted horizons to any horizon, so that longer and nearer is never less likely.

Between two fitted horizons the cumulative hazard -log(1 - p) grows as a power of time through both. Within the first
hour a barrier is reached the diffusive way (the scale shrinks with the root of time) or by a jump (whose probability
shrinks with time): the larger of the two. Beyond the last the scale grows with the root of time. Probabilities of a
longer fitted horizon are never below those of a shorter one, whatever their regressions say.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proxy.signals.forecast.har import HORIZONS_H
from proxy.signals.forecast.laws import Survival

Floats = NDArray[np.float64]

SMALLEST: Final = 1e-6
"""No probability is stated below this or above one less it: what never happened may."""

_LOG_HORIZONS: Final = np.log(HORIZONS_H)
_LAST: Final = float(HORIZONS_H[-1])


def bounded(probabilities: Floats) -> Floats:
    """Strictly between 0 and 1."""
    return np.asarray(np.clip(probabilities, SMALLEST, 1 - SMALLEST))


class Passage:
    """P(barriers of one side are reached), for all fitted horizons at once, then for any."""

    def __init__(self, survival: Survival, side: int, log_scales: Floats, log_distances: Floats) -> None:
        """``log_scales``: forecast log scale of each fitted horizon; ``log_distances``: log of the log distances."""
        self._survival, self._side = survival, side
        self._log_scales, self._log_distances = log_scales, log_distances
        ratios = log_distances - log_scales[:, None]
        self._fitted = bounded(np.maximum.accumulate(survival.passage(side, ratios), axis=0))

    def within(self, hours: float) -> Floats:
        """For each distance, the probability of reaching it within ``hours``."""
        if hours < 1:
            return bounded(np.maximum(self._rescaled(0, hours), hours * self._fitted[0]))
        if hours > _LAST:
            return bounded(np.maximum(self._rescaled(-1, hours / _LAST), self._fitted[-1]))
        lower, share = between(hours)
        if share == 0:
            known: Floats = self._fitted[lower]
            return known
        log_hazards = np.log(-np.log1p(-self._fitted[lower : lower + 2]))
        hazard = np.exp(log_hazards[0] + share * (log_hazards[1] - log_hazards[0]))
        return bounded(np.clip(-np.expm1(-hazard), self._fitted[lower], self._fitted[lower + 1]))

    def _rescaled(self, fitted: int, time: float) -> Floats:
        """The law of a fitted horizon, its scale stretched to ``time`` times its length."""
        ratios = self._log_distances - self._log_scales[:, None] - 0.5 * math.log(time)
        probabilities: Floats = self._survival.passage(self._side, ratios)[fitted]
        return probabilities


def between(hours: float) -> tuple[int, float]:
    """The fitted horizon at or below ``hours`` and how far it is, in log time, on the way to the next one."""
    lower = int(np.searchsorted(HORIZONS_H, hours, side="right")) - 1
    if lower == len(HORIZONS_H) - 1:
        return lower, 0.0
    step = _LOG_HORIZONS[lower + 1] - _LOG_HORIZONS[lower]
    return lower, float((math.log(hours) - _LOG_HORIZONS[lower]) / step)


def interpolated(fitted: Floats, hours: float, *, growth: float) -> Floats:
    """A value of each fitted horizon (rows), linear in log time between them.

    Outside the fitted horizons it goes on from the nearest one by ``growth`` times the log of the ratio of times.
    """
    inside = min(max(hours, 1.0), _LAST)
    lower, share = between(inside)
    value = fitted[lower] if share == 0 else (1 - share) * fitted[lower] + share * fitted[lower + 1]
    return np.asarray(value + growth * math.log(hours / inside))
