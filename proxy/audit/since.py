"""How a moment is written by whoever asks the archive: as an age, or as a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class UsageError(Exception):
    """The question makes no sense as asked. The message says what would."""


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """``30s 15m 6h 2d 1w`` before ``now``, or an ISO 8601 time, UTC unless it says otherwise. Raises ``UsageError``."""
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {text!r} is neither an age such as 6h nor a time such as 2026-11-24T09:00"
        ) from error
