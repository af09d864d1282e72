"""The processes of a run: on which core each is, what processor time it has used, how much memory it holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


def family(pid: int) -> list[int]:
    """A process and all that descends from it, itself first."""
    children: dict[int, list[int]] = {}
    for each in _PROC.iterdir():
        if each.name.isdecimal():
            with suppress(OSError):  # It ended meanwhile.
                children.setdefault(int(_stat(int(each.name))[1]), []).append(int(each.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def pin(pids: Iterable[int], cores: set[int]) -> None:
    """Every thread of these processes, and what they start from now on, on ``cores``."""
    for pid in pids:
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time so far, in seconds."""
    return sum(int(ticks) for pid in pids for ticks in _stat(pid)[11:13]) / _TICKS


def rss_mib(pids: Iterable[int]) -> float:
    """Resident memory, in MiB. What processes share is counted in each."""
    kib = 0
    for pid in pids:
        for line in (_PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                kib += int(line.split()[1])
    return kib / 1024


def two_cores() -> tuple[set[int], set[int]]:
    """The proxies' core, and the one of all else; the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}


def _stat(pid: int) -> list[str]:
    """The fields of ``stat`` after the name: state, parent, ... (proc(5))."""
    return (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
