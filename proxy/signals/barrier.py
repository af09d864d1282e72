"""How likely a price is to touch a level within some hours, where it may end, and how wild it may get. One symbol.

Three steps, each learned online from the bars themselves, nothing simulated: the volatility of the hours ahead (a
heterogeneous autoregression for each horizon, the hour of the week taken out), the symbol's own past of how far
prices went in units of that forecast, and the time between. What has never been seen has the pooled numbers of many
perpetuals, so it answers from the first bar on; before ``is_warm`` that is what it says.

It forecasts how large a move is usual now. Nobody forecasts the jump: see docs/signals.md for what it said two hours
before the worst one. Feed it marks to forecast liquidations, which are triggered by marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from proxy.signals.forecast.features import Features, Measured, measured
from proxy.signals.forecast.first_passage import Passage, bounded, interpolated
from proxy.signals.forecast.har import HORIZONS_H, HarByHorizon
from proxy.signals.forecast.hours import Hour, Hours
from proxy.signals.forecast.laws import DOWN, UP, Laws, Survival
from proxy.signals.forecast.origins import Origin, Origins

Floats = NDArray[np.float64]

WARM_HOURS: Final = 25 * 24
"""Before 25 days of its own bars a symbol's forecast is the pooled one more than its own."""

_LOG_HORIZONS: Final = np.log(HORIZONS_H)


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What a forecast is made from: the log scale of each fitted horizon, and the laws around it."""

    log_scales: Floats
    survival: Survival


class BarrierForecaster:
    """The forecasts of one symbol. Feed it bars in order; ask it after any of them."""

    METHOD: Final = "har-fhs/1"
    """Name and version of the method: a forecast log compares like with like."""

    def __init__(self, bar_hours: float) -> None:
        """``bar_hours``: the length of a bar, 1 for an hour, 1/60 for a minute. Raises ``ValueError`` beyond these."""
        self._bar_hours = bar_hours
        self._hours = Hours(bar_hours)
        self._features = Features()
        self._har = HarByHorizon()
        self._laws = Laws()
        self._origins = Origins()
        self._number = 0
        self._last_close: float | None = None
        self._survival: Survival | None = None
        self._outlook: _Outlook | None = None
        self.samples = 0
        """Bars seen."""

    @property
    def is_warm(self) -> bool:
        """Whether 25 days of bars have been seen."""
        return self.samples * self._bar_hours >= WARM_HOURS - 1e-6

    def update(self, ts: float, open: float, high: float, low: float, close: float, volume: float) -> None:
        """One bar more; ``ts`` is its close in unix seconds. A volume of 0 where none is known, as for marks.

        Raises ``ValueError``, and changes nothing, for what is no bar and for one that is not after the last. Bars
        may be missing: forecasts made across the gap are not judged by what was not seen.
        """
        for hour in self._hours.add(ts, open, high, low, close, volume):
            self._learn(hour)
        self.samples += 1
        self._outlook = None

    def predict(
        self,
        horizons_h: Sequence[float],
        dist_down: Sequence[float],
        dist_up: Sequence[float],
        taus: Sequence[float],
    ) -> dict[float, dict[str, list[float]]]:
        """For each horizon: the probabilities of touching the levels, and quantiles of the log return at its end.

        ``dist_down`` and ``dist_up`` are fractions of the last close: 0.05 down is a low at or under 95 % of it. Within
        a horizon a nearer level is never less likely, nor is a level within a longer one. A distance of 0 or less has
        been reached already; a price cannot fall by 1 or more. Raises ``ValueError`` for a horizon that is not
        positive, a distance that is no number and a tau not between 0 and 1.
        """
        for hours in horizons_h:
            _check_horizon(hours)
        levels = np.asarray(taus, dtype=np.float64)
        if not ((levels > 0) & (levels < 1)).all():
            raise ValueError("a quantile's tau lies between 0 and 1")
        outlook = self._looked_out()
        scales, survival = outlook.log_scales, outlook.survival
        down = Passage(survival, DOWN, scales, _log_distances(dist_down, falling=True))
        up = Passage(survival, UP, scales, _log_distances(dist_up, falling=False))
        ends = survival.end_quantiles(levels)
        return {
            hours: {
                "p_down": down.within(hours).tolist(),
                "p_up": up.within(hours).tolist(),
                "quantiles": (self._log_scale(hours) * interpolated(ends, hours, growth=0.0)).tolist(),
            }
            for hours in horizons_h
        }

    def prob_rv_above(self, hours: float, log_threshold: float) -> float:
        """P(realised variance of the next ``hours``, a sum of hourly Garman-Klass, exceeds e^``log_threshold``).

        Raises ``ValueError`` for a horizon that is not positive and a threshold that is no number.
        """
        _check_horizon(hours)
        if math.isnan(log_threshold):
            raise ValueError("a threshold that is no number")
        outlook = self._looked_out()
        expected = interpolated(2 * outlook.log_scales, hours, growth=1.0)
        ratios = np.full(len(HORIZONS_H), log_threshold - float(expected))
        return float(bounded(interpolated(outlook.survival.variance_above(ratios), hours, growth=0.0)))

    def scale(self, hours: float) -> float:
        """Forecast standard deviation of the log return over the next ``hours``. Raises ``ValueError`` as above."""
        _check_horizon(hours)
        deviation = interpolated(self._looked_out().survival.deviation, hours, growth=0.0)
        return self._log_scale(hours) * float(deviation)

    @property
    def hour(self) -> int:
        """The last hour that is over, counted from 1970; 0 before the first."""
        return self._number

    def log_variance(self, hours: int) -> float | None:
        """Log of the realised variance of the last ``hours`` (at most 24); ``None`` when not all of them were seen."""
        return self._origins.log_variance(hours)

    def state(self) -> dict[str, Any]:
        """All it has learned, of bounded size and ready for JSON."""
        return {
            "method": self.METHOD, "bar_hours": self._bar_hours, "samples": self.samples, "number": self._number,
            "last_close": self._last_close, "hours": self._hours.state(), "features": self._features.state(),
            "har": self._har.state(), "laws": self._laws.state(), "origins": self._origins.state(),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Goes on as if there had been no restart. Raises ``ValueError`` for a state of another method or shape."""
        try:
            if state["method"] != cls.METHOD:
                raise ValueError(f"a state of {state['method']}, not of {cls.METHOD}")
            restored = cls(state["bar_hours"])
            restored.samples, restored._number = int(state["samples"]), int(state["number"])
            restored._last_close = state["last_close"]
            restored._hours.restore(state["hours"])
            restored._features.restore(state["features"])
            restored._har.restore(state["har"])
            restored._laws.restore(state["laws"])
            restored._origins.restore(state["origins"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the state of a forecaster: {error}") from error
        return restored

    def _learn(self, hour: Hour) -> None:
        """An hour is over: the forecasts that end with it are judged, and new ones are made."""
        if hour.silent or hour.number != self._number + 1:
            self._origins.clear()
        self._number = hour.number
        self._laws.fade()
        self._survival = None
        if hour.silent:
            return
        seen = measured(hour, self._last_close)
        self._last_close = hour.close
        regressors = self._features.learn(hour.number, seen)
        outcomes = self._origins.outcomes(hour, seen.variance)
        if outcomes is not None:
            self._har.learn(outcomes.regressors, outcomes.log_variances)
            self._laws.learn(outcomes.laws)
        clock = self._features.season.log_factors_ahead(hour.number, HORIZONS_H)
        self._origins.add(
            Origin(
                math.log(hour.high),
                math.log(hour.low),
                math.log(hour.close),
                seen.variance,
                regressors,
                clock,
                self._log_scales(regressors, clock),
            )
        )

    def _log_scales(self, regressors: Floats, clock: Floats) -> Floats:
        """Log of the root of the forecast variance over each fitted horizon."""
        return np.asarray(0.5 * (self._har.forecast(regressors) + clock + _LOG_HORIZONS))

    def _log_scale(self, hours: float) -> float:
        return math.exp(float(interpolated(self._looked_out().log_scales, hours, growth=0.5)))

    def _looked_out(self) -> _Outlook:
        """The outlook after the last bar, worked out when first asked for."""
        if self._outlook is None:
            if self._survival is None:
                self._survival = self._laws.survival()
            running = self._hours.running
            if running is None or running.silent:
                number, regressors = self._number, self._features.now()
            else:
                number, regressors = running.number, self._features.peek(running.number, self._completed(running))
            clock = self._features.season.log_factors_ahead(number, HORIZONS_H)
            self._outlook = _Outlook(self._log_scales(regressors, clock), self._survival)
        return self._outlook

    def _completed(self, running: Hour) -> Measured:
        """The running hour, its rest filled with what was forecast for it: a crash counts in the minute it comes."""
        seen = measured(running, self._last_close)
        rest = 1 - running.share
        clock = self._features.season.log_factors_ahead(self._number, HORIZONS_H)
        usual = rest * math.exp(2 * float(self._log_scales(self._features.now(), clock)[0]))
        # Range squared is on average 4 ln 2 variances (Parkinson 1980).
        return Measured(
            seen.variance + usual,
            seen.range_squared + 4 * math.log(2) * usual,
            seen.volume + rest * self._features.usual_volume(running.number) if seen.volume > 0 else 0.0,
        )


def _check_horizon(hours: float) -> None:
    if not (math.isfinite(hours) and hours > 0):
        raise ValueError(f"a horizon is a positive number of hours, not {hours}")


def _log_distances(distances: Sequence[float], *, falling: bool) -> Floats:
    """Log of the log distance: very low for what has been reached, infinity for what cannot be."""
    fractions = np.asarray(distances, dtype=np.float64)
    if np.isnan(fractions).any():
        raise ValueError("a distance that is no number")
    if falling:
        moves = -np.log1p(-np.clip(fractions, 0.0, _ALMOST_ALL))
        moves[fractions >= 1] = np.inf
    else:
        moves = np.log1p(np.maximum(fractions, 0.0))
    return np.asarray(np.log(np.maximum(moves, _NO_MOVE)))


_ALMOST_ALL: Final = 1 - 1e-15
_NO_MOVE: Final = 1e-300
