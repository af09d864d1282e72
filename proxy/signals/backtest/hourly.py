"""Walks first passage, quantiles and the regime forward over one symbol's hourly bars. No look-ahead.

A forecast is made after a bar was fed and before the next one is. Nothing is scored before half a year has passed, so
that the climatology it is compared with has been there as long.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from proxy.signals.backtest.bar_file import Bars
from proxy.signals.backtest.futures import PAST_H, Futures, futures_of, past_of, share_before
from proxy.signals.joint import HORIZONS_H
from proxy.signals.regime import WILD, WINDOW_H, Regime
from proxy.signals.symbol_forecast import Model
from proxy.signals.tails import Array

DISTANCES: Final = tuple(percent / 100 for percent in range(1, 20, 2))
TAUS: Final = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
EVERY_H: Final = 6
REGIME_EVERY_H: Final = 4
_DAY_S: Final = 86_400


class Table:
    """Forecasts of one kind and horizon, one row each: day, stated, reference, outcome, and the symbol or the tau.

    Millions of rows fit: single precision is more than any forecast has.
    """

    def __init__(self) -> None:
        self._rows = array("f")

    def __len__(self) -> int:
        return len(self._rows) // 5

    def add(self, day: float, stated: float, reference: float, outcome: float, key: float) -> None:
        """One forecast and what became of it."""
        self._rows.extend((day, stated, reference, outcome, key))

    def columns(self) -> tuple[Array, Array, Array, Array, Array]:
        """Day, stated, reference, outcome, key."""
        day, stated, reference, outcome, key = np.array(self._rows).reshape(-1, 5).T.astype(np.float64)
        return day, stated, reference, outcome, key


@dataclass(slots=True)
class Walked:
    """All that was stated of all symbols, and what it cost: seconds of feeding and of asking, and how often."""

    barriers: dict[int, Table] = field(default_factory=lambda: {hours: Table() for hours in HORIZONS_H})
    quantiles: dict[int, Table] = field(default_factory=lambda: {hours: Table() for hours in HORIZONS_H})
    regime: Table = field(default_factory=Table)
    flips: int = 0
    regime_days: float = 0.0
    feeding_s: float = 0.0
    bars: int = 0
    asking_s: float = 0.0
    probabilities: int = 0


def walk(bars: Bars, place: int, make: Callable[[float], Model], into: Walked) -> None:
    """Walk over one symbol, the ``place``-th of the file. Hourly bars; raises ``ValueError`` for others."""
    if abs(bars.hours - 1) > 1e-6:
        raise ValueError(f"{bars.symbol}: bars of {bars.hours:g} h, not of one")
    futures = {hours: futures_of(bars, hours) for hours in HORIZONS_H}
    shares = {hours: _shares(futures[hours], bars.hours) for hours in HORIZONS_H}
    model, regime, begin_s = make(1.0), Regime(), bars.ends[0] + PAST_H * 3_600
    for n in range(len(bars)):
        began = time.perf_counter()
        model.update(bars.ends[n], bars.open[n], bars.high[n], bars.low[n], bars.close[n], bars.volume[n])
        into.feeding_s += time.perf_counter() - began
        into.bars += 1
        hour = round(bars.ends[n] / 3_600)
        if bars.ends[n] < begin_s:
            continue
        if hour % EVERY_H == 0:
            _ask_barriers(model, n, place, futures, shares, bars, into)
            _ask_quantiles(model, n, futures, bars, into)
        if hour % REGIME_EVERY_H == 0:
            regime = _ask_regime(model, regime, n, place, futures[WINDOW_H], bars, into)


Shares = dict[tuple[bool, float], tuple[Array, Array]]
"""By side (down?) and distance: whether it was reached, and the share of the past that did."""


def _shares(futures: Futures, bar_hours: float) -> Shares:
    found = {}
    for distance in DISTANCES:
        for is_down in (True, False):
            level = math.log1p(-distance) if is_down else math.log1p(distance)
            extreme = futures.low if is_down else futures.high
            hits = np.where(np.isnan(extreme), np.nan, extreme <= level if is_down else extreme >= level)
            found[is_down, distance] = hits, share_before(hits, futures, bar_hours)
    return found


def _ask_barriers(
    model: Model, n: int, place: int, futures: dict[int, Futures], shares: dict[int, Shares], bars: Bars, into: Walked
) -> None:
    began = time.perf_counter()
    answer = model.predict(HORIZONS_H, DISTANCES, DISTANCES, ())
    into.asking_s += time.perf_counter() - began
    into.probabilities += 2 * len(DISTANCES) * len(HORIZONS_H)
    for hours in HORIZONS_H:
        day = (bars.ends[n] + hours * 3_600) // _DAY_S
        for is_down, side in ((True, "p_down"), (False, "p_up")):
            for distance, stated in zip(DISTANCES, answer[hours][side], strict=True):
                hits, past = shares[hours][is_down, distance]
                if not (math.isnan(hits[n]) or math.isnan(past[n])):
                    into.barriers[hours].add(day, stated, past[n], hits[n], place)


def _ask_quantiles(model: Model, n: int, futures: dict[int, Futures], bars: Bars, into: Walked) -> None:
    answer = model.predict(HORIZONS_H, (), (), TAUS)
    for hours, future in futures.items():
        past = past_of(future.close, future, n, bars.hours)
        if math.isnan(future.close[n]) or len(past) < PAST_H // 2:
            continue
        usual = np.quantile(past, TAUS)
        day = (bars.ends[n] + hours * 3_600) // _DAY_S
        for tau, stated, reference in zip(TAUS, answer[hours]["quantiles"], usual, strict=True):
            into.quantiles[hours].add(day, stated, float(reference), future.close[n], tau)


def _ask_regime(model: Model, regime: Regime, n: int, place: int, future: Futures, bars: Bars, into: Walked) -> Regime:
    past = past_of(future.variance, future, n, bars.hours)
    if len(past) < PAST_H // 2:
        return regime
    line = float(np.quantile(past, WILD))
    moved = regime.moved(model.prob_rv_above(WINDOW_H, math.log(max(line, 1e-300))), line)
    into.flips += moved.is_wild != regime.is_wild
    into.regime_days += REGIME_EVERY_H / 24
    if not math.isnan(future.variance[n]) and moved.probability is not None:
        day = (bars.ends[n] + WINDOW_H * 3_600) // _DAY_S
        into.regime.add(day, moved.probability, 1 - WILD, float(future.variance[n] > line), place)
    return moved


def walk_all(
    bars: Sequence[Bars], make: Callable[[float], Model], told: Callable[[str], None]
) -> tuple[Walked, tuple[str, ...]]:
    """Walk over every symbol; ``told`` hears each one's name before. Gives the names in their places, too."""
    into = Walked()
    for place, each in enumerate(bars):
        told(each.symbol)
        walk(each, place, make, into)
    return into, tuple(each.symbol for each in bars)
