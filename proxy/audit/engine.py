"""Connections to the archive's database, for the one writer and for readers. Every wait on them has a bound.

Connections are in autocommit; who needs a transaction says so with ``transaction``. That way the two databases behave
alike, and a reader holds no snapshot longer than its question.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from proxy.audit.place import ArchivePlace, ArchiveUnavailable

BUSY_TIMEOUT_S: Final = 5.0
_WRITER_SECONDS_MAX: Final = 30
"""A statement of the writer is short. A verification may read for as long as it takes."""

TROUBLE: Final = (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError, OverflowError)
"""What a database, sound or damaged, may raise. UnicodeError: text in a damaged file."""


@contextmanager
def named_trouble(place: ArchivePlace) -> Iterator[None]:
    """What the database raises becomes ``ArchiveUnavailable``, without parameters or passwords."""
    try:
        yield
    except TROUBLE as error:
        raise ArchiveUnavailable(f"{place}: {_in_words(error)}") from error


def connect_writer(place: ArchivePlace) -> Connection:
    """A connection on which every commit is on the disk before it is acknowledged."""
    connection = _engine(place, "writer").connect()
    if place.url is not None:
        connection.exec_driver_sql("SET synchronous_commit = on")
        connection.exec_driver_sql(f"SET lock_timeout = '{BUSY_TIMEOUT_S:g}s'")
        connection.exec_driver_sql(f"SET statement_timeout = '{_WRITER_SECONDS_MAX}s'")
    return connection


def connect_reader(place: ArchivePlace) -> Connection:
    """A connection that cannot write, usable while a writer is at work."""
    connection = _engine(place, "reader").connect()
    if place.url is not None:
        connection.exec_driver_sql("SET default_transaction_read_only = on")
    return connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Everything inside is done as one, or not at all."""
    begin(connection, writing=True)
    try:
        yield
    except BaseException:
        roll_back(connection)
        raise
    connection.exec_driver_sql("COMMIT")


def begin(connection: Connection, *, writing: bool = False) -> None:
    """Everything read from now on is one state of the database."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
    else:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")


def roll_back(connection: Connection) -> None:
    """As if nothing had been begun."""
    try:
        connection.exec_driver_sql("ROLLBACK")
    except TROUBLE:
        connection.invalidate()  # The connection is gone, and its transaction with it.


@lru_cache(maxsize=32)
def _engine(place: ArchivePlace, role: str) -> Engine:
    if place.url is None:
        opened = _sqlite_writer if role == "writer" else _sqlite_reader
        return create_engine(
            "sqlite://",
            creator=lambda: opened(place),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
    return create_engine(
        place.url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={
            "connect_timeout": int(BUSY_TIMEOUT_S),
            "application_name": f"perpguard audit {role}",
            "keepalives_idle": 10,
            "tcp_user_timeout": 30_000,
        },
    )


def _sqlite_writer(place: ArchivePlace) -> sqlite3.Connection:
    connection = sqlite3.connect(place.database, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _sqlite_reader(place: ArchivePlace) -> sqlite3.Connection:
    uri = f"{place.database.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _in_words(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    try:
        lines = str(cause).strip().splitlines()
    except UnicodeError:
        lines = []  # SQLite's complaint quotes damaged text.
    return lines[0] if lines else type(cause).__name__
