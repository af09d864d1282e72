"""How far a price may run against an order within the next minute: quantiles, from one-minute bars alone. Pure.

The move is that of one side: from the last close to the next minute's high for a buyer, to its low for a seller, in
basis points, never below zero. Its scale is a weighted geometric mean of exponential averages of the bars' ranges
(Parkinson 1980, "The Extreme Value Method for Estimating the Variance of the Rate of Return"), from one minute to a
day: a heterogeneous autoregression in logarithms (Corsi 2009) with weights rounded from a fit to one week of ten
Binance perpetuals. A quantile is the scale times what that share of the past moves were of theirs, both sides alike;
the past fades by half in five days.

It follows volatility. It knows nothing of news, of the top of the hour, or of the size of the order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy.signals.fading_quantiles import LIKE_NONE, FadingQuantiles

METHOD: Final = "range EWMA 1 min to 1 d, fading quantiles; 1"

BPS: Final = 10_000.0

WEIGHTS: Final = {1.0: 0.35, 5.0: 0.20, 15.0: 0.30, 60.0: 0.05, 240.0: 0.05, 1440.0: 0.05}
"""Half-life in minutes of each average, and its weight in the scale."""

WARM_MINUTES: Final = 1_440
"""Before a day of bars it says what is usual for perpetuals of its scale."""

QUANTILE_HALF_LIFE: Final = 2.0 * 5 * 1_440
"""Two sides a minute, five days."""

SCALE_POOLED: Final = 1.2e-3
"""The range of a minute when nothing is known: that of a middling perpetual in May 2025."""

SCALE_POOLED_MINUTES: Final = 10
"""It counts as so many minutes seen."""

SCALE_LEAST: Final = 1e-6
"""A hundredth of a basis point: no market stands stiller than this for long."""

QUIET_SHARE: Final = 0.1
"""No average counts as less than this share of the slowest: a few flat minutes are no new market."""

RANGE_MOST: Final = 3.0
"""The logarithm of a twentyfold range; more counts as this."""

QUANTILES_POOLED: Final = (
    (0.10, 0.01),
    (0.20, 0.074),
    (0.30, 0.16),
    (0.50, 0.37),
    (0.70, 0.65),
    (0.90, 1.16),
    (0.99, 2.4),
    (0.999, 4.6),
    (0.9999, 9.5),
    (0.999999, 95.0),
)
"""Moves in units of the scale: ten Binance perpetuals, a week of May 2025. The last is a guess at the tail."""


class AdverseMoveForecaster:
    """One symbol. Fed bar by bar, it says what the next minute may do; a bar that cannot be is passed over as a gap."""

    def __init__(self) -> None:
        self.samples = 0
        self._close: float | None = None
        self._averages: list[float] = [SCALE_POOLED] * len(WEIGHTS)
        self._quantiles = FadingQuantiles(QUANTILE_HALF_LIFE, QUANTILES_POOLED)
        self._told: tuple[tuple[float, ...], list[float]] | None = None

    @property
    def is_warm(self) -> bool:
        """Whether it has seen enough to speak of this symbol."""
        return self.samples >= WARM_MINUTES

    @property
    def like_none_bps(self) -> float:
        """A quantile of no more than this is one of minutes in which nothing moved, as far as can be told."""
        return BPS * self._scale() * LIKE_NONE

    def update(self, open: float, high: float, low: float, close: float, volume: float) -> None:
        """One more minute, closed. ``volume`` is part of a bar and does not count."""
        self._told = None
        span = _span(open, high, low, close)
        if span is None:
            self.gap()
            return
        low, high = span
        if self._close is not None:
            scale = self._scale()
            self._quantiles.add(max(0.0, high / self._close - 1) / scale)
            self._quantiles.add(max(0.0, 1 - low / self._close) / scale)
            low, high = min(low, self._close), max(high, self._close)
        self._average(min(math.log(high / low), RANGE_MOST))
        self._close = close
        self.samples += 1

    def gap(self) -> None:
        """Minutes are missing here: what comes next says nothing of one minute's move."""
        self._close = None

    def predict(self, taus: Sequence[float]) -> list[float]:
        """In basis points, what the adverse move of the next minute is above with probability 1 - ``tau``, for each.

        Raises ``ValueError`` for a ``tau`` that does not lie between 0 and 1.
        """
        asked = tuple(taus)
        if self._told is None or self._told[0] != asked:  # Every order asks, and an answer holds for a minute.
            if not all(0 < tau < 1 for tau in asked):
                raise ValueError("taus must lie between 0 and 1")
            scale = BPS * self._scale()
            self._told = asked, [scale * quantile for quantile in self._quantiles.quantiles(asked)]
        return list(self._told[1])

    def probability_above(self, move_bps: float) -> float:
        """The probability that the adverse move of the next minute is above ``move_bps``; never 0 or 1."""
        return 1 - self._quantiles.share_below(move_bps / BPS / self._scale())

    def state(self) -> dict[str, Any]:
        """Everything it knows, as JSON can hold it."""
        return {
            "method": METHOD,
            "samples": self.samples,
            "close": self._close,
            "averages": list(self._averages),
            "quantiles": self._quantiles.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> AdverseMoveForecaster:
        """As it was when ``state`` was taken. Raises ``ValueError`` for what no forecaster of this method left."""
        if state.get("method") != METHOD:
            raise ValueError("the state is of another method")
        try:
            made = cls()
            made.samples = int(state["samples"])
            made._close = None if state["close"] is None else float(state["close"])
            made._averages = [float(each) for each in state["averages"]]
            made._quantiles.restore(state["quantiles"])
        except (KeyError, TypeError) as trouble:
            raise ValueError(f"no state of a forecaster: {trouble}") from trouble
        if len(made._averages) != len(WEIGHTS) or not all(0 <= each <= RANGE_MOST for each in made._averages):
            raise ValueError("no state of a forecaster: averages")
        return made

    def _average(self, span: float) -> None:
        # An average begins as the plain mean of what there is, what is usual for any perpetual among it.
        least = 1 / (self.samples + 1 + SCALE_POOLED_MINUTES)
        for n, half_life in enumerate(WEIGHTS):
            weight = max(1 - 0.5 ** (1 / half_life), least)
            self._averages[n] += weight * (span - self._averages[n])

    def _scale(self) -> float:
        floor = max(SCALE_LEAST, QUIET_SHARE * self._averages[-1])
        weighed = zip(WEIGHTS.values(), self._averages, strict=True)
        return math.exp(math.fsum(weight * math.log(max(average, floor)) for weight, average in weighed))


def _span(open: float, high: float, low: float, close: float) -> tuple[float, float] | None:
    """Lowest and highest price of a bar that can be, else ``None``."""
    prices = (open, high, low, close)
    if not all(math.isfinite(price) and price > 0 for price in prices):
        return None
    return min(prices), max(prices)
