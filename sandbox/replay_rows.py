"""Rows out of CSV and Parquet files, as texts by column name, each knowing where in its file it stands.

Parquet is read by pyarrow or polars, whichever is installed. Neither is needed for anything else, so neither comes
with the practice exchange.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


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
    library, module = _parquet_library()
    try:
        yield from _library_dicts(library, module, path, columns)
    except Exception as trouble:
        # The edge to a library that is not ours: each raises its own kinds for a broken file.
        raise ValueError(f"{path}: {library} cannot read it: {trouble}") from trouble


def _library_dicts(library: str, module: Any, path: Path, columns: tuple[str, ...]) -> Iterator[Mapping[str, object]]:
    if library == "pyarrow":
        file = module.ParquetFile(path)
        wanted = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=wanted):
            yield from batch.to_pylist()
    else:
        yield from module.read_parquet(path).iter_rows(named=True)


def _parquet_library() -> tuple[str, Any]:
    # Loaded by name: both are optional, and only who replays Parquet needs one.
    for library, module in (("pyarrow", "pyarrow.parquet"), ("polars", "polars")):
        try:
            return library, importlib.import_module(module)
        except ModuleNotFoundError:
            continue
    raise ValueError("Parquet files need pyarrow or polars, and neither is installed: pip install pyarrow")


def _as_text(cell: object) -> str:
    if isinstance(cell, datetime):
        # Time stamps without a zone are UTC, as everywhere in the archive.
        moment = cell if cell.tzinfo else cell.replace(tzinfo=UTC)
        return str(round(moment.timestamp() * 1000))
    return str(cell)
