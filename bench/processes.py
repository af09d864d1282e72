"""The processes of a run from outside: which they are, on which core, what memory and processor time each has used.

From /proc alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAMES: Final = ("gate", "warden")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment: resident bytes, and processor seconds since it began, of user and system."""

    rss: int
    cpu_s: float


def guard_processes(supervisor: int) -> dict[str, int]:
    """Process ids of a guard's parts by name: ``gate-0``, ``gate-1``, ..., ``warden``, ``store``."""
    found: dict[str, int] = {}
    for pid in sorted(_pids()):
        try:
            if _parent(pid) != supervisor:
                continue
            words = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
            # The store writes a title of its own over its command line.
            program = (_PROC / str(pid) / "exe").readlink().name
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name := _name(program, words):
            found[name] = pid
    return found


def family(pid: int) -> list[int]:
    """A process and all that descends from it, itself first."""
    children: dict[int, list[int]] = {}
    for each in _pids():
        with suppress(OSError):  # It ended meanwhile.
            children.setdefault(_parent(each), []).append(each)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def usage(pid: int) -> Usage:
    """What it uses now. Raises ``FileNotFoundError`` or ``ProcessLookupError`` when it has ended."""
    fields = _stat(pid)
    pages = int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    return Usage(rss=pages * _PAGE, cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS)


def cpu_s(pids: Iterable[int]) -> float:
    """Processor seconds of these processes together. Raises what ``usage`` does."""
    return sum(usage(pid).cpu_s for pid in pids)


def rss_mib(pids: Iterable[int]) -> float:
    """Resident memory of these processes, in MiB; what they share is counted in each. Raises what ``usage`` does."""
    return sum(usage(pid).rss for pid in pids) / 2**20


def pin(pids: Iterable[int], cores: set[int]) -> None:
    """Every thread of these processes, and what they start from now on, on ``cores``."""
    for pid in pids:
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)


def two_cores() -> tuple[set[int], set[int]]:
    """The proxies' core, and the one of all else; the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}


def _pids() -> list[int]:
    return [int(each.name) for each in _PROC.iterdir() if each.name.isdecimal()]


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields of ``stat`` after the name: state, parent, ... (proc(5))."""
    return (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()


def _name(program: str, words: list[str]) -> str:
    if "valkey" in program:
        return "store"
    if "--place" in words:
        return words[words.index("--place") + 1]
    return next((name for name in _NAMES if name in words), "")
