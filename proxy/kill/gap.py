"""Journals that a full disk cut short: kept in memory, and written whole, with the gap named, as soon as there is room.

Until then the job is what this process remembers: a kill that has ended must not look as if it were under way, which
would keep bots from their exits and people from re-arming.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from proxy.disk import sync_directory
from proxy.kill.journal import Journal, to_plain
from proxy.store import codec

log = logging.getLogger("perpguard.kill")

KEPT_MAX: Final = 50
"""Journals of one directory; the oldest is forgotten first."""

_kept: dict[Path, Journal] = {}


def keep(journal: Journal) -> None:
    """Remember a journal that could not be written to its end; it is not written to any more."""
    _kept[journal.path] = journal
    mend()
    for path in sorted(paths(journal.path.parent))[:-KEPT_MAX]:
        del _kept[path]


def kept(path: Path) -> Journal | None:
    """What this process remembers of a journal whose file ends too early."""
    return _kept.get(path)


def paths(jobs: Path) -> tuple[Path, ...]:
    """The journals below a directory that this process alone knows to their end; the disk may hold nothing of them."""
    return tuple(path for path in tuple(_kept) if jobs in path.parents)


def mend() -> None:
    """Write whole what can be written by now. Never raises: a disk that is still full is tried again."""
    for path, journal in list(_kept.items()):
        try:
            _write(journal)
        except OSError as trouble:
            log.debug("%s still cannot be written: %s", path, trouble.strerror)
            continue
        log.warning("the journal %s was cut short by a full disk and is whole again", path.stem)
        _kept.pop(path, None)


def _write(journal: Journal) -> None:
    """Head, gap and events; what was intended and not written is lost. Takes the file's place whole."""
    lines = (
        {"kind": "job", **codec.plain(journal.job)},
        {"kind": "gap", "trouble": journal.trouble},
        *({"kind": "event", "event": to_plain(event)} for event in journal.events),
    )
    journal.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = journal.path.with_suffix(".whole")
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        content = b"".join(codec.dump(line) + b"\n" for line in lines)
        if os.write(descriptor, content) != len(content):
            raise OSError(0, "written in part")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    whole.replace(journal.path)
    sync_directory(journal.path.parent)
