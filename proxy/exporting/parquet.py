"""Parquet through polars. Importing this takes half a second: only who writes Parquet does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from proxy.exporting.columns import DIGITS_AFTER_POINT_MAX, DIGITS_BEFORE_POINT_MAX, Column, Kind

ROW_GROUP_ROWS: Final = 4_000

_TYPES: Final[dict[Kind, pl.DataType]] = {
    Kind.TEXT: pl.String(),
    Kind.INTEGER: pl.Int64(),
    Kind.DECIMAL: pl.Decimal(DIGITS_BEFORE_POINT_MAX + DIGITS_AFTER_POINT_MAX, DIGITS_AFTER_POINT_MAX),
    Kind.TIME: pl.Datetime("us", "UTC"),
    Kind.BOOLEAN: pl.Boolean(),
}


def write_parquet(rows: Iterable[list[Any]], columns: tuple[Column, ...], path: Path) -> None:
    """Write checked rows in order. Each row group is a file of its own first, so that one at a time is in memory.

    Raises ``OSError`` and what ``rows`` raise.
    """
    schema = {column.name: _TYPES[column.kind] for column in columns}
    drawn = iter(rows)
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder:
        parts: list[Path] = []
        while (group := list(islice(drawn, ROW_GROUP_ROWS))) or not parts:
            parts.append(Path(folder) / f"{len(parts):06d}.parquet")
            pl.DataFrame(group, schema=schema, orient="row").write_parquet(parts[-1])
        pl.scan_parquet(parts).sink_parquet(path, row_group_size=ROW_GROUP_ROWS)
