"""Quantiles of a stream of positive numbers in which the past fades: a histogram over their logarithm. Pure; numpy.

It is a fixed number of floats whatever it has seen. It begins as if it had seen ``PRIOR_WEIGHT`` numbers distributed
as it is told, which never fade: with few numbers, and far out in the tail, that is what it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LOWEST: Final = 1e-3
HIGHEST: Final = 1e3
"""Numbers beyond these count as these."""

BINS: Final = 400
"""Each 3.5 % wide; a quantile is interpolated within its bin."""

PRIOR_WEIGHT: Final = 200.0

SHARE_LEAST: Final = 1e-6
"""No share is nearer to 0 or 1: so few numbers cannot tell."""

_WIDTH: Final = math.log(HIGHEST / LOWEST) / BINS

LIKE_NONE: Final = LOWEST * math.exp(_WIDTH)
"""The end of the lowest bin, where zero counts: up to it a number is not told apart from zero."""

_GROWN_MAX: Final = 1e6
"""Newer numbers weigh more instead of older ones less, until all weights are brought down again at once."""


class FadingQuantiles:
    """``half_life`` is in numbers seen. ``prior`` maps shares to quantiles: rising both, each share between 0 and 1."""

    def __init__(self, half_life: float, prior: Sequence[tuple[float, float]]) -> None:
        self._growth = 0.5 ** (-1 / half_life)
        self._weight = 1.0
        self._counts = np.zeros(BINS)
        self._prior = _prior_counts(prior)
        self._edges: NDArray[np.float64] | None = None

    def add(self, value: float) -> None:
        """One more number; zero and below count as the lowest."""
        self._weight *= self._growth
        place = math.log(min(max(value, LOWEST), HIGHEST) / LOWEST) / _WIDTH
        self._counts[min(int(place), BINS - 1)] += self._weight
        self._edges = None
        if self._weight > _GROWN_MAX:
            self._counts /= self._weight
            self._weight = 1.0

    def quantiles(self, taus: Sequence[float]) -> list[float]:
        """What a share ``tau`` of the numbers is not above, for each of ``taus``, which lie between 0 and 1."""
        places = np.interp(taus, self._distribution(), np.arange(BINS + 1))
        return [LOWEST * math.exp(_WIDTH * float(place)) for place in places]

    def share_below(self, value: float) -> float:
        """The share of the numbers that is not above ``value``, between 0 and 1 and neither."""
        edges = self._distribution()
        place = math.log(min(max(value, LOWEST), HIGHEST) / LOWEST) / _WIDTH
        share = float(np.interp(place, np.arange(BINS + 1), edges))
        return min(max(share, SHARE_LEAST), 1 - SHARE_LEAST)

    def state(self) -> dict[str, Any]:
        """Everything seen, for ``restore``, as JSON can hold it."""
        return {"weight": self._weight, "counts": [float(count) for count in self._counts]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what another of the same kind has seen.

        Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else.
        """
        weight, counts = float(state["weight"]), np.asarray(state["counts"], dtype=np.float64)
        whole = counts.shape == (BINS,) and np.isfinite(counts).all() and (counts >= 0).all()
        if not whole or not 1 <= weight <= 2 * _GROWN_MAX:
            raise ValueError("no state of quantiles")
        self._weight, self._counts, self._edges = weight, counts, None

    def _distribution(self) -> NDArray[np.float64]:
        """The share of the numbers below each edge of a bin."""
        if self._edges is None:
            edges = np.concatenate(([0.0], np.cumsum(self._counts / self._weight + self._prior)))
            self._edges = edges / edges[-1]
        return self._edges


def _prior_counts(prior: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The numbers of the prior in each bin: its distribution, straight between its quantiles in the logarithm."""
    shares = [0.0, *(share for share, _ in prior), 1.0]
    places = [LOWEST, *(quantile for _, quantile in prior), HIGHEST]
    edges = np.log(LOWEST) + _WIDTH * np.arange(BINS + 1)
    counts: NDArray[np.float64] = PRIOR_WEIGHT * np.diff(np.interp(edges, np.log(places), shares))
    return counts
