"""Rows out of CSV and Parquet files, as texts by column name, each knowing where in its file it stands."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `place` is its file and line (or row number) for error messages."""

    place: str
    cells: Mapping[str, str]


def read_rows(path: Path, columns: tuple[str, ...], needed: int) -> Iterator[Row]:
    """The rows of a file with `columns`, of which Parquet files must have the first `needed`.

    Errors: `OSError` when the file cannot be read, `ValueError` with the place when it is not such a file.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path, columns[:needed])
    if path.suffix == ".csv":
        return _read_csv(path, columns)
    raise ValueError(f"{path}: neither .csv nor .parquet (archives must be unpacked)")


def _read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                place = f"{path}:{reader.line_num}"
                if reader.line_num == 1 and cells and not cells[0][:1].isdigit():
                    if tuple(cells) != columns:
                        raise ValueError(f"{place}: the columns must be {','.join(columns)}")
                    continue
                if len(cells) != len(columns):
                    raise ValueError(f"{place}: {len(cells)} columns instead of {len(columns)}")
                yield Row(place, dict(zip(columns, cells, strict=True)))
        except (csv.Error, UnicodeDecodeError) as trouble:
            raise ValueError(f"{path}:{reader.line_num + 1}: {trouble}") from trouble


def _read_parquet(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    for number, cells in enumerate(_parquet_dicts(path, columns), start=1):
        place = f"{path}: row {number}"
        absent = [name for name in columns if cells.get(name) is None]
        if absent:
            raise ValueError(f"{place}: no {', '.join(absent)}")
        yield Row(place, {name: _as_text(cells[name]) for name in columns})


def _parquet_dicts(path: Path, columns: tuple[str, ...]) -> Iterator[Mapping[str, object]]:
    import polars  # Half a second, and only who replays Parquet needs it.

    try:
        rows = polars.scan_parquet(path)
        there = rows.collect_schema().names()
        yield from rows.select([name for name in columns if name in there]).collect().iter_rows(named=True)
    except (polars.exceptions.PolarsError, OSError) as trouble:
        raise ValueError(f"{path}: it cannot be read as Parquet: {trouble}") from trouble


def _as_text(cell: object) -> str:
    if isinstance(cell, datetime):
        # Time stamps without a zone are UTC, as everywhere in the archive.
        moment = cell if cell.tzinfo else cell.replace(tzinfo=UTC)
        return str(round(moment.timestamp() * 1000))
    return str(cell)
