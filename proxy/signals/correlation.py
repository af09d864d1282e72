"""How symbols move together: correlations of hourly log returns, shrunk towards their mean. Pure, plain Python.

Each return is divided by the symbol's own volatility of the moment, so that one wild day does not decide for a week
(over 28 perpetuals such averages of three to seven days forecast the next day's correlations best). What is left of the
noise is shrunk: every correlation is drawn towards the mean of all, the more, the less the differences between
pairs stand out from their sampling error (Ledoit and Wolf 2004, "Honey, I Shrunk the Sample Covariance Matrix", in the
form of Schäfer and Strimmer 2005 for correlations, covariances between the errors left out, which shrinks more).

In a crash correlations are higher than anything measured before it: these numbers want a stress floor beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from operator import mul
from typing import Final

HALF_LIFE_H: Final = 72.0
"""Three days: a return of a week ago weighs a fifth of today's."""

SCALE_HALF_LIFE_H: Final = 24.0
"""Half-life of the volatility that a return is divided by. Its own square counts in it, which bounds the quotient."""

HOURS_NEEDED: Final = 20
"""A pair with fewer common hours is not known."""

HOURS_MAX: Final = 168


def correlations(returns: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], float]:
    """Shrunk correlations of every pair, names in order. The series are hourly and end in the same hour, newest last.

    Left out are pairs with too few common hours, and symbols whose price has not moved.
    """
    scaled = {symbol: _scaled(series[-HOURS_MAX:]) for symbol, series in sorted(returns.items())}
    raw = {
        (one, other): pair
        for one, other in combinations(scaled, 2)
        if (pair := _pair(scaled[one], scaled[other])) is not None
    }
    if not raw:
        return {}
    mean = math.fsum(rho for rho, _ in raw.values()) / len(raw)
    spread = math.fsum((rho - mean) ** 2 for rho, _ in raw.values())
    noise = math.fsum(error for _, error in raw.values())
    shrink = 1.0 if spread <= noise else noise / spread
    return {names: _bounded(rho + shrink * (mean - rho)) for names, (rho, _) in raw.items()}


def _scaled(series: Sequence[float]) -> list[float]:
    """Returns over their volatility of the moment, times the square root of their weight."""
    keep = 0.5 ** (1 / SCALE_HALF_LIFE_H)
    first = series[: int(SCALE_HALF_LIFE_H)]
    variance = math.fsum(each * each for each in first) / len(first) if first else 0.0
    scaled = []
    for age, value in zip(range(len(series) - 1, -1, -1), series, strict=True):
        variance = keep * variance + (1 - keep) * value * value
        weight = 0.5 ** (age / HALF_LIFE_H)
        scaled.append(value / math.sqrt(variance) * math.sqrt(weight) if variance > 0 else 0.0)
    return scaled


def _pair(one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """The correlation of a pair and the variance of its sampling error, over the hours both have."""
    hours = min(len(one), len(other))
    if hours < HOURS_NEEDED:
        return None
    one, other = one[-hours:], other[-hours:]
    size = math.sqrt(math.fsum(map(mul, one, one)) * math.fsum(map(mul, other, other)))
    if size <= 0:
        return None
    products = list(map(mul, one, other))
    rho = _bounded(math.fsum(products) / size)
    # The error of a weighted mean: each product's distance from rho counts with the square of its weight.
    weights = [0.5 ** (age / HALF_LIFE_H) for age in range(hours - 1, -1, -1)]
    total = math.fsum(weights)
    error = math.fsum(
        (product * total / size - weight * rho) ** 2 for product, weight in zip(products, weights, strict=True)
    )
    return rho, error / total**2


def _bounded(rho: float) -> float:
    """Rounding may carry a perfect correlation past one."""
    return min(1.0, max(-1.0, rho))
