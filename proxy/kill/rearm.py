"""Lifting a kill: slower than pressing, by a named person, for a reason, and written down before it takes effect.

Who may re-arm, and whether a second person or a delay is needed, is policy and is settled before this is called. The
caller clears the latch in the store; the fence opens here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from proxy.clock import utc_now
from proxy.disk import FileIdentity, identity_of
from proxy.kill.asked import answered, asked_of, note_asked
from proxy.kill.jobs import unfinished_jobs
from proxy.kill.lock import AccountLock
from proxy.people.names import reason_objections
from proxy.refused import Refused
from proxy.store import codec
from proxy.store.fence import Fence, FenceCorrupt, Scope


class RearmRefused(Refused):
    """The scope stays stopped, for these reasons."""

    def __init__(self, scope: Scope | str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"{scope} stays stopped: {'; '.join(reasons)}", reasons)
        self.scope = str(scope)


def rearm(
    data_dir: Path, scope: Scope, name: str, reason: str, typed_scope_name: str, venues: Mapping[str, str] | None = None
) -> int:
    """Let ``scope`` trade again; the new generation. RearmRefused, FenceCorrupt. Lifts nothing but that scope.

    ``venues`` says which venue each account of the vault is on; what is left of others was looked at before.
    """
    venue_of = venues or {}
    given_up = abandoned(data_dir, scope, venues) if venues is not None else ()
    running = [
        job.account
        for job in unfinished_jobs(data_dir)
        if scope.covers(job.account, venue_of.get(job.account, ""), job.bot) and job.account not in given_up
    ]
    still = (f"the kill of {', '.join(running)} has not ended",) if running else ()
    refusals = (*still, *objections(str(scope), name, reason, typed_scope_name))
    if refusals:
        raise RearmRefused(scope, refusals)
    write_down(data_dir, str(scope), name, reason)
    # First: a press that comes while the fence opens leaves a note of its own, which must stand.
    owed = asked_of(data_dir, scope)
    answered(data_dir, scope)
    try:
        return Fence(data_dir).release(scope)
    except (OSError, FenceCorrupt):
        if owed is not None:
            note_asked(data_dir, scope, owed)
        raise


def abandoned(data_dir: Path, scope: Scope, venues: Mapping[str, str]) -> tuple[str, ...]:
    """The accounts under ``scope`` that are not among those of the vault, and whose kill no process is at: it has not
    ended, and nobody can end it."""
    found = dict.fromkeys(
        job.account
        for job in unfinished_jobs(data_dir)
        if job.account not in venues
        and (scope.covers(job.account, "", job.bot) or (job.job is not None and job.job.covers == scope))
        and AccountLock(job.path.parent / "lock").free()
    )
    return tuple(found)


def objections(scope: str, name: str, reason: str, typed_scope_name: str) -> tuple[str, ...]:
    """What is missing for a person to be heard: the scope's name typed, a reason, a name."""
    found = []
    if typed_scope_name != scope:
        found.append(f"the name typed is not {scope}")
    found += reason_objections(reason)
    if not name.strip():
        found.append("nobody is named")
    return tuple(found)


def rearms_path(data_dir: Path) -> Path:
    """The list of re-arms, one line each."""
    return data_dir / "kill" / "rearm.jsonl"


def write_down(data_dir: Path, scope: str, name: str, reason: str) -> None:
    """One line in ``kill/rearm.jsonl``, on disk before anything opens."""
    path = rearms_path(data_dir)
    line = codec.dump({"at": utc_now().isoformat(), "scope": scope, "by": name, "reason": reason})
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_rearm(data_dir: Path, scope: str) -> datetime | None:
    """When a scope was last re-armed, as ``write_down`` has it; ``None`` where it never was."""
    last: datetime | None = None
    with suppress(OSError):
        for line in rearms_path(data_dir).read_bytes().splitlines():
            with suppress(msgspec.DecodeError, KeyError, TypeError, ValueError):  # Torn, or not of our making.
                told = codec.load(line)
                if told["scope"] == scope:
                    at = datetime.fromisoformat(told["at"]).astimezone(UTC)
                    last = at if last is None else max(last, at)
    return last


class Rearms:
    """When scopes were re-armed last; read again only when the list of re-arms is another."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._read_from: FileIdentity | None = None
        self._last: dict[str, datetime | None] = {}

    def last(self, scope: str) -> datetime | None:
        """``None`` where it never was, or where that cannot be read."""
        try:
            found = identity_of(rearms_path(self._data_dir))
        except OSError:
            return None
        if found != self._read_from:
            self._read_from = found
            self._last.clear()
        if scope not in self._last:
            self._last[scope] = last_rearm(self._data_dir, scope)
        return self._last[scope]
