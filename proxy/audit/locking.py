"""One writer at a time: a lock on a file of this machine, and for PostgreSQL one of the database besides."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

from proxy.audit.place import ArchivePlace, ArchiveUnavailable

# By schema, so that desks that share a database in schemas of their own do not wait for each other.
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('perpguard audit ' || current_schema(), 0))"


class ArchiveBusy(ArchiveUnavailable):
    """Another process writes this archive."""


@contextmanager
def locked(place: ArchivePlace) -> Iterator[None]:
    """Hold the right to write. The lock file stays for ever: unlinking it would let two writers hold two locks."""
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveBusy(f"{place} is being written by another process") from None
        yield
    finally:
        os.close(descriptor)


def lock_database(connection: Connection, place: ArchivePlace) -> None:
    """Hold the right to write for as long as ``connection`` lives. Raises ``ArchiveBusy``."""
    if place.url is not None and not connection.exec_driver_sql(_LOCK).scalar_one():
        raise ArchiveBusy(f"{place} is being written by another process")
