"""How good stated probabilities and quantiles were, once their outcomes are known. Pure functions of arrays.

An outcome of a probability is 0 or 1; an outcome of a quantile is the realised value. A score is a mean over forecasts,
lower is better; a skill is the share of a reference's score that the forecast takes away: 0 as good as the reference, 1
perfect, below 0 worse. The reference is usually the climatology, the plain frequency of the past.

Forecasts of one day succeed and fail together, across symbols too. An interval of a score therefore resamples whole
days and never single forecasts: ``day_block_interval``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RARE: Final = 0.02
"""Forecasts below this are promises that something hardly ever happens: the ones that cost most when broken."""

SMALLEST_PROBABILITY: Final = 1e-6
"""The log loss counts a forecast as at least this far from 0 and 1, so that one of exactly 0 does not cost infinity."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about one size: how many, their mean, and the share of them that came true."""

    count: int
    stated: float
    observed: float


@dataclass(frozen=True, slots=True)
class Rare:
    """Forecasts below ``RARE``: how many, how many events they add up to, and how many came.

    ``ratio`` is observed over expected: 1 is honest, 3 says that rare events come three times as often as stated. It is
    ``None`` where there was no such forecast.
    """

    count: int
    expected: float
    observed: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle ``level`` of a statistic over resampled days."""

    low: float
    high: float


def brier(stated: ArrayLike, outcomes: ArrayLike) -> float:
    """Mean squared distance of the probability from what came (Brier 1950). Raises ``ValueError`` on no forecasts."""
    return float(np.mean(squared_errors(stated, outcomes)))


def squared_errors(stated: ArrayLike, outcomes: ArrayLike) -> Floats:
    """The parts of the Brier score, one a forecast. Raises ``ValueError`` when the lengths differ or there are none."""
    p, y = _pair(stated, outcomes)
    return np.square(p - y)


def log_loss(stated: ArrayLike, outcomes: ArrayLike) -> float:
    """Mean negative log likelihood. It punishes above all what was called impossible and came."""
    return float(np.mean(log_losses(stated, outcomes)))


def log_losses(stated: ArrayLike, outcomes: ArrayLike) -> Floats:
    """The parts of the log loss, one a forecast. Raises ``ValueError`` when the lengths differ or there are none."""
    p, y = _pair(stated, outcomes)
    p = np.clip(p, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def skill(score: float, reference: float) -> float | None:
    """The share of the reference's score that was taken away; ``None`` where the reference left nothing to take."""
    return 1 - score / reference if reference > 0 else None


