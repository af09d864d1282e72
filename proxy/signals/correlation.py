"""How symbols will move together over the next hours: a correlation matrix with a 95 % band. Pure; numpy.

Each return is divided by the symbol's own volatility of the moment, so that one wild hour does not decide for a week.
The forecast mixes exponential averages of one, three, seven and thirty days: what all pairs have in common (the
level), and how each differs from it, which is drawn towards the level since half of what looks different is noise. The
level leans towards its usual, follows the week (at weekends coins move less together) and rises after a fall. The
weights are rounded from a least-squares fit to 28 Binance perpetuals, May 2021 to June 2023; ``docs/signals.md`` has
what they were worth afterwards.

The band is a quantile of past errors in Fisher's z (Fisher 1915, "Frequency Distribution of the Values of the
Correlation Coefficient"), in which errors are as wide at 0.3 as at 0.9: those of the same 28 perpetuals, mixed half and
half with those this very function would have made in the last sixty days of the returns it is given.

Nobody foresees a crash: on the worst days a quarter of the pairs is above the band, so whoever limits exposure by it
wants a stress floor beside it (``correlated_exposure`` has one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy.signals.comovement import DAY_H, WEEK_D, Comovement, comovements, realised

METHOD: Final = "vol-standardised EWMA 1/3/7/30 d, Fisher-z band; 1"

Matrix = NDArray[np.float64]

HISTORY_H: Final = 120 * DAY_H
"""What is older does not count: it would weigh a fifteenth of today's in the slowest average."""

TESTED_D: Final = 60
"""Days whose errors make the band; the errors of the fit weigh as much as this many."""

SEASONS: Final = 8
"""Weeks over which the same day of the week is compared with the others."""

UNKNOWN_LEVEL: Final = 0.70
"""The mean of all pairs and days of the fit, for when nothing is known."""

# For the half-lives of ``comovements``: one, three, seven and thirty days.
_LEVEL: Final = np.array([0.30, 0.10, 0.25, 0.15])
_LEVEL_CONSTANT: Final = 0.135
_DIFFERENCE: Final = np.array([0.25, 0.10, 0.20, 0.30])
_SEASON: Final = 0.45
_FALL: Final = 0.02
_FALL_MAX: Final = 3.0
_RHO_MAX: Final = 0.98
_CAME_MAX: Final = 0.999
"""Closer to one, stated and realised, the error in z is that of rounding."""


@dataclass(frozen=True, slots=True)
class CorrelationForecast:
    """Symbols in the order of the columns. One realised correlation in twenty is above ``upper95``, one in twenty below
    ``lower95``. Where ``known`` is false the pair was not measured: the matrix says the level of the others, the band
    everything from -1 to 1.
    """

    matrix: Matrix
    lower95: Matrix
    upper95: Matrix
    known: NDArray[np.bool_]


def correlation(returns: ArrayLike, hours: float) -> tuple[Matrix, Matrix]:
    """The forecast correlation matrix of the next ``hours`` hours, and what one realised correlation in twenty exceeds.

    ``returns`` is T x N: hourly log returns, newest last, NaN where an hour is missing. A month or more is best, a week
    does. ``hours`` is the horizon, not the look-back; a horizon below four hours counts as four. The matrix is
    symmetric and positive semidefinite with ones on the diagonal. A symbol that is missing or did not move (fewer than
    twenty hours of the last week) stands at the level of all others, its upper band at 1. Nothing is ever NaN.
    """
    made = forecast(returns, hours)
    return made.matrix, made.upper95


def forecast(returns: ArrayLike, hours: float) -> CorrelationForecast:
    """``correlation`` with both ends of the band, and which pairs were measured."""
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError("returns must be a table: hours by symbols")
    table = table[-HISTORY_H:]
    horizon = max(4, math.ceil(hours))
    days = comovements(table)
    tested = _Tested(table, horizon)
    known = days[-1].known
    rho = _expected(days[-1:], [tested.season(0)])[0]
    # Rounding may tell a pair from its mirror image.
    rho = (rho + rho.T) / 2
    low, high = tested.quantiles(days)
    z = np.arctanh(rho)
    matrix = _positive(rho)
    upper = np.where(known, np.maximum(np.tanh(z + high), matrix), 1.0)
    lower = np.where(known, np.minimum(np.tanh(z + low), matrix), -1.0)
    for each in (lower, upper):
        np.fill_diagonal(each, 1.0)
    return CorrelationForecast(matrix, lower, upper, known)


