"""What all symbols did in the same hours, and what was foreseen of each: the history that scenarios are taken from.

An hour of a symbol is its low, high and close as log returns on the close before, beside the forecast volatility of
what followed it. A scenario is one window of history, the same hours for every symbol, each symbol's path in it
multiplied by its volatility forecast of now over that of then. So symbols fall together as they have fallen together,
and nothing is assumed independent.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.signals.tails import Array

HORIZONS_H: Final = (1, 8, 24)
"""The horizons that are foreseen, in hours."""

HOURS_KEPT: Final = 180 * 24
_STRIDE: Final = (1, 2, 4)
"""For each of these horizons, every how many hours a window begins."""

WINDOWS_NEEDED: Final = 150
"""Windows that all symbols must have in common: 25 days of those of a day."""

_COLUMNS: Final = 3 + len(HORIZONS_H)
_PATH_MAX: Final = 3.0
"""A scaled log price beyond this is cut: twentyfold is far enough for anything, and e to it stays a number."""

_LOW, _HIGH, _CLOSE = range(3)


class Hour(NamedTuple):
    """One closed hour: log returns on the close before, and the volatility then forecast for each of ``HORIZONS_H``."""

    low: float
    high: float
    close: float
    scales: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Log prices relative to now, by scenario, hour and symbol."""

    low: Array
    high: Array
    close: Array

    def __len__(self) -> int:
        return len(self.close)


class Extremes(NamedTuple):
    """Of each window of one symbol, log prices relative to its beginning."""

    low: Array
    high: Array
    close: Array


class _Series(NamedTuple):
    """One symbol's hours in a ring: the row of an hour is overwritten by the one ``HOURS_KEPT`` later.

    The arrays are never changed, only replaced: whoever holds them may read them in any thread.
    """

    rows: NDArray[np.float32]
    hours: NDArray[np.int64]
    last: int

    def between(self, first: int, last: int) -> NDArray[np.float32]:
        """The rows of these hours, both included, oldest first; a missing hour is NaN."""
        hours = np.arange(first, last + 1)
        places = hours % HOURS_KEPT
        rows = self.rows[places]
        rows[self.hours[places] != hours] = np.nan
        return rows

    def everything(self) -> NDArray[np.float32]:
        """All hours there can be, oldest first."""
        return self.between(max(0, self.last - HOURS_KEPT + 1), self.last) if self.last >= 0 else self.rows[:0]


_NO_HOURS: Final = _Series(
    np.full((HOURS_KEPT, _COLUMNS), np.nan, dtype=np.float32), np.full(HOURS_KEPT, -1, dtype=np.int64), -1
)


