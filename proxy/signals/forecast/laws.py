"""How outcomes were spread around their forecasts: the symbol's own past, kept as histograms that fade.

Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper 1999) without simulating: what a horizon came to
is divided by the volatility that had been forecast for it, and counted. Four things are counted for each fitted
horizon: how far the price fell at most, how far it rose at most, where it ended, and by how much the variance missed
its forecast. The first two are the first passage itself, taken from highs and lows: no assumption about paths is
made, and none about closes. Each histogram is the symbol's own of about a year, and below it the pooled one of many
symbols, which carries it while it is thin and lends it a tail.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proxy.signals.forecast.har import HORIZONS_H
from proxy.signals.forecast.pooled import POOLED

Floats = NDArray[np.float64]

DOWN, UP, END, VARIANCE = range(4)
"""The furthest fall and rise, the log return at the end, and the log variance; each relative to its forecast."""

BINS: Final = 240
_LOW: Final = np.array([-4.0, -4.0, -4.2, -6.0])
_WIDTH: Final = np.array([0.035, 0.035, 0.035, 0.05])
END_UNIT: Final = 0.25
"""Returns are counted on the scale of asinh(z / unit): even steps near zero, even ratios far from it."""

KEEP: Final = 1 - 1 / (24 * 365)
"""What an outcome's weight keeps an hour."""

PRIOR_HOURS: Final = 1000.0
"""The pooled histogram weighs as much as this many hours."""

TAIL_FROM: Final = 0.05
"""Beyond this probability a fall or rise follows a power law, the generalised Pareto's in logarithms, whose
exponent is the mean log excess there (Hill 1975): the next crash is not bounded by the largest one seen."""

SHOCK_SHARES: Final = np.array([0.001, 0.0013, 0.0016, 0.002, 0.003])
SHOCK_BINS: Final = 40
"""One origin in a thousand is followed within an hour, and three within a day, by a jump that quadruples (e^1.4) the
scale. Nobody forecasts it, and without it what is called rarer than one in a thousand comes several times as often."""

_WEIGHT_MAX: Final = 1e12


def _centres_and_edges() -> tuple[Floats, Floats]:
    edges: Floats = _LOW[:, None] + _WIDTH[:, None] * np.arange(BINS + 1, dtype=np.float64)
    return (edges[:, 1:] + edges[:, :-1]) / 2, edges


_CENTRES, _EDGES = _centres_and_edges()
_STEPS: Final = np.arange(BINS + 1, dtype=np.float64)


def end_coordinate(standardised: Floats) -> Floats:
    """Where a standardised return lies on the scale of its histogram."""
    return np.asarray(np.arcsinh(standardised / END_UNIT))


