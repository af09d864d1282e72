"""Every forecast as it was stated, with its outcome once that is known: a table on the disk.

It is bounded in time and in rows, and losing the last second of it in a power cut is no loss. One process has it; its
methods may be called from any thread, and block for the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from proxy.signals.scoreboard.card import Row
from proxy.signals.scoreboard.stated import Stated, Subject
from proxy.tables import make_ready, open_private

KEPT: Final = timedelta(days=90)
ROWS_MAX: Final = 1_000_000
"""About seventy megabytes."""

_VERSION: Final = 1
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS series (number INTEGER PRIMARY KEY, signal TEXT NOT NULL, symbol TEXT NOT NULL,"
    " horizon_h REAL NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, method TEXT NOT NULL,"
    " UNIQUE (signal, symbol, horizon_h, key, kind, method)) STRICT",
    "CREATE TABLE IF NOT EXISTS forecasts (series INTEGER NOT NULL, as_of INTEGER NOT NULL, until INTEGER NOT NULL,"
    " value REAL NOT NULL, reference REAL, outcome REAL, PRIMARY KEY (series, as_of)) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS marks (signal TEXT NOT NULL, symbol TEXT NOT NULL, horizon_h REAL NOT NULL,"
    " since INTEGER NOT NULL, PRIMARY KEY (signal, symbol, horizon_h)) STRICT",
)
_SERIES: Final = (
    "(SELECT number FROM series WHERE signal = ? AND symbol = ? AND horizon_h = ? AND key = ? AND kind = ?"
    " AND method = ?)"
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA})


class LogUnavailable(Exception):
    """The file cannot be opened, read or written."""


class LogDamaged(LogUnavailable):
    """The file is not what this guard writes, or broken."""


class Window(NamedTuple):
    """Outcomes due from ``begin`` to ``end`` (unix seconds, not included); one due before ``lost`` comes no more."""

    begin: int
    end: int
    lost: int


class Scored(NamedTuple):
    """What one card is made of: the forecasts with an outcome, how many never got one, and the newest method."""

    rows: Sequence[Row]
    unknown: int
    method: str


def log_path(data_dir: Path) -> Path:
    """Where the table is, in a guard's data directory."""
    return data_dir / "signals" / "forecasts.db"


def set_aside(path: Path) -> Path:
    """Put a damaged table where somebody can look at it, in place of an earlier one. Raises ``LogUnavailable``."""
    kept = path.with_name("forecasts.damaged.db")
    try:
        for ending in ("", "-wal", "-shm"):
            written = path.with_name(path.name + ending)
            kept.with_name(kept.name + ending).unlink(missing_ok=True)
            if written.exists():
                written.replace(kept.with_name(kept.name + ending))
    except OSError as error:
        raise LogUnavailable(f"{path} is damaged and cannot be set aside: {error.strerror}") from error
    return kept


