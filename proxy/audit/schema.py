"""The tables of the archive and how its file is opened. Records are inserted in sequence and never touched again."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

BUSY_TIMEOUT_S: Final = 5.0

_TABLES: Final = (
    "CREATE TABLE archive (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), id TEXT NOT NULL,"
    " version INTEGER NOT NULL, created_at TEXT NOT NULL) STRICT",
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, identity TEXT NOT NULL, id TEXT NOT NULL,"
    " at_us INTEGER NOT NULL, bot TEXT, account TEXT, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT",
    "CREATE TABLE judgements (seq INTEGER NOT NULL, item INTEGER NOT NULL, place INTEGER NOT NULL,"
    " at_us INTEGER NOT NULL, bot TEXT, account TEXT, symbol TEXT, verdict TEXT NOT NULL, rule TEXT, code TEXT,"
    " headroom TEXT, PRIMARY KEY (seq, item, place)) STRICT, WITHOUT ROWID",
    "CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, at TEXT NOT NULL,"
    " digest BLOB NOT NULL) STRICT",
    # The one table that changes: how far the store's stream and each journal were read.
    "CREATE TABLE progress (source TEXT PRIMARY KEY, position TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX records_by_identity ON records (kind, identity)",
    "CREATE INDEX records_by_id ON records (id)",
    "CREATE INDEX judgements_by_time ON judgements (at_us)",
    "CREATE INDEX judgements_by_bot ON judgements (bot, at_us)",
    "CREATE INDEX judgements_by_rule ON judgements (rule, at_us)",
    # "INSERT OR REPLACE" would delete without firing a delete trigger, so the door is shut before the insert.
    "CREATE TRIGGER records_in_sequence BEFORE INSERT ON records"
    " WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM records)"
    " OR EXISTS (SELECT 1 FROM records WHERE kind = NEW.kind AND identity = NEW.identity)"
    " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
)
_APPEND_ONLY: Final = ("archive", "records", "judgements", "checkpoints")
_STATEMENTS: Final = (
    *_TABLES,
    *(
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}"
        " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        for table in _APPEND_ONLY
        for change in ("UPDATE", "DELETE")
    ),
)


def connect_writer(path: Path) -> sqlite3.Connection:
    """The writer's connection: autocommit, WAL, every commit on the disk before it is acknowledged."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, usable while a writer is at work. Raises ``sqlite3.OperationalError``."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Lay out an empty archive, inside the caller's transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)


def schema_differences(connection: sqlite3.Connection) -> list[str]:
    """Names of tables, indexes, triggers and views that are missing, changed or added."""
    with sqlite3.connect(":memory:") as fresh:
        create_tables(fresh)
        wanted = _schema(fresh)
    fresh.close()
    found = _schema(connection)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def _schema(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    rows = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return {str(name): (kind, sql) for name, kind, sql in rows}
