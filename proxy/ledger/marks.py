"""One mark price a minute, and every funding rate that was charged, of the symbols that mattered: a table on the disk.

It is kept for questions asked later ("what would this refused order have made?") and is no evidence: it is bounded in
time, losing the last second of it in a power cut is no loss, and nothing waits for it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from proxy.tables import BUSY_TIMEOUT_S, make_ready, open_private
from rules.snapshot import Market

KEPT: Final = timedelta(days=90)
"""At forty symbols all the time about a hundred megabytes."""

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS symbols (number INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL,"
    " UNIQUE (venue, symbol)) STRICT",
    "CREATE TABLE IF NOT EXISTS marks (number INTEGER NOT NULL, at_s INTEGER NOT NULL, price TEXT NOT NULL,"
    " PRIMARY KEY (number, at_s)) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS fundings (number INTEGER NOT NULL, at_ms INTEGER NOT NULL, rate TEXT NOT NULL,"
    " PRIMARY KEY (number, at_ms)) STRICT, WITHOUT ROWID",
)
_NUMBER: Final = "(SELECT number FROM symbols WHERE venue = ? AND symbol = ?)"


class MarksUnavailable(Exception):
    """The file cannot be opened, read or written."""


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding rate that was charged: a fraction of notional that longs paid to shorts, negative the other way."""

    at: datetime
    rate: Decimal


def marks_path(data_dir: Path) -> Path:
    """Where the table is, in a guard's data directory."""
    return data_dir / "ledger" / "marks.db"


class MarkBook:
    """The writer's side; one process has it. Its methods may be called from any thread, and block for the disk."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> MarkBook:
        """Open the table, or begin it. Raises ``MarksUnavailable``."""
        try:
            connection = open_private(path)
        except (sqlite3.Error, OSError) as error:
            raise MarksUnavailable(f"{path}: {error}") from error
        try:
            make_ready(connection)
            for statement in _TABLES:
                connection.execute(statement)
        except sqlite3.Error as error:
            connection.close()
            raise MarksUnavailable(f"{path}: {error}") from error
        return cls(connection)

    def close(self) -> None:
        """Give the file back. Closing twice is harmless."""
        with self._guard:
            self._connection.close()

    def keep_marks(self, venue: str, markets: Iterable[Market]) -> None:
        """Keep the mark prices of these; the first of a second stands. Raises ``MarksUnavailable``."""
        rows = ((each.symbol, int(each.as_of.timestamp()), str(each.mark_price)) for each in markets)
        self._keep(venue, "marks", rows)

    def keep_fundings(self, venue: str, symbol: str, fundings: Iterable[Funding]) -> None:
        """Keep funding rates; those that are here already stand. Raises ``MarksUnavailable``."""
        self._keep(venue, "fundings", ((symbol, _milliseconds(each.at), str(each.rate)) for each in fundings))

    def last_funding(self, venue: str, symbol: str) -> datetime | None:
        """The newest stamp that is kept, ``None`` without any. Raises ``MarksUnavailable``."""
        with self._guard:
            try:
                query = f"SELECT max(at_ms) FROM fundings WHERE number = {_NUMBER}"  # noqa: S608 - no value in the text
                (at_ms,) = self._connection.execute(query, (venue, symbol)).fetchone()
            except sqlite3.Error as error:
                raise MarksUnavailable(str(error)) from error
        return None if at_ms is None else _moment(at_ms)

    def forget_before(self, at: datetime) -> None:
        """Forget everything older. Raises ``MarksUnavailable``."""
        with self._transaction() as connection:
            # Symbol by symbol, along the tables' own order: the rows that stay are not even looked at.
            numbers = [number for (number,) in connection.execute("SELECT number FROM symbols").fetchall()]
            for table, column, before in (
                ("marks", "at_s", int(at.timestamp())),
                ("fundings", "at_ms", _milliseconds(at)),
            ):
                delete = f"DELETE FROM {table} WHERE number = ? AND {column} < ?"  # noqa: S608 - no value in the text
                connection.executemany(delete, [(number, before) for number in numbers])

    def _keep(self, venue: str, table: str, rows: Iterable[tuple[str, int, str]]) -> None:
        rows = list(rows)
        insert = f"INSERT OR IGNORE INTO {table} VALUES ({_NUMBER}, ?, ?)"  # noqa: S608 - no value in the text
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO symbols (venue, symbol) VALUES (?, ?)", {(venue, row[0]) for row in rows}
            )
            connection.executemany(insert, [(venue, *row) for row in rows])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise MarksUnavailable(str(error)) from error


class MarkReader:
    """Questions to the table, while a writer is at work. Every one opens the file anew and blocks for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def marks_between(
        self, venue: str, symbol: str, begin: datetime, end: datetime
    ) -> tuple[tuple[datetime, Decimal], ...]:
        """The marks kept from ``begin`` to ``end``, both included, oldest first. Raises ``MarksUnavailable``."""
        query = (
            f"SELECT at_s, price FROM marks WHERE number = {_NUMBER} AND at_s BETWEEN ? AND ?"  # noqa: S608 - as above
            " ORDER BY at_s"
        )
        rows = self._ask(query, (venue, symbol, begin.timestamp(), end.timestamp()))
        return tuple((_moment(at_s * 1000), Decimal(price)) for at_s, price in rows)

    def funding_between(self, venue: str, symbol: str, begin: datetime, end: datetime) -> tuple[Funding, ...]:
        """The fundings charged after ``begin`` and up to ``end``, oldest first: what a position held then has paid.

        Raises ``MarksUnavailable``.
        """
        query = (
            f"SELECT at_ms, rate FROM fundings WHERE number = {_NUMBER} AND at_ms > ? AND at_ms <= ?"  # noqa: S608
            " ORDER BY at_ms"
        )
        rows = self._ask(query, (venue, symbol, _milliseconds(begin), _milliseconds(end)))
        return tuple(Funding(_moment(at_ms), Decimal(rate)) for at_ms, rate in rows)

    def _ask(self, query: str, values: tuple[object, ...]) -> list[Any]:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise MarksUnavailable(f"{self._path}: {error}") from error


def _milliseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)
