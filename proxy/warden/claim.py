"""Whose the desk is in its store: this guard claims it before it tells or changes anything there."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from pathlib import Path
from typing import Final

from proxy.record import Record
from proxy.store.ownership import DeskTaken
from proxy.store.warden_store import WardenStore

log = logging.getLogger("perpguard.warden")

LOOK_EVERY_S: Final = 0.5
FREE_FOR_S: Final = 5.0
"""How long a desk must be nobody's before a guard takes it that had found it taken."""


class DeskClaim:
    """Of one guard on the desk that its settings name. ``data_dir`` tells who finds it taken where that guard is."""

    def __init__(self, store: WardenStore, *, desk: str, data_dir: Path, record: Record) -> None:
        self._store = store
        self._desk = desk
        self._where = f"{socket.gethostname()}:{data_dir}"
        self._record = record
        self._found_taken = False

    async def take(self) -> None:
        """Raises ``DeskTaken``, or what the store client raises.

        A guard whose store came back, empty or after longer than its claim lasts, claims its desk again within a
        second: whoever was refused, or finds that the desk was another's, leaves it the time.
        """
        free_since = time.monotonic()
        leaves_time = self._found_taken or await self._store.is_left_by_another()
        while leaves_time and time.monotonic() - free_since < FREE_FOR_S:
            if await self._store.is_claimed():
                if not self._found_taken:
                    break  # It is back: the claim is refused, which is said.
                free_since = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)
        await self._store.claim(self._where)
        self._found_taken = False

    async def keep(self) -> None:
        """Say again that it is ours. Raises as ``take`` does."""
        await self._store.keep(self._where)

    async def say_taken(self, taken: DeskTaken) -> None:
        """It is another guard's: in the log, and in the record."""
        self._found_taken = True
        log.error(
            "the desk %s of this store belongs to the guard at %s, so entries are refused here", self._desk, taken
        )
        await self._record("desk.taken", "warden", {"desk": self._desk, "guard": str(taken)})
