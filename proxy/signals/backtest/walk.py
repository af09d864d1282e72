"""One symbol's forecaster run over its bars, asked at every origin as it would have been asked live.

The forecaster is the live one and sees bars one by one; it is asked before the next bar exists. Outcomes are joined
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proxy.signals.backtest.outcomes import HourTable, ahead, hour_table, trailing_frequency
from proxy.signals.backtest.reader import Bars
from proxy.signals.barrier import BarrierForecaster
from proxy.signals.regime import QUANTILE, VolatilityRegime

Floats = NDArray[np.float64]

HISTORY_DAYS: Final = 180
REGIME_CLIMATOLOGY: Final = 1 - QUANTILE
"""How often a day is wild, by the definition of wild."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked, and when: at every ``every_h`` hours of the UTC day, ``offset_h`` after midnight.

    The climatology is taken from ``history_days``, which also pass before the first origin unless ``since`` says when
    that is. Where neither is given: 180 days, or a third of a file with less than 270.
    """

    horizons_h: tuple[int, ...] = (1, 8, 24)
    distances: tuple[float, ...] = (0.01, 0.02, 0.03, 0.045, 0.095, 0.19)
    taus: tuple[float, ...] = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    every_h: int = 6
    offset_h: int = 0
    since: float | None = None
    history_days: int | None = None

    def history_of(self, bars: Bars) -> int:
        """The days of history for these bars."""
        if self.history_days is not None:
            return self.history_days
        days = float(bars.ts[-1] - bars.ts[0]) / 86_400
        return HISTORY_DAYS if days >= 1.5 * HISTORY_DAYS else max(1, int(days / 3))


@dataclass(frozen=True, slots=True)
class Judged:
    """The forecasts of one symbol and horizon beside what came: a row an origin; columns are levels down, then up."""

    days: NDArray[np.intp]
    stated: Floats
    climatology: Floats
    hits: Floats
    quantiles: Floats
    climatology_quantiles: Floats
    ends: Floats


@dataclass(frozen=True, slots=True)
class JudgedRegime:
    """The regime's probabilities, whether the day after was wild, and how often the called regime changed."""

    days: NDArray[np.intp]
    stated: Floats
    wild: Floats
    flips: int
    days_called: float


@dataclass(frozen=True, slots=True)
class Walked:
    """One symbol, forecast from end to end."""

    symbol: str
    bars: int
    first: float
    last: float
    history_days: int
    horizons: dict[int, Judged]
    regime: JudgedRegime


@dataclass(frozen=True, slots=True)
class _Asked:
    row: int
    threshold: float
    wild: float
    by_horizon: list[tuple[list[float], list[float]]]


def walk(bars: Bars, plan: Plan) -> Walked:
    """Run the forecaster over the bars."""
    table = hour_table(bars)
    history = plan.history_of(bars)
    asked, flips, hours_called = _asked(bars, table, plan, history)
    rows = np.array([each.row for each in asked], dtype=np.intp)
    days = (table.first + 1 + rows) // 24
    horizons = {
        hours: _judged(table, plan, history, hours, rows, [each.by_horizon[n] for each in asked])
        for n, hours in enumerate(plan.horizons_h)
    }
    stated = np.array([each.wild for each in asked])
    threshold = np.array([each.threshold for each in asked])
    came = ahead(table, 24).log_variance[rows] if len(rows) else np.zeros(0)
    known = np.isfinite(stated) & np.isfinite(came)
    regime = JudgedRegime(
        days[known], stated[known], (came > threshold)[known].astype(np.float64), flips, hours_called / 24
    )
    return Walked(bars.symbol, len(bars.ts), float(bars.ts[0]), float(bars.ts[-1]), history, horizons, regime)


def _asked(bars: Bars, table: HourTable, plan: Plan, history: int) -> tuple[list[_Asked], int, int]:
    """What was stated at each origin; how often the regime changed, and in how many hours there was one."""
    forecaster, regime = BarrierForecaster(bars.bar_hours), VolatilityRegime()
    since = bars.ts[0] + history * 86_400 if plan.since is None else plan.since
    asked: list[_Asked] = []
    flips = hours_called = fed = 0
    columns = [each.tolist() for each in (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)]
    for row, last in _ends(table):
        for bar in zip(*(each[fed : last + 1] for each in columns), strict=True):
            forecaster.update(*bar)
        fed = last + 1
        was_high = regime.high
        regime.observe(forecaster)
        ended = table.first + 1 + row
        if ended * 3600 < since:
            continue
        hours_called += regime.probability is not None
        flips += regime.high != was_high
        if (ended - plan.offset_h) % plan.every_h == 0:
            asked.append(_ask(forecaster, regime, plan, row))
    return asked, flips, hours_called


def _ends(table: HourTable) -> Iterator[tuple[int, int]]:
    """Each hour that has bars, and its last bar."""
    for row, last in enumerate(table.last_bar.tolist()):
        if last >= 0:
            yield row, last


def _ask(forecaster: BarrierForecaster, regime: VolatilityRegime, plan: Plan, row: int) -> _Asked:
    told = forecaster.predict(plan.horizons_h, plan.distances, plan.distances, plan.taus)
    threshold, wild = regime.threshold, regime.probability
    return _Asked(
        row,
        np.nan if threshold is None else threshold,
        np.nan if wild is None else wild,
        [(told[hours]["p_down"] + told[hours]["p_up"], told[hours]["quantiles"]) for hours in plan.horizons_h],
    )


def _judged(
    table: HourTable,
    plan: Plan,
    history: int,
    hours: int,
    rows: NDArray[np.intp],
    told: list[tuple[list[float], list[float]]],
) -> Judged:
    came = ahead(table, hours)
    levels = np.array(plan.distances)
    moved = np.concatenate(
        [came.down[:, None] >= -np.log1p(-levels), came.up[:, None] >= np.log1p(levels)], axis=1
    ).astype(np.float64)
    # The furthest move is known where the return is: an hour that is missing is missing for both.
    moved[~np.isfinite(came.down + came.up)] = np.nan
    memory = history * 24
    days = (table.first + 1 + rows) // 24
    usual = trailing_frequency(moved, hours, memory, rows)
    known = np.isfinite(moved[rows]).all(axis=1) & np.isfinite(usual).all(axis=1)
    usual_ends = np.array([_trailing_quantiles(came.end, hours, memory, row, plan.taus) for row in rows[known]])
    stated, quantiles = (np.array(each) for each in zip(*told, strict=True)) if told else (np.zeros((0, 1)),) * 2
    return Judged(
        days[known],
        stated[known],
        usual[known],
        moved[rows][known],
        quantiles[known],
        usual_ends,
        came.end[rows][known],
    )


def _trailing_quantiles(ends: Floats, hours: int, memory: int, row: int, taus: tuple[float, ...]) -> Floats:
    stop = row - hours + 1
    past = ends[max(0, stop - memory) : stop]
    return np.asarray(np.quantile(past[np.isfinite(past)], taus))
