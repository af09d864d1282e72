"""What every command that asks the archive has in common: how a moment is written, and what trouble is answered with.

Exit codes: 0 as it should be, 1 not, 2 the question could not be asked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from proxy.audit import pages
from proxy.audit.export import ExportBroken
from proxy.audit.place import ArchiveUnavailable
from proxy.policy.reading import PolicyError

OK, NOT_OK, USAGE = 0, 1, 2

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class UsageError(Exception):
    """The question makes no sense as asked. The message says what would."""


def answered(name: str, question: Callable[[], int]) -> int:
    """The exit code of ``question``; trouble goes to standard error, after ``perpguard`` and the command's ``name``."""
    try:
        return question()
    except ExportBroken as broken:
        pages.complain(str(broken), name)
        return NOT_OK
    except (UsageError, ArchiveUnavailable, PolicyError) as trouble:
        pages.complain(str(trouble), name)
        return USAGE
    except (msgspec.MsgspecError, UnicodeError) as damage:
        pages.complain(f"the archive is damaged, ask `perpguard audit verify`: {damage}", name)
        return NOT_OK
    except BrokenPipeError:
        # The reader of our pipe has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as trouble:
        pages.complain(str(trouble), name)
        return USAGE


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