class JointHistory:
    """The last ``HOURS_KEPT`` hours of every symbol. An hour's number is its end in hours since 1970."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def add(self, symbol: str, number: int, hour: Hour) -> None:
        """An hour has closed; one that is not later than the last known is passed over."""
        series = self._series.get(symbol, _NO_HOURS)
        if number <= series.last:
            return
        rows, hours = series.rows.copy(), series.hours.copy()
        rows[number % HOURS_KEPT] = (hour.low, hour.high, hour.close, *hour.scales)
        hours[number % HOURS_KEPT] = number
        self._series[symbol] = _Series(rows, hours, number)

    def keep_only(self, symbols: Iterable[str]) -> None:
        """Forget every other symbol."""
        kept = set(symbols)
        self._series = {symbol: series for symbol, series in self._series.items() if symbol in kept}

    def common(self, symbols: Sequence[str]) -> CommonHours:
        """The hours of these symbols up to the last that all have; another thread may work on them."""
        return CommonHours(tuple(symbols), [self._series.get(symbol, _NO_HOURS) for symbol in symbols])

    def between(self, symbol: str, first: int, last: int) -> NDArray[np.float32] | None:
        """Low, high and close of a symbol's hours from ``first`` to ``last``; ``None`` when one of them is missing."""
        series = self._series.get(symbol)
        if series is None or not 0 <= last - first < HOURS_KEPT:
            return None
        rows = series.between(first, last)[:, : _CLOSE + 1]
        return None if np.isnan(rows).any() else rows

    def state(self, symbol: str) -> dict[str, Any]:
        """One symbol's hours as plain data."""
        series = self._series.get(symbol, _NO_HOURS)
        return {"last": series.last, "rows": base64.b64encode(series.everything().tobytes()).decode()}

    def restore(self, symbol: str, state: Mapping[str, Any]) -> None:
        """Take up one symbol's hours. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
        last = int(state["last"])
        rows = np.frombuffer(base64.b64decode(state["rows"], validate=True), dtype=np.float32).reshape(-1, _COLUMNS)
        if len(rows) > HOURS_KEPT or last < len(rows) - 1:
            raise ValueError("more hours than there can be")
        series = _Series(_NO_HOURS.rows.copy(), _NO_HOURS.hours.copy(), last)
        hours = np.arange(last - len(rows) + 1, last + 1)
        known = ~np.isnan(rows[:, _CLOSE])
        series.rows[hours[known] % HOURS_KEPT] = rows[known]
        series.hours[hours[known] % HOURS_KEPT] = hours[known]
        self._series[symbol] = series


class CommonHours:
    """Hours of several symbols on the same clock: the raw material of scenarios."""

    def __init__(self, symbols: tuple[str, ...], series: Sequence[_Series]) -> None:
        self.symbols = symbols
        self._series = series

    @cached_property
    def _rows(self) -> Array:
        """By hour and symbol; worked out by whoever asks first, in its own thread."""
        last = min((each.last for each in self._series), default=-1)
        if last < 0:
            return np.empty((0, len(self.symbols), _COLUMNS))
        first = max(0, last - HOURS_KEPT + 1)
        return np.stack([each.between(first, last) for each in self._series], axis=1).astype(np.float64)

    def scenarios(self, horizon_h: int, scales: Sequence[float]) -> Scenarios:
        """Every window of ``horizon_h`` (one of ``HORIZONS_H``) that all symbols have whole, at ``scales`` of now.

        Longer windows overlap so much that not every hour begins one.
        """
        origins = self._origins(horizon_h)
        forecast = self._rows[origins, :, 3 + HORIZONS_H.index(horizon_h)]
        return self._paths(origins, horizon_h, np.asarray(scales) / forecast)

    def extremes(self, horizon_h: int) -> Extremes:
        """The lowest, the highest and the last log price of the first symbol's windows, as they were."""
        origins = self._origins(horizon_h)
        paths = self._paths(origins, horizon_h, np.ones((len(origins), len(self.symbols))))
        return Extremes(paths.low[:, :, 0].min(axis=1), paths.high[:, :, 0].max(axis=1), paths.close[:, -1, 0])

    def _origins(self, horizon_h: int) -> NDArray[np.intp]:
        """The rows after which a window begins, oldest first. They are counted back from the newest, so that the
        windows are the same whichever hour is the first kept."""
        back = np.arange(0, max(0, len(self._rows) - horizon_h), _STRIDE[HORIZONS_H.index(horizon_h)])[::-1]
        origins = len(self._rows) - 1 - horizon_h - back
        missing = np.isnan(self._rows[:, :, _CLOSE]).any(axis=1)
        gaps = np.concatenate(([0], np.cumsum(missing)))
        return np.asarray(origins[gaps[origins + 1 + horizon_h] - gaps[origins] == 0])

    def _paths(self, origins: NDArray[np.intp], horizon_h: int, ratios: Array) -> Scenarios:
        closes = np.cumsum(np.nan_to_num(self._rows[:, :, _CLOSE]), axis=0)
        steps = origins[:, None] + 1 + np.arange(horizon_h)
        begins = closes[origins][:, None, :]
        before, factor = closes[steps - 1] - begins, ratios[:, None, :]
        return Scenarios(
            low=_cut(factor * (before + self._rows[steps, :, _LOW])),
            high=_cut(factor * (before + self._rows[steps, :, _HIGH])),
            close=_cut(factor * (closes[steps] - begins)),
        )


def hourly_variances(rows: NDArray[Any]) -> Array:
    """By Garman and Klass (1980), from low, high and close as they stand in a history: the close before is the open."""
    spread = rows[:, _HIGH] - rows[:, _LOW]
    return np.asarray(np.maximum(0.0, 0.5 * spread**2 - (2 * math.log(2) - 1) * rows[:, _CLOSE] ** 2))


def _cut(path: Array) -> Array:
    return np.clip(path, -_PATH_MAX, _PATH_MAX)
