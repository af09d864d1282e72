"""The epoch file: how many kills and re-arms there have been, and which scopes are stopped. Standard library only.

One record of a fixed length with a checksum over all of it, written in place: a disk without a free byte still takes
it, and gates hold the very file open. Whatever is missing, damaged or unreadable is `FenceCorrupt`, which stops.
"""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.disk import sync_directory

RECORD_BYTES: Final = 1024
"""Generation (8, big-endian), the scopes as lines of text, zeros, and the CRC-32 (4) of all that."""

GENERATION_MAX: Final = 2**52
"""No fence has a greater number: it counts from 1, or from the microseconds since 1970. Exact also as a script's."""

_TEXT_BYTES_MAX: Final = RECORD_BYTES - 8 - 4
_WIDEST_FIRST: Final = ("desk", "venue", "account", "bot")
# A reader can meet a writer's bytes half done; that lasts microseconds, damage stays.
_READS_MAX: Final = 5
_PATIENCE_S: Final = 0.001


class FenceCorrupt(Exception):
    """The epoch is missing or damaged: nothing may enter."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; entries stay stopped until the desk is re-armed")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Epoch:
    """One state of the file. ``stopped`` are scopes as text; more than the file has room for are left to their
    sentinels, the narrowest first."""

    generation: int
    stopped: frozenset[str] = frozenset()


class EpochFile:
    """Reader and writer. Not safe for two writers at once: they take the fence's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._raw: bytes | None = None
        self._known = Epoch(0)

    def read(self, *, patient: bool = False) -> Epoch:
        """The state at this instant. FenceCorrupt when there is none to be believed.

        One ``pread`` on a descriptor held open, not a memory map: a map of a truncated file kills its reader by SIGBUS.
        ``patient`` is for readers off the order path, who would act on damage: they give a writer a millisecond.
        """
        try:
            if self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink == 0:
                # Deleted, or replaced when damage was mended: the path says which. A reader that took a mended epoch
                # for damage would carry a stop on that a person has just lifted.
                self.forget()
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            for _ in range(_READS_MAX):
                raw = os.pread(self._descriptor, RECORD_BYTES + 1, 0)
                if raw == self._raw:
                    return self._known
                if (found := _parsed(raw)) is not None:
                    self._raw, self._known = raw, found
                    return found
                if patient:
                    time.sleep(_PATIENCE_S)
        except OSError as trouble:
            raise FenceCorrupt(self.path, f"the epoch cannot be read: {trouble.strerror}") from None
        raise FenceCorrupt(self.path, "the epoch's checksum is wrong")

    def write(self, epoch: Epoch) -> None:
        """Write in place, on disk when this returns. Raises ``OSError``."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, packed(epoch), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, stopped: frozenset[str]) -> int:
        """A new file in place of a damaged one. Its number must never have been used: microseconds outrun any count."""
        generation = time.time_ns() // 1000
        fresh = self.path.with_name("epoch.new")
        fresh.unlink(missing_ok=True)
        create(fresh, Epoch(generation, stopped))
        fresh.replace(self.path)
        sync_directory(self.path.parent)
        self.forget()
        return generation

    def forget(self) -> None:
        """Close the descriptor; the next read opens the file by its path."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._raw = None

    def __del__(self) -> None:
        self.forget()


def create(path: Path, epoch: Epoch) -> None:
    """A new file, on disk when this returns. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, packed(epoch))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def packed(epoch: Epoch) -> bytes:
    """The record of an epoch."""
    text = "".join(f"{line}\n" for line in fitting(epoch.stopped)).encode("ascii")
    payload = epoch.generation.to_bytes(8, "big") + text.ljust(_TEXT_BYTES_MAX, b"\0")
    return payload + zlib.crc32(payload).to_bytes(4, "big")


def fitting(stopped: frozenset[str]) -> tuple[str, ...]:
    """Those that the record has room for, the widest first."""
    room, found = _TEXT_BYTES_MAX, []
    for line in sorted(stopped, key=_widest_first):
        room -= len(line) + 1
        if room < 0:
            break
        found.append(line)
    return tuple(found)


def _widest_first(scope: str) -> tuple[int, str]:
    return _WIDEST_FIRST.index(scope.partition(":")[0]), scope


def _parsed(raw: bytes) -> Epoch | None:
    payload, checksum = raw[:-4], raw[-4:]
    if len(raw) != RECORD_BYTES or zlib.crc32(payload) != int.from_bytes(checksum, "big"):
        return None
    lines = payload[8:].rstrip(b"\0").decode("ascii").splitlines()
    return Epoch(int.from_bytes(payload[:8], "big"), frozenset(lines))
