"""Quiet hours: from when until when people are not to be disturbed by what can wait until morning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Every day from ``begins`` to ``ends`` on the clock of ``zone``; past midnight where it ends before it begins."""

    begins: time
    ends: time
    zone: tzinfo

    def covers(self, moment: datetime) -> bool:
        """Whether ``moment`` is inside. The first instant is, the last is not."""
        clock = moment.astimezone(self.zone).time()
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends


def zone(name: str) -> tzinfo:
    """The time zone of that name. ValueError for one that this host does not know; UTC every host knows."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(
            f"no time zone {name!r} on this host (such as 'Europe/Berlin'; tzdata may be missing)"
        ) from None