class ForecastLog:
    """The forecasts on the disk."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> ForecastLog:
        """Open the table, or begin it. Raises ``LogDamaged`` or ``LogUnavailable``."""
        try:
            connection = open_private(path)
        except (sqlite3.Error, OSError) as error:
            raise LogUnavailable(f"{path}: {error}") from error
        try:
            with _told(path):
                make_ready(connection)
                _check(connection, path)
                connection.execute("BEGIN IMMEDIATE")
                for statement in (*_TABLES, f"PRAGMA user_version = {_VERSION}", "COMMIT"):
                    connection.execute(statement)
        except LogUnavailable:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Give the file back. Closing twice is harmless."""
        with self._guard:
            self._connection.close()

    def write(self, stated: Iterable[Stated], outcomes: Iterable[tuple[Stated, float]]) -> None:
        """Write forecasts and outcomes in one transaction. The first statement of a forecast stands, and so does its
        first outcome. Raises ``LogUnavailable``."""
        stated = list(stated)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO series (signal, symbol, horizon_h, key, kind, method) VALUES (?, ?, ?, ?, ?, ?)",
                {_series(each) for each in stated},
            )
            connection.executemany(
                f"INSERT OR IGNORE INTO forecasts VALUES ({_SERIES}, ?, ?, ?, ?, NULL)",  # noqa: S608 - no value in it
                [(*_series(each), each.as_of, each.until, each.value, each.reference) for each in stated],
            )
            connection.executemany(
                f"UPDATE forecasts SET outcome = ? WHERE series = {_SERIES} AND as_of = ? AND outcome IS NULL",  # noqa: S608 - as above
                [(outcome, *_series(each), each.as_of) for each, outcome in outcomes],
            )

    def mark(self, subject: Subject, since: int | None) -> None:
        """Remember since when a card is unreliable; ``None``: it is not. Raises ``LogUnavailable``."""
        with self._transaction() as connection:
            if since is None:
                connection.execute("DELETE FROM marks WHERE signal = ? AND symbol = ? AND horizon_h = ?", subject)
            else:
                connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)", (*subject, since))

    def forget(self, before: int, rows_max: int = ROWS_MAX) -> None:
        """Forget forecasts whose outcome was due before that, and the oldest beyond ``rows_max``.

        Raises ``LogUnavailable``.
        """
        with self._transaction() as connection:
            connection.execute("DELETE FROM forecasts WHERE until < ?", (before,))
            ((rows,),) = connection.execute("SELECT count(*) FROM forecasts")
            if rows > rows_max:
                query = "SELECT until FROM forecasts ORDER BY until LIMIT 1 OFFSET ?"
                ((oldest_kept,),) = connection.execute(query, (rows - rows_max,))
                connection.execute("DELETE FROM forecasts WHERE until < ?", (oldest_kept,))
            connection.execute("DELETE FROM series WHERE number NOT IN (SELECT DISTINCT series FROM forecasts)")
            connection.execute(
                "DELETE FROM marks WHERE NOT EXISTS (SELECT 1 FROM series WHERE series.signal = marks.signal"
                " AND series.symbol = marks.symbol AND series.horizon_h = marks.horizon_h)"
            )

    def since(self, until: int) -> list[tuple[Stated, float | None]]:
        """The forecasts whose outcome was or is due after that, with it if it is known, oldest first.

        Raises ``LogUnavailable``.
        """
        rows = self._ask(
            "SELECT signal, symbol, horizon_h, key, kind, method, as_of, until, value, reference, outcome"
            " FROM forecasts JOIN series ON series = number WHERE until > ? ORDER BY as_of, series",
            (until,),
        )
        try:
            return [(_stated(row), row[-1]) for row in rows]
        except ValueError as error:
            raise LogDamaged(f"a forecast in it was never stated like that: {error}") from error

    def subjects(self) -> list[Subject]:
        """What there are forecasts of. Raises ``LogUnavailable``."""
        rows = self._ask("SELECT DISTINCT signal, symbol, horizon_h FROM series ORDER BY signal, symbol, horizon_h", ())
        return [Subject(*row) for row in rows]

    def marks(self) -> dict[Subject, int]:
        """The unreliable cards and since when they are. Raises ``LogUnavailable``."""
        return {Subject(*row[:3]): row[3] for row in self._ask("SELECT * FROM marks", ())}

    def scored(self, subject: Subject, window: Window, rows_max: int) -> Scored:
        """The newest ``rows_max`` forecasts of a card in a window. Raises ``LogUnavailable``.

        One whose outcome came early counts from when it was due: what comes true is known before what does not.
        """
        where = "FROM forecasts JOIN series ON series = number WHERE signal = ? AND symbol = ? AND horizon_h = ?"
        rows = self._ask(
            f"SELECT key, kind, as_of, until, value, reference, outcome {where} AND until >= ? AND until < ?"
            " AND outcome IS NOT NULL ORDER BY as_of DESC, series LIMIT ?",
            (*subject, window.begin, window.end, rows_max),
        )
        ((unknown,),) = self._ask(
            f"SELECT count(*) {where} AND until >= ? AND until < ? AND outcome IS NULL",
            (*subject, window.begin, window.lost),
        )
        newest = self._ask(f"SELECT method {where} ORDER BY as_of DESC LIMIT 1", subject)
        return Scored([Row(*row) for row in rows], unknown, newest[0][0] if newest else "")

    def _ask(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._guard, _told():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard, _told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ``LogDamaged`` for a file of another make, or one with a broken page."""
    ((version,),) = connection.execute("PRAGMA user_version")
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
    if version != _VERSION and tables:
        raise LogDamaged(f"{path}: written by another version of the guard")
    ((sound,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    if sound != "ok":
        raise LogDamaged(f"{path}: {sound}")


@contextmanager
def _told(path: Path | None = None) -> Iterator[None]:
    """Turn SQLite's errors into ours: what is damaged is told apart from what is only away."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        kind = LogDamaged if code is not None and code & 0xFF in _DAMAGED else LogUnavailable
        raise kind(f"{path}: {error}" if path is not None else str(error)) from error


def _series(stated: Stated) -> tuple[str, str, float, str, str, str]:
    return stated.signal, stated.symbol, stated.horizon_h, stated.key, stated.kind, stated.method


def _stated(row: Sequence[Any]) -> Stated:
    names = ("signal", "symbol", "horizon_h", "key", "kind", "method", "as_of", "until", "value", "reference")
    return Stated(**dict(zip(names, row, strict=False)))
