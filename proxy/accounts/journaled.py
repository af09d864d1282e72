"""Whether a gate of this machine wrote an order down before sending it: the last word before a suspicion is one.

The store's stream carries what gates forward; while the store is away, only their journals do. They are looked into
when there is something to look for, never followed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.audit.journal import journal_files
from proxy.store.codec import load

log = logging.getLogger("perpguard.accounts")

TAIL_BYTES: Final = 2 * 1024 * 1024
"""How far back a journal is read: thousands of decisions, more than a gate takes in a minute."""

AGE_MAX: Final = timedelta(seconds=60)
"""A decision older than this explains nothing that is new at the venue."""


def journaled(data_dir: Path, client_order_ids: frozenset[str], since: datetime) -> list[dict[str, Any]]:
    """Commands of these names that a gate allowed since then. Never raises; a file that went away is none.

    Reads from disk: call it in a thread.
    """
    names = [name.encode() for name in client_order_ids if name]
    found = []
    for path in journal_files(data_dir):
        for line in _tail(path):
            if any(name in line for name in names):
                found += _allowed(line, client_order_ids, since)
    return found


def _tail(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            yield from file.read(TAIL_BYTES).split(b"\n")
    except OSError as trouble:
        log.warning("the journal %s cannot be searched: %s", path.name, trouble.strerror)


def _allowed(line: bytes, client_order_ids: frozenset[str], since: datetime) -> list[dict[str, Any]]:
    """The commands of one decision that were allowed and bear a name that is looked for."""
    try:
        record = load(line)
        if record["kind"] != "decision" or datetime.fromisoformat(record["at"]) < since:
            return []
        pairs = zip(record["commands"], record["decisions"], strict=True)
        return [
            command
            for command, decision in pairs
            if decision["verdict"] == "ALLOW" and command.get("client_order_id") in client_order_ids
        ]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return []  # The first line of a tail begins anywhere; the last may still be written.
