"""Writes rows as CSV, Parquet or JSON lines: row by row, whole or not at all, every number to its last digit.

CSV is for spreadsheets, so text in it cannot become a formula (``cells``). In JSON lines exact numbers are strings, as
everywhere in the guard. In Parquet they are decimals of 38 digits, 18 of them after the point. Rows are drawn one
after another in the caller's thread, and no more of them than a row group are in memory.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, get_args

import msgspec

from proxy.disk import sync_directory
from proxy.exporting.cells import csv_cell, plain_text
from proxy.exporting.columns import Column, checked

Format = Literal["csv", "parquet", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_NOT_A_STREAM: Final = "Parquet is written to a file, not to a stream"


def write_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], path: Path | BinaryIO, format: Format
) -> int:
    """Write every row and give their number. A file at ``path`` is replaced when all is written, and is its owner's.

    An open stream (standard output), a pipe and a device take CSV and JSON lines. Raises ``UnwritableValue``,
    ``OSError``, and what ``rows`` raise; then nothing is at ``path`` that was not there before.
    """
    table = _Table(rows, tuple(columns))
    if isinstance(path, Path):
        if format == "parquet" and is_stream(path):
            raise ValueError(_NOT_A_STREAM)
        with whole_file(path) as upcoming:
            if format == "parquet":
                from proxy.exporting.parquet import write_parquet  # polars takes half a second to import.

                write_parquet(table, table.columns, upcoming)
            else:
                with upcoming.open("wb") as output:
                    _write_text(table, output, format)
        return table.count
    if format == "parquet":
        raise ValueError(_NOT_A_STREAM)
    _write_text(table, path, format)
    return table.count


class _Table:
    """The rows, checked and counted as they are drawn."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], columns: tuple[Column, ...]) -> None:
        self._rows = rows
        self.columns = columns
        self.count = 0

    def __iter__(self) -> Iterator[list[Any]]:
        for row in self._rows:
            yield checked(row, self.columns, self.count + 1)
            self.count += 1


def is_stream(path: Path) -> bool:
    """Whether something is at ``path`` that is written into, and never replaced: a pipe, a device."""
    return path.exists() and not path.is_file()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that takes its place at the end, or is gone; a link goes on leading there.

    A pipe or a device is given itself: there, nothing is taken back.
    """
    if is_stream(path):
        yield path
        return
    asked, path = path, path.resolve()
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as trouble:  # What is written to at first has a name that nobody knows.
        raise OSError(trouble.errno, trouble.strerror, str(asked)) from trouble
    os.close(descriptor)
    upcoming = Path(name)
    try:
        yield upcoming
        with upcoming.open("rb") as written:
            os.fsync(written.fileno())
        upcoming.replace(path)
    except BaseException:
        upcoming.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write_text(table: _Table, output: BinaryIO, format: Format) -> None:
    if format == "jsonl":
        _write_jsonl(table, output)
    else:
        _write_csv(table, output)


def _write_csv(table: _Table, output: BinaryIO) -> None:
    text = io.TextIOWrapper(output, encoding="utf-8", newline="", write_through=False)
    # RFC 4180's line ends; with them a lone CR or LF in a cell is quoted too.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    for values in table:
        writer.writerow([csv_cell(value) for value in values])
    text.flush()
    text.detach()


def _write_jsonl(table: _Table, output: BinaryIO) -> None:
    names = [column.name for column in table.columns]
    for values in table:
        shown = {name: _json_value(value) for name, value in zip(names, values, strict=True)}
        output.write(msgspec.json.encode(shown) + b"\n")
    output.flush()


def _json_value(value: Any) -> Any:
    return plain_text(value) if isinstance(value, Decimal) else value
