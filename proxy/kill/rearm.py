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

from proxy.kill.asked import answered, asked_of, note_asked
from proxy.kill.jobs import unfinished_jobs
from proxy.people.names import reason_objections
from proxy.store import codec
from proxy.store.fence import Fence, FenceCorrupt, Scope


class RearmRefused(Exception):
    """The scope stays stopped, for these reasons."""

    def __init__(self, scope: Scope | str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"{scope} stays stopped: {'; '.join(reasons)}")
        self.scope = str(scope)
        self.reasons = reasons


def rearm(
    data_dir: Path, scope: Scope, name: str, reason: str, typed_scope_name: str, venues: Mapping[str, str] | None = None
) -> int:
    """Let ``scope`` trade again; the new generation. RearmRefused, FenceCorrupt. Lifts nothing but that scope.

    ``venues`` says which venue each account is on.
    """
    venue_of = venues or {}
    running = [
        job.account
        for job in unfinished_jobs(data_dir)
        if scope.covers(job.account, venue_of.get(job.account, ""), job.bot)
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
    line = codec.dump({"at": datetime.now(UTC).isoformat(), "scope": scope, "by": name, "reason": reason})
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
