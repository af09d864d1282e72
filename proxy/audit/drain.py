"""Into the archive: from the store's stream, and from the journals gates kept while there was no store.

Both may bring the same record, late and in any order; the archive drops what it has. Nothing is trimmed from the
stream before it is on the archive's disk.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from proxy.audit.archive import Archive
from proxy.audit.entry import RawRecord

ROUNDS_MAX: Final = 1_000
"""Batches one call may drain, so that the caller gets to look around between calls."""

LINE_BYTES_MAX: Final = 8 * 1024 * 1024
"""A longer line is archived in unreadable pieces: nothing is lost, and memory stays bounded."""

_LINES_PER_APPEND: Final = 500
_FINGERPRINT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class StreamSource:
    """The store's stream. ``read`` gives a batch of at most ``batch_max`` after an id and may wait for the first;
    ``trim`` forgets everything up to and including an id.

    Between two batches ``gather_s`` seconds are waited, unless the last was full: what comes meanwhile is archived
    together. A transaction, an anchor and a signature cost as much for one record as for a hundred.
    """

    read: Callable[[str], Awaitable[Sequence[tuple[str, RawRecord]]]]
    trim: Callable[[str], Awaitable[None]]
    batch_max: int = 1
    gather_s: float = 0.0


async def drain(source: StreamSource, archive: Archive, rounds_max: int = ROUNDS_MAX) -> int:
    """Archive batches until one comes back empty; how many records came. The warden calls this again and again.

    Trouble of the store and ``ArchiveUnavailable`` pass through: after either, calling again continues safely.
    """
    after = await asyncio.to_thread(archive.last_stream_id)
    drained = 0
    for _ in range(rounds_max):
        batch = await source.read(after)
        if not batch:
            break
        await asyncio.to_thread(archive.append, batch)
        after = batch[-1][0]
        drained += len(batch)
        await source.trim(after)
        if source.gather_s and len(batch) < source.batch_max:
            await asyncio.sleep(source.gather_s)
    return drained


def merge_spool(archive: Archive, files: Iterable[Path], is_hurried: Callable[[], bool] = lambda: False) -> int:
    """Archive what is new in the gates' journals; how many lines were read. Files that went away are passed over.

    A last line without its end is left for the next time: its writer is still at it, or died before it counted. So is
    of each file all but the next lines that are new, while ``is_hurried``: something else waits for the archive.
    """
    return sum(_merge_file(archive, path, is_hurried) for path in files)


def fully_merged(archive: Archive, path: Path) -> bool:
    """Whether every byte of a journal is in the archive. A file that went away is."""
    try:
        with path.open("rb") as file:
            fingerprint = _fingerprint(file)
            return _offset(archive.position(f"journal:{path.absolute()}"), fingerprint) == file.seek(0, 2)
    except FileNotFoundError:
        return True


def _merge_file(archive: Archive, path: Path, is_hurried: Callable[[], bool]) -> int:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return 0
    merged = 0
    with file:
        fingerprint = _fingerprint(file)
        source = f"journal:{path.absolute()}"
        file.seek(_offset(archive.position(source), fingerprint))
        is_noted = True
        # What came by the stream already is passed over whole, also in a hurry: that costs next to nothing, and what is
        # passed over too late is no longer recalled and costs as much as when it came.
        for lines in _whole_lines(file):
            records = [text for line in lines if (text := line.rstrip(b"\n"))]
            merged += len(records)
            new = archive.not_recalled(records)
            is_noted = bool(new)
            if new:
                archive.append_from(source, f"{fingerprint}:{file.tell()}", new)
                if is_hurried():
                    break
        if not is_noted:
            archive.append_from(source, f"{fingerprint}:{file.tell()}", ())
    return merged


def _whole_lines(file: BinaryIO) -> Iterator[list[bytes]]:
    """Batches of lines from where ``file`` stands; after each, it stands behind the last line given."""
    lines: list[bytes] = []
    while line := file.readline(LINE_BYTES_MAX):
        if not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
            file.seek(-len(line), 1)
            break
        lines.append(line)
        if len(lines) == _LINES_PER_APPEND:
            yield lines
            lines = []
    if lines:
        yield lines


def _fingerprint(file: BinaryIO) -> str:
    """Tells a journal from another that later took its name; empty until its first line is whole."""
    first, newline, _ = file.read(_FINGERPRINT_BYTES).partition(b"\n")
    whole = newline or len(first) == _FINGERPRINT_BYTES
    return hashlib.sha256(first).hexdigest()[:16] if whole else ""


def _offset(position: str | None, fingerprint: str) -> int:
    if position is None:
        return 0
    known, _, offset = position.partition(":")
    return int(offset) if known == fingerprint else 0
