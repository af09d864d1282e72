"""What an honest forecaster would show by chance alone, when outcomes overlap.

A forecast for 24 hours that is stated every hour shares most of its future with the next one: one crash makes two dozen
of them come true, and is one event. So nothing here counts forecasts. It counts outcomes that do not overlap: the
largest number of the forecasts whose times from statement to outcome have no moment in common.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.int64]


def apart(as_of: Seconds, until: Seconds) -> int:
    """How many of these forecasts have outcomes that do not overlap: taken greedily by their end, which is the most
    that can be had (interval scheduling)."""
    if not len(until):
        return 0
    moments = np.unique(np.stack([until, as_of], axis=1), axis=0)
    count, free_from = 0, -math.inf
    for end, begin in moments.tolist():
        if begin >= free_from:
            count, free_from = count + 1, end
    return count


def at_least(hits: int, trials: int, rate: float) -> float:
    """Exact binomial probability of ``hits`` or more in ``trials`` at ``rate``."""
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    if hits <= trials * rate:
        return max(0.0, 1 - _upwards(trials - hits + 1, trials, 1 - rate))
    return _upwards(hits, trials, rate)


def at_most(hits: int, trials: int, rate: float) -> float:
    """Exact binomial probability of ``hits`` or fewer in ``trials`` at ``rate``."""
    return at_least(trials - hits, trials, 1 - rate)


def poisson_at_least(events: int, expected: float) -> float:
    """Exact Poisson probability of ``events`` or more where ``expected`` are."""
    if events <= 0:
        return 1.0
    term, below = math.exp(-expected), 0.0
    for count in range(events):
        below += term
        term *= expected / (count + 1)
    return max(0.0, 1 - below)


def _upwards(hits: int, trials: int, rate: float) -> float:
    """The upper tail, term by term from ``hits`` on, which lies above the mean: the terms fall."""
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(trials - hits + 1)
        + hits * math.log(rate)
        + (trials - hits) * math.log1p(-rate)
    )
    term, total = math.exp(log_term), 0.0
    for count in range(hits, trials + 1):
        total += term
        if term < total * 1e-12:
            break
        term *= (trials - count) / (count + 1) * rate / (1 - rate)
    return min(1.0, total)
