"""What a forecaster believes of a symbol it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prior:
    """Where the forecast of a new symbol begins. Log variances are of an hour; regressors are in the order of
    ``features``."""

    season: Floats
    """Log variance of the hours of a day (UTC) above their week's: weekdays, weekends."""

    volume_season: Floats
    """The same of log volume."""

    averages: Floats
    """Where a new symbol's averages begin."""

    regressor_means: Floats
    """Of the regressors but the constant."""

    regressor_spreads: Floats
    """Their standard deviations."""

    coefficients: Floats
    """Of the log variance forecast: a row for each fitted horizon, the constant first."""

    levels: Floats
    """Of the quantiles in ``laws``."""

    laws: Floats
    """Horizon by law by level: the quantiles of the log of the furthest fall and rise, of the end (asinh scale) and of
    the log variance, each relative to its forecast."""
