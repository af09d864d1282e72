"""Reads bars for the measurements of signals: CSV or Parquet with symbol, ts, open, high, low, close, volume."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

COLUMNS: Final = ("open", "high", "low", "close", "volume")

Table = NDArray[np.float64]


def add_file(parser: argparse.ArgumentParser, bars: str) -> None:
    """Add ``--ohlcv``."""
    parser.add_argument(
        "--ohlcv",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help=f"{bars} bars, CSV or Parquet: symbol, ts (the bar's beginning), {', '.join(COLUMNS)}",
    )


def read(paths: Sequence[Path], step_s: int) -> dict[str, tuple[NDArray[np.int64], Table]]:
    """Of each symbol, in order of time: the bars' beginnings as multiples of ``step_s`` since 1970, and ``COLUMNS``."""
    import polars as pl  # Heavy, and this process alone wants it.

    whole = pl.concat([_frame(path).select("symbol", "ts", *COLUMNS) for path in paths])
    whole = whole.unique(["symbol", "ts"]).sort("symbol", "ts")
    return {
        str(symbol): (
            (bars["ts"].to_numpy() // step_s).astype(np.int64),
            bars.select(COLUMNS).to_numpy().astype(np.float64),
        )
        for (symbol,), bars in whole.group_by("symbol", maintain_order=True)
    }


def _frame(path: Path) -> pl.DataFrame:
    import polars as pl

    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    moments: Any = pl.col("ts")
    if frame["ts"].dtype.is_temporal():
        moments = moments.dt.epoch("s")
    return frame.with_columns(moments.cast(pl.Int64).alias("ts"), pl.col(COLUMNS).cast(pl.Float64))
