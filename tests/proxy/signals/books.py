"""Books, correlated markets and a forecaster that knows its market, for the tests of liquidation odds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from proxy.signals.joint import HORIZONS_H, Hour, JointHistory
from proxy.signals.legs import Book, Leg, Tiers

SIGMA = 0.01
"""Of one hour, in every generated market."""

STEPS = 30
"""Steps of an hour's path: its lows and highs are of these."""

TIERS = Tiers(np.array([0.0, 50_000.0]), np.array([0.01, 0.02]), np.array([0.0, 500.0]))


class Walk:
    """Knows that its market is a Gaussian walk of ``SIGMA`` an hour: the reflection principle gives its odds."""

    is_warm = True

    def __init__(self, sigma: float = SIGMA) -> None:
        self.sigma = sigma

    def scale(self, hours: float) -> float:
        return self.sigma * math.sqrt(hours)

    def predict(
        self, horizons_h: Sequence[float], dist_down: Sequence[float], dist_up: Sequence[float], taus: Sequence[float]
    ) -> Mapping[float, Mapping[str, Sequence[float]]]:
        return {
            hours: {
                "p_down": [self._reached(-math.log1p(-each), hours) for each in dist_down],
                "p_up": [self._reached(math.log1p(each), hours) for each in dist_up],
                "quantiles": [],
            }
            for hours in horizons_h
        }

    def _reached(self, log_distance: float, hours: float) -> float:
        p = math.erfc(log_distance / self.scale(hours) / math.sqrt(2))
        return min(1 - 1e-6, max(1e-6, p))


def paths(hours: int, rho: float, symbols: int, seed: int) -> NDArray[np.float64]:
    """Log prices, ``STEPS`` an hour, of symbols that all correlate by ``rho``."""
    chance = np.random.default_rng(seed)
    shape = hours * STEPS
    common = chance.standard_normal((shape, 1))
    own = chance.standard_normal((shape, symbols))
    moves = math.sqrt(rho) * common + math.sqrt(1 - rho) * own
    return np.asarray(np.cumsum(moves * SIGMA / math.sqrt(STEPS), axis=0))


@lru_cache
def a_history(names: tuple[str, ...], rho: float, *, hours: int = 2_400, seed: int = 1) -> JointHistory:
    """What these symbols did, and what a forecaster that knows them foresaw. Nobody may add to it."""
    walked = paths(hours, rho, len(names), seed)
    history = JointHistory()
    scales = tuple(SIGMA * math.sqrt(h) for h in HORIZONS_H)
    for place, name in enumerate(names):
        path = walked[:, place].reshape(hours, STEPS)
        before = np.concatenate(([0.0], path[:-1, -1]))
        for number in range(hours):
            hour = path[number] - before[number]
            low, high = min(0.0, hour.min()), max(0.0, hour.max())
            history.add(name, 480_000 + number, Hour(float(low), float(high), float(hour[-1]), scales))
    return history


def a_leg(
    symbol: str,
    quantity: float,
    distance: float | None,
    *,
    mark: float = 100.0,
    isolated: bool = False,
    together: float | None = None,
    backing: float = 0.0,
) -> Leg:
    return Leg(
        symbol=symbol,
        position_side="BOTH",
        quantity=quantity,
        mark=mark,
        distance=distance,
        together=distance if together is None else together,
        isolated=isolated,
        backing=backing,
        tiers=TIERS,
    )


def a_book(balance: float, *legs: Leg) -> Book:
    return Book(account="main", balance=balance, legs=legs)
