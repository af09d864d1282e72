"""The gate's own journal: what was decided is on local disk before it is sent, whatever becomes of the store.

Appended with one ``write`` per record, which survives the death of the process. Records that cannot reach the store
are also fsynced, because then this file is the only copy. The warden merges these files by decision id.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Raw

from proxy.store.codec import dump

SEGMENT_BYTES_MAX: Final = 32 * 1024 * 1024


class JournalFailed(Exception):
    """The local disk refused the record; nothing that adds risk may be sent."""


def journal_directory(data_dir: Path) -> Path:
    """Where gates keep their journals."""
    return data_dir / "journal"


def journal_files(data_dir: Path) -> list[Path]:
    """Every journal of every gate that ever ran here, oldest first for each gate."""
    return sorted(journal_directory(data_dir).glob("gate-*.jsonl"))


def is_written(path: Path, files: Sequence[Path]) -> bool:
    """Whether somebody may still append to ``path``: it is the newest segment of a process that exists, or no gate
    named it so."""
    owner = path.name.split("-")[1]
    newest = max(each for each in files if each.name.split("-")[1] == owner)
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # Somebody else's process has the number now; keeping a file costs nothing.
    except (ValueError, OverflowError):
        return True  # A person's, a copy maybe: whose it is nobody knows, and neither who wants it.
    return path == newest


def is_sought(path: Path, since: datetime) -> bool:
    """Whether a journal was written as late as that. One that went away was not. Raises ``OSError``."""
    try:
        return path.stat().st_mtime >= since.timestamp()
    except FileNotFoundError:
        return False


def journal_bytes(files: Iterable[Path]) -> int:
    """How much is in these. One that cannot be looked at counts for nothing."""
    return sum(map(_bytes, files))


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Journal:
    """One process's append-only file of JSON lines; a new segment begins when one is full."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = journal_directory(data_dir)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = -1
        self._bytes = 0
        self._spoiled = False
        self._open()

    def append(self, *records: Mapping[str, Any] | Raw, durable: bool) -> None:
        """Append records; ``durable`` waits for the disk. Raises ``JournalFailed``."""
        line = b"".join(dump(record) + b"\n" for record in records)
        try:
            if self._spoiled or self._bytes > SEGMENT_BYTES_MAX:
                self._open()
            written = os.write(self._descriptor, line)
            self._bytes += written
            if written != len(line):
                raise OSError("the disk took only a part")
            if durable:
                os.fdatasync(self._descriptor)
        except OSError as error:
            # Half a record may stand at the end: the next one must not be glued to it.
            self._spoiled = True
            raise JournalFailed(str(error.strerror or error)) from error

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self.close()
        name = f"gate-{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}.jsonl"
        self._descriptor = os.open(
            self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        self._bytes = 0
        self._spoiled = False
