"""Damages an archive as a bad disk does, so that a page which reads it has something to say."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from proxy.audit.place import ArchivePlace


def cut_records(place: ArchivePlace, kind: str) -> None:
    """Of every record of this kind the first forty bytes are left. SQLite alone."""
    with closing(sqlite3.connect(place.database)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE records SET body = substr(body, 1, 40) WHERE kind = ?", (kind,))


def no_database(place: ArchivePlace) -> None:
    """Something else lies where the archive was."""
    place.directory.mkdir(parents=True, exist_ok=True)
    place.database.write_bytes(b"no database at all" * 500)
