"""The guard's processes from outside: what memory and processor time each has, from /proc alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAMES: Final = ("gate", "warden")
_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment: resident bytes, and processor seconds since it began."""

    rss: int
    cpu_s: float


def guard_processes(supervisor: int) -> dict[str, int]:
    """Process ids of a guard's parts by name: ``gate-0``, ``gate-1``, ..., ``warden``, ``store``."""
    found: dict[str, int] = {}
    for entry in sorted((each for each in Path("/proc").iterdir() if each.name.isdigit()), key=lambda each: each.name):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent != supervisor:
                continue
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            program = (entry / "exe").readlink().name  # The store writes a title of its own over its command line.
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name := _name(program, words):
            found[name] = int(entry.name)
    return found


def usage(pid: int) -> Usage:
    """What it uses now. Raises ``FileNotFoundError`` or ``ProcessLookupError`` when it has ended."""
    place = Path("/proc") / str(pid)
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    pages = int((place / "statm").read_text().split()[1])
    return Usage(rss=pages * _PAGE, cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_S)


def _name(program: str, words: list[str]) -> str:
    if "valkey" in program:
        return "store"
    if "--place" in words:
        return words[words.index("--place") + 1]
    return next((name for name in _NAMES if name in words), "")
