"""The archive: every audit record in one SQLite file, hash-chained, append-only, one writer.

An append is one transaction that carries the records and how far their source was read, so a crash re-reads safely:
what is already here is dropped by its identity. What differs from what is here is kept beside it as a conflict.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from proxy.audit.anchor import AnchorDamaged, anchor_mismatch, anchor_path, read_anchor, write_anchor
from proxy.audit.chain import CHECKPOINT_EVERY, Checkpoint, link
from proxy.audit.entry import Entry, RawRecord, admit, conflicting, stored_entry
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable, Head
from proxy.audit.schema import connect_writer, create_tables
from proxy.clock import utc_now
from proxy.store.codec import plain

_VERSION: Final = 1


class ArchiveBusy(ArchiveUnavailable):
    """Another process writes this archive."""


class ArchiveTampered(Exception):
    """The archive is not the one its anchor saw. Nothing is appended to it: move it aside and keep it as evidence."""


class Archive:
    """The writer's side. One process has it open at a time; its methods may be called from any thread."""

    def __init__(self, reader: ArchiveReader, now: Callable[[], datetime]) -> None:
        self._reader = reader
        self._connection = reader.connection
        self._now = now
        self._guard = threading.Lock()
        self._closing = ExitStack()
        self._closed = False
        self._anchored = self._checked_anchor()

    @classmethod
    def open(cls, path: Path, now: Callable[[], datetime] = utc_now) -> Archive:
        """Open or begin the archive in ``path``. Raises ``ArchiveUnavailable`` or ``ArchiveTampered``."""
        with ExitStack() as closing:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                closing.enter_context(_locked(path))
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                connection = connect_writer(path)
                closing.callback(connection.close)
                _begin_if_empty(connection, path, now)
                archive = cls(ArchiveReader(connection, path), now)
            except (sqlite3.Error, OSError, TypeError, ValueError) as error:  # The last two: see ArchiveReader.open.
                raise ArchiveUnavailable(f"{path}: {error}") from error
            archive._closing = closing.pop_all()
        return archive

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write a last checkpoint and give the archive back. Closing twice is harmless."""
        with self._guard, self._closing.pop_all():
            if self._closed:
                return
            self._closed = True
            with self._named_trouble(), _transaction(self._connection):
                self._write_checkpoint(self._reader.head())

    def append(self, batch: Sequence[tuple[str, RawRecord]]) -> int:
        """Archive a batch of the store's stream, oldest first, and remember its last id; the chain's last sequence.

        When it returns, the records are on the disk. Raises ``ArchiveUnavailable``; then append the same batch again.
        """
        return self._append([raw for _, raw in batch], {"stream": batch[-1][0]} if batch else {})

    def append_from(self, source: str, position: str, records: Sequence[RawRecord]) -> int:
        """Archive records of another source and remember how far it was read; the chain's last sequence."""
        return self._append(records, {source: position})

    def last_stream_id(self) -> str:
        """The last id of the store's stream whose record is archived, ``0-0`` before the first."""
        with self._guard, self._named_trouble():
            return self._reader.last_stream_id()

    def position(self, source: str) -> str | None:
        """How far ``source`` was read."""
        with self._guard, self._named_trouble():
            return self._reader.position(source)

    def has(self, kind: str, identity: str) -> bool:
        """Whether a record of this kind and identity is archived. A document's identity is ``name@version``."""
        with self._guard, self._named_trouble():
            return self._reader.has(kind, identity)

    def _append(self, records: Sequence[RawRecord], progress: dict[str, str]) -> int:
        with self._guard, self._named_trouble():
            with _transaction(self._connection):
                head = self._reader.head()
                for raw in records:
                    head = self._insert(admit(raw, self._now()), head)
                self._connection.executemany("INSERT OR REPLACE INTO progress VALUES (?, ?)", progress.items())
            # Acknowledged only once the anchor knows: afterwards no tail can be cut off unseen.
            self._advance_anchor(head)
            return head.seq

    @contextmanager
    def _named_trouble(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ArchiveUnavailable(f"{self._reader.path}: {error}") from error

    def _insert(self, entry: Entry, head: Head) -> Head:
        known = self._reader.body_of(entry.kind, entry.identity)
        if known is not None:
            if stored_entry(known).substance == entry.substance:
                return head
            entry = conflicting(entry)
            if self._reader.has(entry.kind, entry.identity):
                return head
        seq = head.seq + 1
        chained = Head(seq, link(head.hash, seq, entry.body))
        self._connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                entry.kind,
                entry.identity,
                entry.id,
                entry.at_us,
                entry.bot,
                entry.account,
                entry.body,
                chained.hash,
            ),
        )
        self._connection.executemany(
            "INSERT INTO judgements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", entry.judgement_rows(seq)
        )
        if seq % CHECKPOINT_EVERY == 0:
            self._write_checkpoint(chained)
        return chained

    def _write_checkpoint(self, head: Head) -> None:
        point = self._checkpoint(head)
        self._connection.execute(
            "INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?, ?)", (point.seq, point.hash, point.at, point.digest)
        )

    def _checkpoint(self, head: Head) -> Checkpoint:
        return Checkpoint(archive_id=self._reader.archive_id, seq=head.seq, hash=head.hash, at=plain(self._now()))

    def _advance_anchor(self, head: Head) -> None:
        if head != self._anchored:
            write_anchor(anchor_path(self._reader.path), self._checkpoint(head))
            self._anchored = head

    def _checked_anchor(self) -> Head:
        """Refuse to go on from anything but what the anchor saw, then bring the anchor up to the last commit."""
        head = self._reader.head()
        try:
            anchor = read_anchor(anchor_path(self._reader.path))
        except AnchorDamaged as error:
            raise ArchiveTampered(str(error)) from error
        if anchor is None and head.seq > 0:
            raise ArchiveTampered("the anchor is gone while the archive holds records")
        if anchor is not None and (trouble := anchor_mismatch(self._reader, anchor)):
            raise ArchiveTampered(trouble)
        if anchor is None or anchor.seq < head.seq:
            # A crash came between the commit and its anchor, or between the very first two steps.
            write_anchor(anchor_path(self._reader.path), self._checkpoint(head))
        return head


def _begin_if_empty(connection: sqlite3.Connection, path: Path, now: Callable[[], datetime]) -> None:
    with _transaction(connection):
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0:
            return
        if anchor_path(path).exists():
            raise ArchiveTampered("the archive is gone while its anchor is there")
        create_tables(connection)
        connection.execute("INSERT INTO archive VALUES (1, ?, ?, ?)", (uuid.uuid4().hex, _VERSION, plain(now())))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the right to write. The lock file stays for ever: unlinking it would let two writers hold two locks."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveBusy(f"{path} is being written by another process") from None
        yield
    finally:
        os.close(descriptor)