def _expected(days: Sequence[Comovement], seasons: Sequence[float]) -> Matrix:
    """The forecasts of every pair as of the end of each day, within what Fisher's z can bear.

    What is not known stands at the mean of what is.
    """
    averages = np.stack([day.averages for day in days])
    known = np.stack([day.known for day in days])
    means = _means(averages, known[:, None])
    moves = np.clip([day.move for day in days], -_FALL_MAX, _FALL_MAX)
    levels = _LEVEL_CONSTANT + means @ _LEVEL + np.asarray(seasons) - _FALL * moves
    differences = np.tensordot(averages - means[:, :, None, None], _DIFFERENCE, axes=(1, 0))
    rho = np.clip(levels[:, None, None] + differences, -_RHO_MAX, _RHO_MAX)
    return np.where(known, rho, _means(rho, known)[:, None, None])


def _means(rho: Matrix, known: NDArray[np.bool_]) -> Matrix:
    """Of each matrix, the mean of what is known of it."""
    counts = known.sum(axis=(-2, -1))
    sums = np.where(known, rho, 0.0).sum(axis=(-2, -1))
    return np.where(counts > 0, sums / np.maximum(counts, 1), UNKNOWN_LEVEL)


class _Tested:
    """What was realised after each of the last days, and what it says of this day of the week and of the errors."""

    def __init__(self, table: Matrix, horizon: int) -> None:
        self._horizon = horizon
        # Of the ``horizon`` hours that began n days ago; the first whole ones began ``_whole`` days ago.
        self._whole = -(-horizon // DAY_H)
        begins = np.arange(len(table) - self._whole * DAY_H, -1, -DAY_H)
        self._after = realised(table[begins[:, None] + np.arange(horizon)])
        found = np.isfinite(self._after) & np.triu(np.ones(self._after.shape[1:], dtype=bool), 1)
        self._levels = np.where(found.any(axis=(1, 2)), _means(self._after, found), np.nan)

    def season(self, ago: int) -> float:
        """How much the level of the day that began ``ago`` days ago should differ from that of any day.

        The mean of the same day in the weeks before it, less that of all days of those weeks, by as much as so few can
        tell. Nothing for horizons above a day, in which the days of the week mix.
        """
        if self._horizon > DAY_H:
            return 0.0
        # The first of ``_levels`` is that of one day ago.
        before = self._levels[ago : ago + SEASONS * WEEK_D]
        same = before[WEEK_D - 1 :: WEEK_D]
        same, before = same[np.isfinite(same)], before[np.isfinite(before)]
        if len(same) < 2:
            return 0.0
        return _SEASON * len(same) / SEASONS * float(same.mean() - before.mean())

    def quantiles(self, days: Sequence[Comovement]) -> tuple[float, float]:
        """The 5 % and 95 % quantiles of the errors in z: of the fit, mixed with those of the last days."""
        low, high = _fitted_quantiles(self._horizon)
        agos = range(self._whole, min(self._whole + TESTED_D, self._whole + len(self._after), len(days) - WEEK_D + 1))
        if not agos:
            return low, high
        past = [days[-1 - ago] for ago in agos]
        after = self._after[: len(past)]
        both = np.stack([day.known for day in past]) & np.isfinite(after)
        both &= np.triu(np.ones(after.shape[1:], dtype=bool), 1)
        tested = int(both.any(axis=(1, 2)).sum())
        if not tested:
            return low, high
        rho = _expected(past, [self.season(ago) for ago in agos])
        errors = np.arctanh(np.clip(after[both], -_CAME_MAX, _CAME_MAX)) - np.arctanh(rho[both])
        own = np.quantile(errors, (0.05, 0.95))
        share = tested / (tested + TESTED_D)
        return low + share * (float(own[0]) - low), high + share * (float(own[1]) - high)


def _fitted_quantiles(horizon: int) -> tuple[float, float]:
    """Of the errors of the fit, at horizons of 6 to 168 hours.

    Their spread is the sampling error of so few hours, 1 / sqrt(hours - 3) for normal returns, and that of the level.
    """
    sampling = 1 / (horizon - 3)
    spread = math.sqrt(0.03 + 0.4 * math.sqrt(sampling) + 0.5 * sampling)
    return -1.38 * spread, 1.86 * spread


def _positive(rho: Matrix) -> Matrix:
    """The nearest thing to ``rho`` that is a correlation matrix: no negative eigenvalue, ones on the diagonal."""
    matrix = rho.copy()
    np.fill_diagonal(matrix, 1.0)
    if not matrix.size:
        return matrix
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < 0:
        matrix = (vectors * np.maximum(values, 1e-9)) @ vectors.T
        scale = np.sqrt(np.diag(matrix))
        matrix = np.clip(matrix / np.outer(scale, scale), -1.0, 1.0)
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
    return matrix
