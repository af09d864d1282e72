"""The highest message rate this guard has seen, from the archive of its decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from proxy.audit import query
from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.reader import ArchiveReader

LOOK_BACK: Final = timedelta(days=30)


def highest_rate_per_s(archive: ArchivePlace, now: datetime) -> int:
    """The most requests judged within one second of the last thirty days; 0 without an archive."""
    try:
        with ArchiveReader.open(archive) as reader:
            return query.highest_rate_per_s(reader, now - LOOK_BACK)
    except ArchiveUnavailable:
        return 0
