"""Whether a gate of this machine wrote down what it sent before sending it: the last word before a suspicion is one.

The store's stream carries what gates forward; while the store is away, only their journals do. They are looked into
when there is something to look for, never followed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.accounts.forwarded import COMMANDS, Explanation, explanations
from proxy.accounts.waiting import CONDITIONAL, is_conditional
from proxy.audit.journal import journal_files
from proxy.store.codec import load

log = logging.getLogger("perpguard.accounts")

BLOCK_BYTES: Final = 2 * 1024 * 1024
"""How much of a journal is read at a time, its newest first: some six hundred decisions. A file has sixteen of them."""

AGE_MAX: Final = timedelta(seconds=60)
"""A decision older than this explains nothing that is new at the venue."""

# Apart, for one that begins with a choice takes ten times as long to look for.
_NAMED: Final = re.compile(rb'order_id":"([^"]*)"')
_TYPED: Final = re.compile(rb'type":"([^"]*)"')
_BY_NAME: Final = frozenset({"order", "amend"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is looked for: commands of this account that explain any of these, and those that placed a conditional order
    of one of these symbols: something may have become of it that does not have its name."""

    account: str
    explanations: frozenset[Explanation]
    conditional: frozenset[str]

    def has(self, command: Mapping[str, Any]) -> bool:
        """Whether this command, as the audit writes it, is one."""
        if is_conditional(command) and command.get("symbol") in self.conditional:
            return True
        return not self.explanations.isdisjoint(explanations(command))

    def names(self) -> frozenset[bytes]:
        """The ids of orders of which one stands in the line of each that has one: most lines need not be read."""
        return frozenset(each[-1].encode() for each in self.explanations if each[0] in _BY_NAME)

    def types(self) -> frozenset[bytes]:
        """The types of commands and of orders of which one stands in the line of each other."""
        settings = {COMMANDS[each[0]] for each in self.explanations if each[0] not in _BY_NAME}
        return frozenset(each.encode() for each in (settings | CONDITIONAL if self.conditional else settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Commands of one request that a gate allowed then."""

    request_id: str
    at: datetime
    commands: Sequence[Mapping[str, Any]]


def journaled(data_dir: Path, sought: Sought, since: datetime) -> list[Written]:
    """What is sought of what gates allowed since then, oldest first. Never raises; a file that went away is none.

    Reads from disk: call it in a thread.
    """
    names, types = sought.names(), sought.types()
    found = []
    for path in journal_files(data_dir):
        for line in _lines(path, since):
            named = names and not names.isdisjoint(_NAMED.findall(line))
            if not named and not (types and not types.isdisjoint(_TYPED.findall(line))):
                continue
            if (allowed := _allowed(line, sought, since)) is not None:
                found.append(allowed)
    return sorted(found, key=lambda each: each.at)


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


def _allowed(line: bytes, sought: Sought, since: datetime) -> Written | None:
    """A decision of the account, with its commands that were allowed and are sought; ``None`` without any."""
    try:
        record = load(line)
        at = datetime.fromisoformat(record["at"])
        if record["kind"] != "decision" or record["account"] != sought.account or at < since:
            return None
        pairs = zip(record["commands"], record["decisions"], strict=True)
        commands = [command for command, decision in pairs if decision["verdict"] == "ALLOW" and sought.has(command)]
        return Written(request_id=str(record["id"]), at=at, commands=commands) if commands else None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None  # The oldest line that was read may lack its beginning; the last may still be written.
