"""Walks the adverse-move forecaster forward over one symbol's minute bars. No look-ahead."""

from __future__ import annotations

from typing import Final

import numpy as np

from proxy.signals.backtest.bar_file import Bars
from proxy.signals.backtest.hourly import Table
from proxy.signals.slippage import BPS, AdverseMoveForecaster

TAUS: Final = (0.5, 0.9, 0.99, 0.999)
WARM: Final = 2 * 1_440
EVERY: Final = 5
"""A forecast every five minutes is scored, both sides of it; the reference is all of the past, anew every hour."""

_DAY_S: Final = 86_400


def walk_minutes(bars: Bars, into: Table) -> None:
    """Walk over one symbol. Minute bars; raises ``ValueError`` for others."""
    if abs(bars.hours * 60 - 1) > 1e-6:
        raise ValueError(f"{bars.symbol}: bars of {bars.hours * 60:g} min, not of one")
    model = AdverseMoveForecaster()
    up = np.maximum(0.0, bars.high[1:] / bars.close[:-1] - 1) * BPS
    down = np.maximum(0.0, 1 - bars.low[1:] / bars.close[:-1]) * BPS
    follows = np.diff(bars.ends) < 61
    reference = np.zeros(len(TAUS))
    for n in range(len(bars) - 1):
        if n and not follows[n - 1]:
            model.gap()
        model.update(bars.open[n], bars.high[n], bars.low[n], bars.close[n], bars.volume[n])
        if n < WARM:
            continue
        if n % 60 == 0 or n == WARM:
            reference = np.quantile(np.concatenate([up[:n][follows[:n]], down[:n][follows[:n]]]), TAUS)
        if n % EVERY or not follows[n]:
            continue
        day = bars.ends[n] // _DAY_S
        for tau, stated, usual in zip(TAUS, model.predict(TAUS), reference, strict=True):
            into.add(day, stated, float(usual), float(up[n]), tau)
            into.add(day, stated, float(usual), float(down[n]), tau)
