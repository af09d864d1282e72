"""The highest message rate this guard has seen, from the archive of its decisions."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from proxy.audit.entry import micros
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable

LOOK_BACK: Final = timedelta(days=30)


def highest_rate_per_s(archive: Path, now: datetime) -> int:
    """The most requests judged within one second of the last thirty days; 0 without an archive."""
    try:
        with ArchiveReader.open(archive) as reader:
            row = reader.connection.execute(
                "SELECT count(DISTINCT seq) FROM judgements WHERE at_us >= ?"
                " GROUP BY at_us / 1000000 ORDER BY 1 DESC LIMIT 1",
                (micros(now - LOOK_BACK),),
            ).fetchone()
    except (ArchiveUnavailable, sqlite3.Error):
        return 0
    return int(row[0]) if row is not None else 0
