"""The last hours that forecasts were made at, until their outcomes are known: a day of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proxy.signals.forecast.features import VARIANCE_FLOOR
from proxy.signals.forecast.har import HORIZONS_H
from proxy.signals.forecast.hours import Hour
from proxy.signals.forecast.laws import end_coordinate

Floats = NDArray[np.float64]

MOVE_FLOOR: Final = 1e-9
"""A price that did not move at all went this far, in logarithms."""

_HORIZONS: Final = tuple(int(hours) for hours in HORIZONS_H)


@dataclass(frozen=True, slots=True)
class Origin:
    """The end of an hour: what the hour was like, and what was forecast at its end for each fitted horizon."""

    high: float
    low: float
    close: float
    variance: float
    regressors: Floats
    clock: Floats
    log_scales: Floats


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the forecasts that end now, a row for each of the first fitted horizons."""

    regressors: Floats
    log_variances: Floats
    laws: Floats


class Origins:
    """Keeps a day of origins, and judges those whose horizon ends."""

    def __init__(self) -> None:
        self._kept: list[Origin] = []

    def add(self, origin: Origin) -> None:
        """An hour has ended and forecasts were made."""
        self._kept = [*self._kept[1 - _HORIZONS[-1] :], origin]

    def clear(self) -> None:
        """Hours are missing: how far prices went in between was not seen, so nothing is judged by it."""
        self._kept = []

    def outcomes(self, hour: Hour, variance: float) -> Outcomes | None:
        """Of the forecasts that end with this hour, which was added to none of them; ``None`` when there are none."""
        known = [hours for hours in _HORIZONS if hours <= len(self._kept)]
        if not known:
            return None
        ended = [self._kept[-hours] for hours in known]
        log_variances = np.array(list(self._sums(known, variance)))
        regressors = np.array([each.regressors for each in ended])
        at = range(len(known))
        clock = np.array([each.clock[n] for n, each in zip(at, ended, strict=True)])
        scales = np.array([each.log_scales[n] for n, each in zip(at, ended, strict=True)])
        closes = np.array([each.close for each in ended])
        highs, lows = self._extremes(known, hour)
        log_hours = np.log(HORIZONS_H[: len(known)])
        laws = np.stack([
            np.log(np.maximum(closes - lows, MOVE_FLOOR)) - scales,
            np.log(np.maximum(highs - closes, MOVE_FLOOR)) - scales,
            end_coordinate((math.log(hour.close) - closes) / np.exp(scales)),
            log_variances + log_hours - 2 * scales,
        ], axis=1)  # fmt: skip
        return Outcomes(regressors, log_variances - clock, laws)

    def log_variance(self, hours: int) -> float | None:
        """Log of the variance of the last ``hours``; ``None`` when they are not all kept."""
        if hours > len(self._kept):
            return None
        return math.log(sum(each.variance for each in self._kept[-hours:]) + hours * VARIANCE_FLOOR)

    def state(self) -> list[list[Any]]:
        """What is needed to go on after a restart."""
        return [
            [each.high, each.low, each.close, each.variance, each.regressors.tolist(), each.clock.tolist(),
             each.log_scales.tolist()]
            for each in self._kept
        ]  # fmt: skip

    def restore(self, state: list[list[Any]]) -> None:
        """Go on from ``state``."""
        self._kept = [
            Origin(high, low, close, variance, np.array(regressors), np.array(clock), np.array(log_scales))
            for high, low, close, variance, regressors, clock, log_scales in state
        ]

    def _sums(self, known: list[int], variance: float) -> Iterator[float]:
        """Log of the mean variance of the last hours, for each horizon."""
        for hours in known:
            total = variance + sum(each.variance for each in islice(self._kept, len(self._kept) - hours + 1, None))
            yield math.log(total / hours + VARIANCE_FLOOR)

    def _extremes(self, known: list[int], hour: Hour) -> tuple[Floats, Floats]:
        """Highest and lowest log price of the last hours, for each horizon."""
        highs, lows = [], []
        high, low = math.log(hour.high), math.log(hour.low)
        for hours in known:
            window = self._kept[len(self._kept) - hours + 1 :]
            highs.append(max([high, *(each.high for each in window)]))
            lows.append(min([low, *(each.low for each in window)]))
        return np.array(highs), np.array(lows)
