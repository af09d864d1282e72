"""The log variance of the hours ahead, one linear regression for each horizon, learned by recursive least squares.

A forecast of a horizon is fitted to that horizon's own outcomes instead of being scaled up from an hour: volatility
returns to its mean, and by how much is what the regression learns. Old outcomes fade over more than a year. Where a
symbol has little history, the coefficients are the pooled ones of many symbols.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proxy.signals.forecast.features import COUNT
from proxy.signals.forecast.pooled import POOLED
from proxy.signals.forecast.prior import Prior

Floats = NDArray[np.float64]

HORIZONS_H: Final = np.array([1, 2, 4, 8, 24])
"""The horizons, in whole hours, that are fitted; all others lie between or beyond them."""

KEEP: Final = 1 - 1 / (24 * 500)
"""What an outcome's weight keeps an hour: after 500 days it counts for a third."""

PRIOR_HOURS: Final = 200.0
"""The pooled coefficients weigh as much as this many hours of the symbol's own."""

ERROR_MAX: Final = 6.0
"""A miss counts as at most this much (in log variance: a factor of 400): one mad print must not bend the regression."""


class HarByHorizon:
    """The regressions of all horizons."""

    def __init__(self, prior: Prior = POOLED) -> None:
        self._coefficients = prior.coefficients.copy()
        self._inverse = np.repeat(np.eye(COUNT)[None] / PRIOR_HOURS, len(HORIZONS_H), axis=0)

    def forecast(self, regressors: Floats) -> Floats:
        """Mean log variance of an hour, the clock taken out, over each horizon."""
        return np.asarray(self._coefficients @ regressors)

    def learn(self, regressors: Floats, outcomes: Floats) -> None:
        """The outcomes of the first ``len(outcomes)`` horizons; ``regressors`` has the row each was forecast from."""
        known = len(outcomes)
        coefficients, inverse = self._coefficients[:known], self._inverse[:known]
        leverage = np.matmul(inverse, regressors[:, :, None])[:, :, 0]
        gain = leverage / (KEEP + (regressors * leverage).sum(axis=1))[:, None]
        errors = np.clip(outcomes - (coefficients * regressors).sum(axis=1), -ERROR_MAX, ERROR_MAX)
        coefficients += gain * errors[:, None]
        inverse -= gain[:, :, None] * leverage[:, None, :]
        inverse /= KEEP
        # Forgetting without news (a flat market) would let it grow for ever: it is never less sure than at the start.
        # Halving with the transpose keeps rounding from making it lopsided.
        largest = np.einsum("hii->hi", inverse).max(axis=1)
        scale = 0.5 * np.minimum(1.0, 1 / (PRIOR_HOURS * largest))
        inverse[:] = scale[:, None, None] * (inverse + inverse.transpose(0, 2, 1))

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart."""
        return {"coefficients": self._coefficients.tolist(), "inverse": self._inverse.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        coefficients = np.array(state["coefficients"], dtype=np.float64)
        inverse = np.array(state["inverse"], dtype=np.float64)
        if coefficients.shape != self._coefficients.shape or inverse.shape != self._inverse.shape:
            raise ValueError("a state of another shape")
        self._coefficients, self._inverse = coefficients, inverse
