"""How a process of the guard is doing, as its operating system says: memory, processor time, open files.

Standard library and ``/proc`` alone, for gates stay small. Elsewhere than on Linux what is not known is 0.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")
_OPEN_FILES = Path("/proc/self/fd")
_STARTED_AT = time.time()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One process. ``started_at`` is seconds since 1970; ``open_files_max`` is the limit it runs under."""

    started_at: float
    resident_bytes: int
    cpu_s: float
    open_files: int
    open_files_max: int


def process_facts() -> ProcessFacts:
    """Of this process, now. Reads some files of ``/proc``, a millisecond for thousands of connections."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return ProcessFacts(
        started_at=_STARTED_AT,
        resident_bytes=_resident_bytes(),
        cpu_s=used.ru_utime + used.ru_stime,
        open_files=_open_files(),
        open_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _open_files() -> int:
    try:
        return len(os.listdir(_OPEN_FILES))  # noqa: PTH208 - no Path for each of thousands
    except OSError:
        return 0
