"""The one place that reads the time. Everything else is given it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def milliseconds(moment: datetime) -> int:
    """``moment`` as venues write it: milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
