"""SQLite files that are no evidence: losing the last second of one in a power cut is no loss. Standard library only."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

BUSY_TIMEOUT_S: Final = 2.0
"""Nothing waits longer for a file that somebody else holds."""


def open_private(path: Path) -> sqlite3.Connection:
    """Open a file that is its owner's alone, or begin it, in a folder that is too; for threads that take turns.

    Nothing of it is read yet. Raises ``OSError`` and ``sqlite3.Error``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def make_ready(connection: sqlite3.Connection) -> None:
    """Write without waiting for the disk each time, and trust no function named in the file. Raises ``sqlite3.Error``,
    also for a file that is no database."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA trusted_schema = OFF")
