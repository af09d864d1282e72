"""What came after each bar, and what the past would have said of it. Vectors over one symbol's bars; pure.

Of every bar: the lowest and the highest log price within the horizon and the log return at its end, ``NaN`` where bars
are missing or the file ends. The climatology of a bar looks at windows that were over by then, of the last half year.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from proxy.signals.backtest.bar_file import Bars
from proxy.signals.tails import Array

PAST_H: Final = 180 * 24
WINDOWS_NEEDED: Final = 600


@dataclass(frozen=True, slots=True)
class Futures:
    """One horizon of one symbol, a value for each bar."""

    bars_ahead: int
    low: Array
    high: Array
    close: Array
    variance: Array


def futures_of(bars: Bars, hours: float) -> Futures:
    """What came within ``hours`` after each bar."""
    ahead, n = round(hours / bars.hours), len(bars)
    low, high, close, variance = (np.full(n, np.nan) for _ in range(4))
    if n > ahead:
        whole = np.round((bars.ends[ahead:] - bars.ends[:-ahead]) / (bars.hours * 3_600)) == ahead
        logs = np.log(bars.close[:-ahead])
        windows = np.lib.stride_tricks.sliding_window_view
        low[:-ahead] = np.log(windows(bars.low[1:], ahead).min(axis=1)) - logs
        high[:-ahead] = np.log(windows(bars.high[1:], ahead).max(axis=1)) - logs
        close[:-ahead] = np.log(bars.close[ahead:]) - logs
        variance[:-ahead] = windows(_garman_klass(bars)[1:], ahead).sum(axis=1)
        for each in (low, high, close, variance):
            each[:-ahead][~whole] = np.nan
    return Futures(ahead, low, high, close, variance)


def share_before(hits: Array, futures: Futures, bar_hours: float) -> Array:
    """For each bar the share of ``hits`` (0, 1 or ``NaN``) among the windows that were over; ``NaN`` with too few."""
    known = ~np.isnan(hits)
    hit_sums = np.concatenate(([0.0], np.cumsum(np.nan_to_num(hits))))
    known_sums = np.concatenate(([0], np.cumsum(known)))
    places = np.arange(len(hits))
    ends = np.maximum(0, places - futures.bars_ahead + 1)
    begins = np.maximum(0, places - round(PAST_H / bar_hours) + 1)
    begins = np.minimum(begins, ends)
    counts = known_sums[ends] - known_sums[begins]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (hit_sums[ends] - hit_sums[begins]) / counts
    shares[counts < WINDOWS_NEEDED] = np.nan
    return np.asarray(shares)


def past_of(values: Array, futures: Futures, place: int, bar_hours: float) -> Array:
    """The values of the windows that were over at one bar, of the last half year."""
    end = max(0, place - futures.bars_ahead + 1)
    past = values[max(0, place - round(PAST_H / bar_hours) + 1) : end]
    return past[~np.isnan(past)]


def _garman_klass(bars: Bars) -> Array:
    spread, drift = np.log(bars.high / bars.low), np.log(bars.close / bars.open)
    return np.asarray(np.maximum(0.0, 0.5 * spread**2 - (2 * math.log(2) - 1) * drift**2))
