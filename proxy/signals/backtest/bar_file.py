"""Bars of many symbols from CSV or Parquet files, as exchanges' archives have them. The one part that needs polars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from proxy.signals.tails import Array

COLUMNS: Final = ("symbol", "ts", "open", "high", "low", "close", "volume")

_SECONDS_MAX, _MILLISECONDS_MAX = 1e11, 1e14


class FileUnreadable(Exception):
    """A file has no bars that could be walked over; says why."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's bars in order of time. ``ends`` are their closes, in seconds since 1970."""

    symbol: str
    hours: float
    ends: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array

    def __len__(self) -> int:
        return len(self.ends)


def read_files(paths: Sequence[Path]) -> list[Bars]:
    """Every symbol of these files, by name. ``ts`` is when a bar opened. Raises ``FileUnreadable``.

    Of bars with the same time the first stands. The length of a symbol's bars is the shortest step between two of them.
    """
    import polars as pl

    try:
        tables = [_table(pl, path) for path in paths]
        whole = pl.concat(tables).unique(["symbol", "ts"], keep="first").sort("symbol", "ts")
    except (pl.exceptions.PolarsError, OSError) as trouble:
        raise FileUnreadable(str(trouble)) from trouble
    found = []
    for (name,), rows in whole.group_by(["symbol"], maintain_order=True):
        columns = [rows[each].to_numpy() for each in COLUMNS[1:]]
        if len(rows) > 1:
            found.append(_bars(str(name), columns))
    return found


def _table(pl: Any, path: Path) -> Any:
    table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    missing = [name for name in COLUMNS[:-1] if name not in table.columns]
    if missing:
        raise FileUnreadable(f"{path}: no column {', '.join(missing)}")
    if "volume" not in table.columns:
        table = table.with_columns(pl.lit(0.0).alias("volume"))
    ts = table["ts"]
    if ts.dtype.is_temporal():
        seconds = ts.dt.epoch("us").cast(pl.Float64) / 1e6
    else:
        seconds = ts.cast(pl.Float64)
        most = float(seconds.max() or 0)
        seconds = seconds / (1e6 if most > _MILLISECONDS_MAX else 1e3 if most > _SECONDS_MAX else 1.0)
    numbers = [pl.col(name).cast(pl.Float64) for name in COLUMNS[2:]]
    return table.with_columns(seconds.alias("ts")).select(pl.col("symbol").cast(pl.String), pl.col("ts"), *numbers)


def _bars(symbol: str, columns: Sequence[Array]) -> Bars:
    opened, *prices = columns
    step = float(np.diff(opened).min())
    table = np.array(prices[:4])
    if not (np.isfinite(table).all() and (table > 0).all()):
        raise FileUnreadable(f"{symbol}: a price is no number above zero")
    return Bars(symbol, step / 3_600, opened + step, *prices)
