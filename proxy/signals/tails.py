"""The far end of a sample: how likely a value beyond it is, and how several ends go together. Pure; numpy only.

Beyond its twenty largest values a sample is continued by a generalised Pareto law (Pickands 1975), fitted above the
95 % quantile by probability-weighted moments (Hosking and Wallis 1987) and never thinner than ``SHAPE_MIN``: a history
without a crash has not seen the worst. How ends go together is the stable tail dependence function, estimated from the
empirical spectral measure (Einmahl and Segers 2009): it keeps to its bounds exactly, and holds below anything that was
counted.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TAIL: Final = 0.05
"""The share of a sample that its tail is fitted to."""

SHAPE_MIN: Final = 0.1
SHAPE_MAX: Final = 0.6

LEAST: Final = 1e-6
"""No probability is stated nearer to 0 or to 1 than this: there is no such knowledge of a market."""

_TAILS_MIN: Final = 20
"""Exceedances, or windows, that a tail is estimated from at least."""


def exceedance(sample: Array, level: float) -> float:
    """The probability that a new value reaches ``level``; falls as the level rises. An empty sample says 1/2."""
    n = len(sample)
    if n <= _TAILS_MIN:
        return _within((float(np.count_nonzero(sample >= level)) + 0.5) / (n + 1))
    ordered = np.sort(sample)
    joint = float(ordered[n - _TAILS_MIN - 1])
    if level <= joint:
        return _within((n - float(np.searchsorted(ordered, level)) + 0.5) / (n + 1))
    count = max(_TAILS_MIN, int(TAIL * n))
    threshold = float(ordered[n - count - 1])
    shape, scale = _generalised_pareto(ordered[n - count :] - threshold)
    scale += shape * (joint - threshold)  # The same law, seen from farther out.
    if scale <= 0:
        return _within(LEAST)
    share = (_TAILS_MIN + 0.5) / (n + 1)
    return _within(share * (1 + shape * (level - joint) / scale) ** (-1 / shape))


def _generalised_pareto(excesses: Array) -> tuple[float, float]:
    """Shape and scale of excesses in rising order; a scale of 0 where they are all nothing."""
    n = len(excesses)
    first = float(excesses.mean())
    second = float(((n - np.arange(1, n + 1) + 0.35) / n * excesses).mean())
    if first <= 0:
        return SHAPE_MIN, 0.0
    shape = 2 - first / (first - 2 * second) if first > 2 * second else SHAPE_MAX
    shape = min(SHAPE_MAX, max(SHAPE_MIN, shape))
    return shape, first * (1 - shape)  # The mean of the law is scale / (1 - shape).


def union(severities: Array, probabilities: Array) -> float:
    """The probability that at least one of several events happens, each of which has its own of ``probabilities``.

    ``severities`` (windows by events) say how near each event was in each window of history; only their order within
    an event counts. The larger of two estimates: the share of windows in which any event's rank is within its
    probability, and the tail dependence, which goes on where there is nothing left to count. It lies between the
    largest of ``probabilities`` and their sum, and rises with each. Without windows it is that sum.
    """
    least, most = float(probabilities.max()), min(1.0, float(probabilities.sum()))
    windows = len(severities)
    if len(probabilities) == 1 or windows < _TAILS_MIN:
        return _within(least if len(probabilities) == 1 else most)
    ranks = ranks_from_the_top(severities)
    counted = float((ranks <= probabilities).any(axis=1).mean())
    found = min(most, max(least, counted, _tail_dependence(ranks, probabilities)))
    assert least <= found <= most  # noqa: S101 - whoever reads it relies on it
    return _within(found)


def _tail_dependence(ranks: Array, probabilities: Array) -> float:
    """The sum over the worst windows of the largest of probability times that window's share of the event's tail."""
    nearness = 1 / ranks
    radius = nearness.sum(axis=1)
    worst = np.argsort(radius)[-max(_TAILS_MIN, int(TAIL * len(ranks))) :]
    shares = nearness[worst] / radius[worst, None]
    shares /= shares.sum(axis=0)
    return float((probabilities * shares).max(axis=1).sum())


def ranks_from_the_top(severities: Array) -> Array:
    """Each column's ranks as fractions: the worst window near 0, the mildest near 1."""
    windows = len(severities)
    order = np.argsort(-severities, axis=0, kind="stable")
    ranks = np.empty_like(severities)
    np.put_along_axis(ranks, order, (np.arange(1, windows + 1)[:, None] - 0.5) / windows, axis=0)
    return ranks


def _within(probability: float) -> float:
    return min(1 - LEAST, max(LEAST, probability))
