"""One kill job on disk: an append-only file of JSON lines, all of them on the platter before the next step is taken.

What has happened is written at once, so that a process that dies loses none of it, and is brought to the platter with
the intent that rests on it: a machine that loses its power loses nothing that anything was done upon.

A line torn by a crash is cut off when the job is resumed: what it said did not happen as far as anybody knows. A disk
that refuses to write does not stop a kill; the journal goes on in memory and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from proxy.decoding import build
from proxy.disk import sync_directory
from proxy.store import codec
from proxy.store.fence import Scope
from rules.kill.events import Action, Event

_EVENTS: Final[dict[str, type]] = {event.__name__: event for event in get_args(Event)}

Listener = Callable[[dict[str, Any]], None]
"""Hears every line as it is written: the console's and the command line's live view."""


class JournalCorrupt(Exception):
    """A line before the last cannot be read, so what follows cannot be trusted."""

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(f"{path}: line {line} is damaged")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The head of a journal. ``blocked_ms`` is the time from the press to the fence; ``None`` if that failed.

    ``sources`` are the source addresses that it asks the venue by; a ban that it ended on is of those. Heads of older
    versions name none: the usual one, which is empty. ``continues`` is the job of the same press that it goes on with;
    ``None`` for the first of a press, and in heads of older versions.
    """

    job_id: str
    account: str
    scope: str
    by: str
    reason: str
    started_at: datetime
    blocked_ms: float | None
    sources: tuple[str, ...] = ("",)
    continues: str | None = None

    @property
    def covers(self) -> Scope:
        """The scope of the press that began the job."""
        return Scope.parse(self.scope)

    def client_order_id(self, sequence: int) -> str:
        """Unique over jobs, processes and crashes; within Binance's 36 characters."""
        return f"pgk-{self.job_id[-8:]}-{sequence}"


def to_plain(event: Event) -> dict[str, Any]:
    """An event as plain JSON types, its class name under ``type``."""
    return {"type": type(event).__name__, **codec.plain(event)}


def from_plain(value: dict[str, Any]) -> Event:
    """The event ``to_plain`` wrote. ``KeyError`` or ``msgspec.ValidationError``."""
    content = dict(value)
    event: Event = build(content, _EVENTS[content.pop("type")])
    return event


class Journal:
    """A job's journal. One process writes it, under the account's lock; any may read it."""

    def __init__(self, path: Path, job: Job, events: list[Event], listener: Listener | None = None) -> None:
        self.path = path
        self.job = job
        self.events = events
        self.trouble = ""
        self._listener = listener
        self._descriptor = -1

    @classmethod
    def create(cls, path: Path, job: Job, listener: Listener | None = None) -> Journal:
        """A new journal with its head written. A file that cannot hold even that is taken away again: left behind
        empty it would look like a job under way to every other process."""
        journal = cls(path, job, [], listener)
        journal._open(os.O_CREAT | os.O_EXCL)
        journal._append({"kind": "job", **codec.plain(job)})
        if journal.trouble:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        journal._sync()
        return journal

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """What the file says so far; ``None`` when not even its head was written. JournalCorrupt."""
        return cls._parse(path)[0]

    @classmethod
    def resume(cls, path: Path, listener: Listener | None = None) -> Journal | None:
        """The same, ready to be continued, a torn last line cut off."""
        journal, length = cls._parse(path)
        if journal is None:
            return None
        journal._listener = listener
        journal._open(0)
        try:
            os.ftruncate(journal._descriptor, length)
        except OSError as trouble:
            journal._give_up(trouble)
        return journal

    def intend(self, action: Action, at: datetime) -> None:
        """Write down what is about to be done; when this returns, it and all before it are on the platter."""
        content = {field.name: codec.plain(getattr(action, field.name)) for field in fields(action)}
        self._append({"kind": "intent", "at": codec.plain(at), "action": type(action).__name__, **content})
        self._sync()

    def record(self, event: Event) -> None:
        """Write down what has happened."""
        self.events.append(event)
        self._append({"kind": "event", "event": to_plain(event)})

    def close(self) -> None:
        """Give the file back, all of it on the platter."""
        self._sync()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @classmethod
    def _parse(cls, path: Path) -> tuple[Journal | None, int]:
        raw = path.read_bytes()
        journal: Journal | None = None
        length = 0
        for number, line in enumerate(raw.splitlines(keepends=True), start=1):
            try:
                if not line.endswith(b"\n"):
                    break
                content = codec.load(line)
                if journal is None:
                    content.pop("kind")
                    journal = cls(path, build(content, Job), [])
                elif content["kind"] == "event":
                    journal.events.append(from_plain(content["event"]))
            except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
                if length + len(line) < len(raw):
                    raise JournalCorrupt(path, number) from None
                break
            length += len(line)
        return journal, length

    def _open(self, flags: int) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
            sync_directory(self.path.parent)
        except OSError as trouble:
            self._give_up(trouble)

    def _append(self, content: dict[str, Any]) -> None:
        if self._descriptor >= 0:
            try:
                line = codec.dump(content) + b"\n"
                if os.write(self._descriptor, line) != len(line):
                    # A partial line in the middle would damage the file for every reader after us.
                    raise OSError(0, "the line was written in part")
            except OSError as trouble:
                self._give_up(trouble)
        if self._listener is not None:
            self._listener(content)

    def _sync(self) -> None:
        if self._descriptor >= 0:
            try:
                os.fsync(self._descriptor)
            except OSError as trouble:
                self._give_up(trouble)

    def _give_up(self, trouble: OSError) -> None:
        self.trouble = f"the journal went on in memory only: {trouble.strerror}"
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
