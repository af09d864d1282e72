"""Where the warden keeps what it remembers of an account: in the store, and in a file in case the store loses it.

What is there and cannot be read is never taken for nothing: a memory that begins at zero has forgotten today's losses
and every peak. Then there is no memory, so no record, and rules that need one refuse entries, until it can be read or
a person says that it may begin anew.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from proxy.accounts import memory as memories
from proxy.accounts.memory import Memory
from proxy.decoding import build
from proxy.disk import make_directory, remove_file, replace_file
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import load
from proxy.store.warden_store import WardenStore

log = logging.getLogger("perpguard.accounts")

STORE_EVERY_S: Final = 0.5
UNREADABLE_EVERY_S: Final = 5.0
"""How soon it is looked again while the store is away, and while nothing can be read."""


class _Unreadable(Exception):
    """Something is remembered, and cannot be read. Says what, and why."""


class RecordStore:
    """One account's memory, kept twice."""

    def __init__(self, *, account: str, store: WardenStore, data_dir: Path) -> None:
        self._account = account
        self._store = store
        self._file = data_dir / "records" / f"{account}.json"
        self._anew = self._file.with_suffix(".anew")

    async def restored(self) -> Memory:
        """The newer of what store and file have, a new memory when neither ever had any. Waits while nothing that is
        there can be read."""
        said: list[str] = []
        while True:
            version, above, stored = await self._stored()
            found, troubles = await asyncio.to_thread(self._found, version, stored)
            if troubles and troubles != said:
                said = troubles
                log.error("what was remembered of %s cannot be read: %s", self._account, "; ".join(troubles))
            newest = max(found, key=lambda memory: memory.version, default=None)
            if newest is None and (not troubles or await asyncio.to_thread(self._may_begin_anew)):
                newest = memories.empty(self._account)
            if newest is not None:
                # It is saved less often than it is published: no version is ever given to two records.
                return replace(newest, version=max(newest.version, version, above))
            await asyncio.sleep(UNREADABLE_EVERY_S)

    def write(self, memory: bytes) -> None:
        """Into the file; that it cannot be is said. Blocks for the disk."""
        try:
            make_directory(self._file.parent)
            replace_file(self._file, memory)
        except OSError as trouble:
            log.error("the record of %s cannot be saved: %s", self._account, trouble.strerror)

    async def _stored(self) -> tuple[int, int, bytes | None]:
        while True:
            try:
                version, stored = await self._store.record_memory(self._account)
                return version, await self._store.last_record_version(self._account), stored
            except STORE_TROUBLE as trouble:
                log.warning("waiting for the store: %s", type(trouble).__name__)
                await asyncio.sleep(STORE_EVERY_S)

    def _found(self, version: int, stored: bytes | None) -> tuple[list[Memory], list[str]]:
        """What can be read, and in words what cannot."""
        found, troubles = [], []
        for place in (partial(_in_store, version, stored), partial(_in_file, self._file)):
            try:
                memory = place()
            except _Unreadable as trouble:
                troubles.append(str(trouble))
                continue
            if memory is not None:
                found.append(memory)
        return found, troubles

    def _may_begin_anew(self) -> bool:
        """Whether a person has put the file there that says so. It is taken away: it is said for one time only."""
        try:
            if not self._anew.exists():
                return False
            remove_file(self._anew)
        except OSError as trouble:
            log.error("%s cannot be taken away, so nothing begins anew: %s", self._anew.name, trouble.strerror)
            return False
        log.warning("the record of %s begins anew, as %s asked", self._account, self._anew.name)
        return True


def _in_store(version: int, stored: bytes | None) -> Memory | None:
    """``None`` when the store never had any. Raises ``_Unreadable``."""
    if stored is None:
        if version:
            raise _Unreadable("the store has a record and not what it was worked out from")
        return None
    return _built(stored, "the store")


def _in_file(path: Path) -> Memory | None:
    """``None`` when there is no file. Raises ``_Unreadable``."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as trouble:
        raise _Unreadable(f"{path.name}: {trouble.strerror}") from trouble
    return _built(raw, path.name)


def _built(raw: bytes, where: str) -> Memory:
    try:
        return build(load(raw), Memory)
    except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
        raise _Unreadable(f"{where}: {type(trouble).__name__}") from trouble
