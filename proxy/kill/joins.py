"""Who pressed while a job was running: a line each in ``JOB.joins``, beside the job's journal.

A job belongs to one account and to the press that began it; whoever presses meanwhile joins it, with a scope that may
be wider. The widest of them is what is said to have been stopped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from proxy.decoding import build
from proxy.store.codec import dump, load, plain
from proxy.store.fence import Scope

log = logging.getLogger("perpguard.kill")

JOINS_BYTES_MAX: Final = 256 * 1024
"""Enough for a thousand presses; more of them are in the audit alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """One press."""

    scope: str
    by: str
    reason: str
    at: datetime


def note_join(journal: Path, join: Join) -> None:
    """Write a press down. One that cannot be written has joined all the same."""
    try:
        descriptor = os.open(_path(journal), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < JOINS_BYTES_MAX:
                os.write(descriptor, dump(plain(join)) + b"\n")  # Not synced: it is evidence, and in the audit too.
        finally:
            os.close(descriptor)
    except OSError as trouble:
        log.warning("a press that joined %s is not written down: %s", journal.stem, trouble.strerror)


def joins(journal: Path) -> tuple[Join, ...]:
    """Every press that joined a job, oldest first; a line torn by a crash is left out."""
    try:
        lines = _path(journal).read_bytes().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            found.append(build(load(line), Join))
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
    return tuple(found)


def widest(scopes: Iterable[str]) -> str:
    """The scope among these that covers most; of equals the first."""
    return max(scopes, key=lambda scope: Scope.parse(scope).level.width)


def _path(journal: Path) -> Path:
    return journal.with_suffix(".joins")
