"""What the doctor says: one finding for each thing it looked at, and what to do where something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """OK; WARN: trading works, something is worth a person's time; FAIL: the guard does not do what it is for."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. ``said`` is what is so, ``mend`` what to do about it, empty when all is well."""

    check: str
    level: Level
    said: str
    mend: str = ""


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.OK, said=said)


def warn(check: str, said: str, mend: str) -> Finding:
    """Worth a person's time."""
    return Finding(check=check, level=Level.WARN, said=said, mend=mend)


def fail(check: str, said: str, mend: str) -> Finding:
    """Has to be mended."""
    return Finding(check=check, level=Level.FAIL, said=said, mend=mend)