class Laws:
    """The histograms of all fitted horizons, and what follows from them."""

    def __init__(self) -> None:
        self._counts = np.zeros((len(HORIZONS_H), 4, BINS))
        self._weight = 1.0  # Instead of fading all counts every hour, a new one weighs more.
        self._prior = _pooled_histograms()

    def learn(self, outcomes: Floats) -> None:
        """One outcome for each law of the first ``len(outcomes)`` horizons: log fall, log rise, end, log variance."""
        bins = np.clip((outcomes - _LOW) / _WIDTH, 0, BINS - 1).astype(np.intp)
        horizons = np.arange(len(outcomes))[:, None]
        self._counts[horizons, np.arange(4), bins] += self._weight

    def fade(self) -> None:
        """An hour has passed."""
        self._weight /= KEEP
        if self._weight > _WEIGHT_MAX:
            self._counts /= self._weight
            self._weight = 1.0

    def survival(self) -> Survival:
        """The probabilities of exceeding, as the laws stand now."""
        return Survival(self._counts / self._weight + PRIOR_HOURS * self._prior)

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart."""
        return {"counts": self._counts.tolist(), "weight": self._weight}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        counts = np.array(state["counts"], dtype=np.float64)
        if counts.shape != self._counts.shape:
            raise ValueError("a state of another shape")
        self._counts, self._weight = counts, float(state["weight"])


class Survival:
    """The probability to exceed, at the edges of the histograms' bins; between edges linear.

    Each table is worked out when it is first asked for: a day's regime needs one of the four.
    """

    def __init__(self, weights: Floats) -> None:
        """``weights``: horizon by law by bin."""
        self._weights = weights

    @cached_property
    def deviation(self) -> Floats:
        """Standard deviation of the standardised return, for each fitted horizon."""
        spread = np.square(END_UNIT * np.sinh(_CENTRES[END]))
        weights = self._weights[:, END]
        return np.asarray(np.sqrt((weights * spread).sum(axis=1) / weights.sum(axis=1)))

    def passage(self, side: int, log_ratios: Floats) -> Floats:
        """P(the furthest move of ``side`` exceeds e^ratio forecast scales); a row of ratios for each fitted horizon."""
        place = np.maximum((log_ratios - _LOW[side]) / _WIDTH[side], 0.0)
        beyond = np.maximum(place - BINS, 0.0)
        extremes, fade = self._extremes
        return np.asarray(_at(extremes[:, side], place) * np.exp(-beyond * fade[:, side, None]))

    def variance_above(self, log_ratios: Floats) -> Floats:
        """P(the variance exceeds its forecast by this log ratio); one ratio for each fitted horizon."""
        place = np.maximum((log_ratios - _LOW[VARIANCE]) / _WIDTH[VARIANCE], 0.0)
        return np.asarray(_at(self._variance, place[:, None])[:, 0])

    def end_quantiles(self, taus: Floats) -> Floats:
        """Quantiles of the standardised return, a row for each fitted horizon."""
        coordinates = [np.interp(taus, 1 - above, _EDGES[END]) for above in self._end]
        return np.asarray(END_UNIT * np.sinh(np.array(coordinates)))

    @cached_property
    def _extremes(self) -> tuple[Floats, Floats]:
        """The tables of falls and rises, and the exponent a bin by which they go on beyond their last edge."""
        tables, fade = _with_tail(_above(self._weights[:, :2]))
        return _with_shock(tables), fade

    @cached_property
    def _end(self) -> Floats:
        return _above(self._weights[:, END])

    @cached_property
    def _variance(self) -> Floats:
        return _above(self._weights[:, VARIANCE])


def _above(weights: Floats) -> Floats:
    """The share of weight from each edge on."""
    above = np.zeros((*weights.shape[:-1], BINS + 1))
    above[..., :-1] = np.cumsum(weights[..., ::-1], axis=-1)[..., ::-1]
    above /= above[..., :1]
    return above


def _at(table: Floats, place: Floats) -> Floats:
    """Linear between the entries of each row of ``table``; ``place`` in bins, beyond the last entry the last one."""
    place = np.minimum(place, BINS - 1e-9)
    left = place.astype(np.intp)
    rows = np.arange(len(table))[:, None]
    low = table[rows, left]
    return np.asarray(low + (table[rows, left + 1] - low) * (place - left))


def _with_tail(above: Floats) -> tuple[Floats, Floats]:
    """The tables with a power law beyond ``TAIL_FROM``, and its exponent a bin."""
    tables, fades = above.copy(), np.empty(above.shape[:2])
    for at in np.ndindex(fades.shape):
        table = tables[at]
        begin = min(int(np.count_nonzero(table >= TAIL_FROM)), BINS) - 1
        start = table[begin]
        # The mean excess over an edge is the integral of the survival beyond it, by the trapezoid rule.
        fades[at] = fade = 1 / max(table[begin:].sum() / start - 0.5, 0.5)
        table[begin:] = start * np.exp(-fade * _STEPS[: BINS + 1 - begin])
    return tables, fades


def _with_shock(above: Floats) -> Floats:
    shocked = np.concatenate([np.ones((*above.shape[:2], SHOCK_BINS)), above[:, :, :-SHOCK_BINS]], axis=2)
    shares = SHOCK_SHARES[:, None, None]
    return np.asarray((1 - shares) * above + shares * shocked)


def _pooled_histograms() -> Floats:
    """From the pooled quantiles: the mass between two of them spread evenly over the bins between."""
    return np.stack([
        np.stack([
            np.diff(np.interp(_EDGES[law], POOLED.laws[horizon, law], POOLED.levels, left=0.0, right=1.0))
            for law in range(4)
        ])
        for horizon in range(len(HORIZONS_H))
    ])  # fmt: skip