def brier_skill(stated: ArrayLike, reference: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Skill of the Brier score against a reference's probabilities for the same outcomes."""
    return skill(brier(stated, outcomes), brier(reference, outcomes))


def log_loss_skill(stated: ArrayLike, reference: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Skill of the log loss against a reference's probabilities for the same outcomes."""
    return skill(log_loss(stated, outcomes), log_loss(reference, outcomes))


def reliability(stated: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> list[Bin]:
    """The reliability diagram: forecasts in ``bins`` classes of equal width from 0 to 1; empty classes are left out."""
    p, y = _pair(stated, outcomes)
    if bins < 1:
        raise ValueError("a reliability diagram needs at least one bin")
    where = np.minimum((p * bins).astype(np.intp), bins - 1)
    counts = np.bincount(where, minlength=bins)
    stated_sums = np.bincount(where, weights=p, minlength=bins)
    outcome_sums = np.bincount(where, weights=y, minlength=bins)
    return [
        Bin(int(count), float(stated_sum / count), float(outcome_sum / count))
        for count, stated_sum, outcome_sum in zip(counts, stated_sums, outcome_sums, strict=True)
        if count
    ]


def ece(stated: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: how far stated and observed lie apart in the reliability diagram, on average.

    A weak test: on few hundred days even a perfect forecaster measures about 0.01.
    """
    found = reliability(stated, outcomes, bins)
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.stated - each.observed) for each in found) / total


def rare_ratio(stated: ArrayLike, outcomes: ArrayLike, below: float = RARE) -> Rare:
    """Whether what was called rare was rare."""
    p, y = _pair(stated, outcomes)
    chosen = p < below
    expected, observed = float(p[chosen].sum()), float(y[chosen].sum())
    return Rare(int(chosen.sum()), expected, observed, observed / expected if expected > 0 else None)


def pinball(quantiles: ArrayLike, outcomes: ArrayLike, tau: float) -> float:
    """Mean pinball loss of stated ``tau`` quantiles (Koenker and Bassett 1978), in the unit of the outcome."""
    return float(np.mean(pinball_losses(quantiles, outcomes, tau)))


def pinball_losses(quantiles: ArrayLike, outcomes: ArrayLike, tau: float) -> Floats:
    """The parts of the pinball loss, one a forecast. Raises ``ValueError`` for a ``tau`` not between 0 and 1."""
    if not 0 < tau < 1:
        raise ValueError(f"a quantile's tau lies between 0 and 1, not {tau}")
    q, y = _same_length(quantiles, outcomes)
    miss = y - q
    return np.maximum(tau * miss, (tau - 1) * miss)


def coverage(low: ArrayLike, high: ArrayLike, outcomes: ArrayLike) -> float:
    """The share of outcomes inside the stated band, its ends included."""
    lower, y = _same_length(low, outcomes)
    upper, _ = _same_length(high, outcomes)
    return float(np.mean((lower <= y) & (y <= upper)))


def exceedance(quantiles: ArrayLike, outcomes: ArrayLike) -> float:
    """The share of outcomes above the stated quantile; 1 - tau when it is honest."""
    q, y = _same_length(quantiles, outcomes)
    return float(np.mean(y > q))


def day_block_interval(
    days: ArrayLike,
    parts: ArrayLike,
    statistic: Callable[[Floats], Floats],
    *,
    draws: int = 1000,
    level: float = 0.9,
    seed: int = 6,
) -> Interval | None:
    """The bootstrap interval of a statistic of sums, resampling whole days with replacement.

    ``days`` names the day of each forecast (any integers); ``parts`` has a row for each forecast and a column for each
    sum that the statistic needs. ``statistic`` gets the resampled sums, a row for each draw, and answers one number a
    draw. The same seed gives the same interval. ``None`` on fewer than two days: one day has no spread.
    """
    columns = np.asarray(parts, dtype=np.float64)
    names, where = np.unique(np.asarray(days), return_inverse=True)
    if columns.ndim != 2 or len(columns) != len(where):
        raise ValueError("parts needs one row for each forecast's day")
    if len(names) < 2:
        return None
    sums = np.stack([np.bincount(where, weights=column, minlength=len(names)) for column in columns.T], axis=1)
    share = np.full(len(names), 1 / len(names))
    times_drawn = np.random.default_rng(seed).multinomial(len(names), share, size=draws)
    found = statistic(times_drawn.astype(np.float64) @ sums)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def skill_interval(days: ArrayLike, losses: ArrayLike, reference_losses: ArrayLike) -> Interval | None:
    """The 90 % day-block interval of a skill, from the losses (squared errors, log losses) of both, one a forecast."""
    score, reference = _same_length(losses, reference_losses)
    return day_block_interval(days, np.stack([score, reference], axis=1), _skills)


def rare_interval(days: ArrayLike, stated: ArrayLike, outcomes: ArrayLike, below: float = RARE) -> Interval | None:
    """The 90 % day-block interval of the rare ratio. ``None`` where nothing was stated below ``below``."""
    p, y = _pair(stated, outcomes)
    chosen = p < below
    return day_block_interval(days, np.stack([y * chosen, p * chosen], axis=1), _ratios)


def _skills(sums: Floats) -> Floats:
    return 1 - _ratios(sums)


def _ratios(sums: Floats) -> Floats:
    """First column over second; not a number where a draw has nothing to divide by."""
    ratios = np.full(len(sums), np.nan)
    np.divide(sums[:, 0], sums[:, 1], out=ratios, where=sums[:, 1] > 0)
    return ratios


def _pair(stated: ArrayLike, outcomes: ArrayLike) -> tuple[Floats, Floats]:
    p, y = _same_length(stated, outcomes)
    if not (((p >= 0) & (p <= 1)).all() and ((y == 0) | (y == 1)).all()):
        raise ValueError("a stated probability lies between 0 and 1, and its outcome is 0 or 1")
    return p, y


def _same_length(stated: ArrayLike, outcomes: ArrayLike) -> tuple[Floats, Floats]:
    left, right = np.asarray(stated, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape or not len(left):
        raise ValueError("one outcome for each forecast, and at least one forecast")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("a forecast or an outcome is not a finite number")
    return left, right
