"""What came after every hour of a file, and what came before it: the outcomes, and the climatology to be beaten.

The climatology is the plain frequency of the trailing 180 days: how often, from every hour of them, a level this far
away was reached within the horizon. It knows the symbol and nothing of the day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from proxy.signals.backtest.reader import Bars
from proxy.signals.forecast.features import VARIANCE_FLOOR

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HourTable:
    """A file's hours without holes: log prices and variance of each, not a number where the hour is missing.

    ``first`` is the number of the first hour since 1970; ``last_bar`` the index of each hour's last bar, -1 for none.
    """

    first: int
    last_bar: NDArray[np.intp]
    high: Floats
    low: Floats
    close: Floats
    variance: Floats


def hour_table(bars: Bars) -> HourTable:
    """Gather bars into hours of the clock."""
    numbers = ((bars.ts - bars.bar_hours * 1800) // 3600).astype(np.intp)
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    ends = np.append(starts[1:], len(numbers)) - 1
    where = numbers[starts] - numbers[0]
    size = int(where[-1]) + 1
    high, low = np.maximum.reduceat(bars.high, starts), np.minimum.reduceat(bars.low, starts)
    opened, closed = bars.open[starts], bars.close[ends]
    jump = np.log(opened / np.append(opened[0], closed[:-1]))
    body = np.log(closed / opened)
    variance = np.maximum(0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * body**2, 0) + jump**2
    last_bar = np.full(size, -1)
    last_bar[where] = ends

    def dense(values: Floats) -> Floats:
        table = np.full(size, np.nan)
        table[where] = values
        return table

    return HourTable(
        int(numbers[0]), last_bar, dense(np.log(high)), dense(np.log(low)), dense(np.log(closed)), dense(variance)
    )


@dataclass(frozen=True, slots=True)
class Ahead:
    """From the end of every hour over one horizon: furthest fall and rise, the return, the log variance."""

    down: Floats
    up: Floats
    end: Floats
    log_variance: Floats


def ahead(table: HourTable, hours: int) -> Ahead:
    """Not a number where the horizon is not over, or an hour of it is missing."""
    rows = len(table.close)
    found = Ahead(*(np.full(rows, np.nan) for _ in range(4)))
    count = rows - hours
    if count <= 0:
        return found
    start = table.close[:count]
    found.down[:count] = start - sliding_window_view(table.low[1:], hours).min(axis=1)
    found.up[:count] = sliding_window_view(table.high[1:], hours).max(axis=1) - start
    found.end[:count] = table.close[hours:] - start
    total = sliding_window_view(table.variance[1:], hours).sum(axis=1)
    found.log_variance[:count] = np.log(total + hours * VARIANCE_FLOOR)
    return found


def trailing_frequency(hits: Floats, hours: int, memory: int, at: NDArray[np.intp]) -> Floats:
    """For each row of ``at``, the share of hits from the ``memory`` rows before whose horizon was over by then.

    ``hits`` has a row an hour and a column a level: 1, 0, or not a number. Not a number where nothing was known.
    """
    known = np.isfinite(hits)
    zero = np.zeros((1, hits.shape[1]))
    events = np.concatenate([zero, np.cumsum(np.where(known, hits, 0.0), axis=0)])
    counts = np.concatenate([zero, np.cumsum(known, axis=0)])
    stop = np.maximum(at - hours + 1, 0)
    start = np.maximum(stop - memory, 0)
    count = counts[stop] - counts[start]
    share = np.full(count.shape, np.nan)
    np.divide(events[stop] - events[start], count, out=share, where=count > 0)
    return share
