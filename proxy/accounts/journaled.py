"""Whether a gate of this machine wrote down what it sent before sending it: the last word before a suspicion is one.

The store's stream carries what gates forward; while the store is away, only their journals do. They are looked into
when there is something to look for, never followed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.accounts.forwarded import Explanation, explanations
from proxy.audit.journal import journal_files
from proxy.store.codec import load

log = logging.getLogger("perpguard.accounts")

BLOCK_BYTES: Final = 2 * 1024 * 1024
"""How much of a journal is read at a time, its newest first: some six hundred decisions. A file has sixteen of them."""

AGE_MAX: Final = timedelta(seconds=60)
"""A decision older than this explains nothing that is new at the venue."""

_NAMED: Final = re.compile(rb'order_id":"([^"]*)"')


def journaled(
    data_dir: Path, sought: frozenset[Explanation], since: datetime
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Commands that explain any of these orders and amends, and that a gate allowed since then, with the ids of their
    requests. Never raises; a file that went away is none.

    Reads from disk: call it in a thread.
    """
    names = {explanation[-1].encode() for explanation in sought}
    found = []
    for path in journal_files(data_dir):
        for line in _lines(path, since):
            if not names.isdisjoint(_NAMED.findall(line)) and (allowed := _allowed(line, sought, since)) is not None:
                found.append(allowed)
    return found


def _lines(path: Path, since: datetime) -> Iterator[bytes]:
    """The newest lines of a journal, a block at a time, back to the block that holds one from before ``since``."""
    try:
        with path.open("rb") as file:
            begin, cut = file.seek(0, 2), b""
            reached = False
            while begin and not reached:
                end, begin = begin, max(0, begin - BLOCK_BYTES)
                file.seek(begin)
                # The first line of a block begins anywhere: what is read next ends with its beginning.
                cut, *whole = (file.read(end - begin) + cut).split(b"\n")
                yield from whole
                reached = bool(whole) and _is_before(whole[0], since)
            yield cut
    except OSError as trouble:
        log.warning("the journal %s cannot be searched: %s", path.name, trouble.strerror)


def _is_before(line: bytes, since: datetime) -> bool:
    """Whether a record was written before then. One that cannot be read ends the search, too."""
    try:
        return datetime.fromisoformat(load(line)["at"]) < since
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return True


def _allowed(line: bytes, sought: frozenset[Explanation], since: datetime) -> tuple[str, list[dict[str, Any]]] | None:
    """The id of a decision, and its commands that were allowed and explain what is looked for; ``None`` without any."""
    try:
        record = load(line)
        if record["kind"] != "decision" or datetime.fromisoformat(record["at"]) < since:
            return None
        pairs = zip(record["commands"], record["decisions"], strict=True)
        commands = [
            command
            for command, decision in pairs
            if decision["verdict"] == "ALLOW" and not sought.isdisjoint(explanations(command))
        ]
        return (str(record["id"]), commands) if commands else None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None  # The oldest line that was read may lack its beginning; the last may still be written.
