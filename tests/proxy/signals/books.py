"""Books, correlated markets and a forecaster that knows its market, for the tests of liquidation odds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.signals.bars import HOUR_S, Bar
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


class Learner(Walk):
    """A walk whose volatility is that of the bars it has seen, as a model of a symbol is fed and kept."""

    METHOD = "learner 1"

    def __init__(self, samples: int = 0, variance: float = SIGMA**2) -> None:
        super().__init__(math.sqrt(variance))
        self.samples = samples

    @property
    def is_warm(self) -> bool:  # type: ignore[override]
        return self.samples >= 600

    @property
    def hour(self) -> int:
        return self.samples

    def log_variance(self, hours: int) -> float | None:
        return math.log(self.sigma**2 * hours) if self.samples >= hours else None

    def update(self, ts: float, open: float, high: float, low: float, close: float, volume: float) -> None:
        self.samples += 1
        self.sigma = math.sqrt(0.9 * self.sigma**2 + 0.1 * (math.log(high / low) / 1.6) ** 2 + 1e-12)

    def prob_rv_above(self, hours: float, log_threshold: float) -> float:
        return 0.7 if self.sigma**2 * hours > math.exp(log_threshold) else 0.3

    def predict(
        self, horizons_h: Sequence[float], dist_down: Sequence[float], dist_up: Sequence[float], taus: Sequence[float]
    ) -> Mapping[float, Mapping[str, Sequence[float]]]:
        found = super().predict(horizons_h, dist_down, dist_up, taus)
        return {
            hours: {**found[hours], "quantiles": [(tau - 0.5) * self.scale(hours) for tau in taus]} for hours in found
        }

    def state(self) -> dict[str, Any]:
        return {"samples": self.samples, "sigma": self.sigma}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Learner:
        return cls(state["samples"], state["sigma"] ** 2)


def some_bars(hours: int, *, until: int, price: float = 100.0, seed: int = 2, sigma: float = SIGMA) -> list[Bar]:
    """Hours of a Gaussian walk that end at ``until``, and at ``price``."""
    chance = np.random.default_rng(seed)
    moves = chance.standard_normal((hours, STEPS)) * sigma / math.sqrt(STEPS)
    path = np.cumsum(moves.ravel()).reshape(hours, STEPS)
    path = path - path[-1, -1] + math.log(price)
    before = np.concatenate(([path[0, 0] - moves[0, 0]], path[:-1, -1]))
    whole = np.exp(np.column_stack([before, path]))
    return [
        Bar(
            until - (hours - 1 - n) * HOUR_S,
            *(round(float(each), 9) for each in (row[0], row.max(), row.min(), row[-1])),
        )
        for n, row in enumerate(whole)
    ]
