"""Bars from CSV or Parquet files, checked cell by cell: what is wrong is named with its file, row and column.

Columns ``symbol, ts, open, high, low, close, volume``, others are ignored. ``ts`` is the bar's opening, as exchanges
publish it: a timestamp (taken for UTC where it has no zone), an ISO 8601 text, or unix time in seconds, milliseconds,
microseconds or nanoseconds. Rows may come in any order; a symbol's bars are all of one length, a minute to an hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]

PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("symbol", "ts", *PRICES, "volume")
BARS_MIN: Final = 2
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Unix time above the first number is in the unit of which a second has the second number."""


class BarsUnreadable(ValueError):
    """A file that holds no bars; the text says where."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's bars, oldest first. ``ts`` is each bar's close in unix seconds."""

    symbol: str
    bar_hours: float
    ts: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def read_bars(paths: Iterable[Path], symbols: frozenset[str] | None = None) -> list[Bars]:
    """All symbols of all files (or those named), each once, in order of name. Raises ``BarsUnreadable``."""
    found: dict[str, tuple[Path, Bars]] = {}
    for path in paths:
        for bars in _read(path, symbols):
            if bars.symbol in found:
                raise BarsUnreadable(f"{path}: symbol {bars.symbol} is in {found[bars.symbol][0]} too")
            found[bars.symbol] = (path, bars)
    if symbols is not None and (missing := sorted(symbols - found.keys())):
        raise BarsUnreadable(f"no bars of {', '.join(missing)}")
    return [found[symbol][1] for symbol in sorted(found)]


def _read(path: Path, symbols: frozenset[str] | None) -> list[Bars]:
    # Half a second to import, and only this command needs it.
    import polars as pl

    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif path.suffix == ".csv":
            table = pl.read_csv(path, infer_schema=False)
        else:
            raise BarsUnreadable(f"{path}: neither .csv nor .parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BarsUnreadable(f"{path}: {error}") from error
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise BarsUnreadable(f"{path}: no column {', '.join(missing)}")
    table = table.select(COLUMNS).with_row_index("row", offset=1)
    table = table.with_columns(pl.col("symbol").cast(pl.String))
    _no_gaps(path, table, "symbol", table["symbol"].is_null())
    if symbols is not None:
        table = table.filter(pl.col("symbol").is_in(symbols))
    numbers = table.with_columns(_seconds(path, table), *(_numbers(path, table, name) for name in (*PRICES, "volume")))
    _check(path, numbers)
    numbers = numbers.sort("symbol", "ts")
    return [_bars(path, group) for group in numbers.partition_by("symbol", maintain_order=True)]


def _seconds(path: Path, table: pl.DataFrame) -> pl.Series:
    """``ts`` as unix seconds."""
    import polars as pl

    given = table["ts"]
    if given.dtype == pl.String:
        numbers = given.cast(pl.Float64, strict=False)
        if numbers.null_count():
            numbers = pl.Series([_iso_seconds(text) for text in given], dtype=pl.Float64)
        given = numbers
    if given.dtype == pl.Date:
        given = given.cast(pl.Datetime("us"))
    if isinstance(given.dtype, pl.Datetime):
        seconds = given.dt.epoch("us").cast(pl.Float64) / 1e6
    elif given.dtype.is_numeric():
        seconds = given.cast(pl.Float64)
        farthest = max((abs(each) for each in (seconds.min(), seconds.max()) if isinstance(each, float)), default=0.0)
        seconds = seconds / next((unit for above, unit in _UNITS if farthest > above), 1.0)
    else:
        raise BarsUnreadable(f"{path}: column ts is no time ({given.dtype})")
    _no_gaps(path, table, "ts", ~seconds.is_finite().fill_null(False))
    return seconds.alias("ts")


def _iso_seconds(text: str | None) -> float | None:
    """Where the text has no zone it is UTC."""
    try:
        moment = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _numbers(path: Path, table: pl.DataFrame, name: str) -> pl.Series:
    import polars as pl

    numbers = table[name].cast(pl.Float64, strict=False)
    _no_gaps(path, table, name, ~numbers.is_finite().fill_null(False))
    return numbers


def _no_gaps(path: Path, table: pl.DataFrame, name: str, bad: pl.Series) -> None:
    """Raise for the first row that ``bad`` marks."""
    if bad.any():
        first = table.filter(bad).row(0, named=True)
        raise BarsUnreadable(f"{path}: row {first['row']}, column {name}: {first[name]!r} will not do")


def _check(path: Path, table: pl.DataFrame) -> None:
    """Prices that a bar can have."""
    for name in PRICES:
        _no_gaps(path, table, name, table[name] <= 0)
    _no_gaps(path, table, "volume", table["volume"] < 0)
    _no_gaps(path, table, "high", (table["high"] < table["open"]) | (table["high"] < table["close"]))
    _no_gaps(path, table, "low", (table["low"] > table["open"]) | (table["low"] > table["close"]))


def _bars(path: Path, table: pl.DataFrame) -> Bars:
    symbol = str(table["symbol"][0])
    opened = table["ts"].to_numpy()
    if len(opened) < BARS_MIN:
        raise BarsUnreadable(f"{path}: one bar of {symbol} does not say how long bars are")
    steps = np.diff(opened)
    if (steps <= 0).any():
        row = table["row"][int(np.argmax(steps <= 0)) + 1]
        raise BarsUnreadable(f"{path}: row {row}, column ts: a second bar of {symbol} at the same time")
    length = float(np.median(steps))
    if not 59 < length < 3601 or (steps < length - 1).any():
        raise BarsUnreadable(
            f"{path}: bars of {symbol} are {length:g} s apart; a minute to an hour, all alike, is read"
        )
    columns = {name: table[name].to_numpy() for name in (*PRICES, "volume")}
    return Bars(symbol, length / 3600, opened + length, **columns)
