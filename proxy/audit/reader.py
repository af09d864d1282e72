"""Reading an archive: works while the warden writes, and with everything else switched off. Cannot change anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from proxy.audit.chain import genesis
from proxy.audit.schema import connect_reader


class ArchiveUnavailable(Exception):
    """The archive cannot be read or written now: missing, locked, or the disk refuses."""


@dataclass(frozen=True, slots=True)
class ChainedRecord:
    """One record as it lies in the chain."""

    seq: int
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of the chain; sequence 0 with the genesis hash when there is none yet."""

    seq: int
    hash: bytes


class ArchiveReader:
    """A view on an archive. The queries and checks of this package take one."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.archive_id = str(connection.execute("SELECT id FROM archive").fetchone()[0])
        self.genesis = genesis(self.archive_id)

    @classmethod
    def open(cls, path: Path) -> ArchiveReader:
        """The archive in ``path``, read-only. Raises ``ArchiveUnavailable``."""
        if not path.is_file():
            raise ArchiveUnavailable(f"there is no archive at {path}")
        try:
            connection = connect_reader(path)
        except sqlite3.Error as error:
            raise ArchiveUnavailable(f"{path} cannot be opened: {error}") from error
        try:
            return cls(connection, path)
        except (sqlite3.Error, TypeError, ValueError) as error:
            # TypeError: no row names the archive. ValueError: SQLite's complaint quotes damaged text, Python cannot.
            connection.close()
            raise ArchiveUnavailable(f"{path} is not a readable archive: {error}") from error

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Everything read inside is one state of the archive, whatever the warden appends meanwhile."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def head(self) -> Head:
        """The end of the chain."""
        row = self.connection.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        return Head(row[0], _blob(row[1])) if row is not None else Head(0, self.genesis)

    def hash_at(self, seq: int) -> bytes | None:
        """The hash of record ``seq``; 0 is the genesis."""
        if seq == 0:
            return self.genesis
        row = self.connection.execute("SELECT hash FROM records WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else _blob(row[0])

    def has(self, kind: str, identity: str) -> bool:
        """Whether a record of this kind and identity is archived. A document's identity is ``name@version``."""
        return self.body_of(kind, identity) is not None

    def body_of(self, kind: str, identity: str) -> bytes | None:
        """The bytes of the record of this kind and identity."""
        row = self.connection.execute(
            "SELECT body FROM records WHERE kind = ? AND identity = ?", (kind, identity)
        ).fetchone()
        return None if row is None else _blob(row[0])

    def chained(self) -> Iterator[ChainedRecord]:
        """Every record in chain order."""
        for seq, body, digest in self.connection.execute("SELECT seq, body, hash FROM records ORDER BY seq"):
            yield ChainedRecord(seq, _blob(body), _blob(digest))

    def last_stream_id(self) -> str:
        """The last id of the store's stream whose record is archived, ``0-0`` before the first."""
        return self.position("stream") or "0-0"

    def position(self, source: str) -> str | None:
        """How far ``source`` was read."""
        row = self.connection.execute("SELECT position FROM progress WHERE source = ?", (source,)).fetchone()
        return None if row is None else str(row[0])


def _blob(value: object) -> bytes:
    # A damaged file can hold anything in any column.
    if not isinstance(value, bytes):
        raise ArchiveUnavailable("the archive is damaged: a record or hash is not made of bytes")
    return value
