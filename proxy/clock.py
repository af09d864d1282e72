"""The one place that reads the time. Everything else is given it."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def steady_s() -> float:
    """Seconds of a clock that is never set, and that goes on while the host is suspended, for what must agree with
    other hosts' clocks after it; on another system than Linux it stands still meanwhile."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def milliseconds(moment: datetime) -> int:
    """``moment`` as venues write it: milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
