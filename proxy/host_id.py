"""Which machine this is, as far as dying together goes: containers of one kernel are one host."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Linux: a number drawn at every start of the kernel, see random(4)."""


def host_id() -> str:
    """The same for all processes that a failing kernel takes along; empty where that cannot be told."""
    try:
        return hashlib.sha256(_BOOT_ID.read_bytes().strip()).hexdigest()[:16]
    except OSError:
        return ""
