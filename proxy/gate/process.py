"""What a gate asks of the system for its process before it opens anything: descriptors, and memory back."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

DESCRIPTORS_WANTED: Final = 16_384
"""Of a gate: 4,096 bots' connections, as many sockets, and the pools to the exchange and the store, several times."""

LARGE_BUFFER_BYTES: Final = 128 * 1024
"""glibc's own bound before it moves it."""

_M_MMAP_THRESHOLD: Final = -3


def raise_descriptor_limit() -> None:
    """As many open sockets as the system grants: the usual 1,024 are fewer than a crowd at the door and the way out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def give_back_large_buffers() -> None:
    """Have every buffer above 128 KiB taken from the system and given back to it, whatever was freed before.

    glibc raises that size to the largest buffer it has seen freed. From the first closed connection by TLS on, the
    256 KiB that uvloop has for each would lie among all else, and the pages that were ever touched would stay.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # Other C libraries have none, and need none.
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, LARGE_BUFFER_BYTES)
