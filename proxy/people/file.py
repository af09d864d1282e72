"""The file of people: ``people/people.json`` in the data directory, its owner's alone, whole or not there.

Command line and warden both change it, each under the lock and on what is on the disk then.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from proxy.decoding import decoder
from proxy.disk import FileIdentity, give_to_owner_of, identity_of, make_directory, replace_file
from proxy.people.roles import Role
from proxy.people.users import Change, Link, People, User

VERSION: Final = 1
SIZE_BYTES_MAX: Final = 1024 * 1024
_LOCK_WAIT_S: Final = 5.0
_LOCK_POLL_S: Final = 0.01


class PeopleUnreadable(Exception):
    """The file is there and cannot be believed; the text says why, and nothing of what is in it."""


class PeopleBusy(Exception):
    """Somebody else has been changing the file for too long."""


_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _User(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    role: Role
    since: _Time
    disabled: bool
    password: str
    code_secret: str
    code_step: int
    generation: int


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    digest: str
    name: str
    by: str
    expires_at: _Time


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    at: _Time
    what: str
    by: str
    detail: dict[str, str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    users: list[_User]
    links: list[_Link]
    changes: list[_Change]


_READ: Final = decoder(_File)
_READ_MEMBERS: Final = decoder(dict[str, msgspec.Raw])


class PeopleFile:
    """One path, read and replaced."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "people" / "people.json"

    def identity(self) -> FileIdentity | None:
        """The state the file is in: one ``stat``, cheap enough for every request. Raises ``PeopleUnreadable``."""
        try:
            return identity_of(self.path)
        except OSError as trouble:
            raise self._unreadable(trouble.strerror or type(trouble).__name__) from None

    def read(self) -> People:
        """Everybody; nobody where there is no file. Raises ``PeopleUnreadable``."""
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(SIZE_BYTES_MAX + 1)
        except FileNotFoundError:
            return People()
        except OSError as trouble:
            raise self._unreadable(trouble.strerror or type(trouble).__name__) from None
        if stat.S_IMODE(mode) & 0o077:
            raise self._unreadable("others than its owner may read or write it: chmod 600")
        if len(content) > SIZE_BYTES_MAX:
            raise self._unreadable("it is larger than any list of people")
        return self._decoded(content)

    def write(self, people: People) -> None:
        """Put everybody in place of what is there, on the disk when this returns; only under the lock. OSError."""
        content = msgspec.json.encode({"version": VERSION, **msgspec.to_builtins(people)})
        replace_file(self.path, msgspec.json.format(content, indent=1) + b"\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the right to write. Raises ``PeopleBusy`` and ``OSError``."""
        make_directory(self.path.parent)
        lock = self.path.with_name(self.path.name + ".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            give_to_owner_of(self.path.parent, descriptor)
            deadline = time.monotonic() + _LOCK_WAIT_S
            while not _taken(descriptor):
                if time.monotonic() >= deadline:
                    raise PeopleBusy(f"{self.path} is being changed by somebody else")
                time.sleep(_LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)

    def change(self, change: Callable[[People], People]) -> People:
        """Everybody after ``change``, on the disk. Raises what it raises, and what reading and writing do."""
        with self.locked():
            before = self.read()
            after = change(before)
            if after != before:
                self.write(after)
        return after

    def _decoded(self, content: bytes) -> People:
        try:
            if (version := _READ_MEMBERS.decode(content).get("version")) is None:
                raise self._unreadable("it has no version")
            if bytes(version) != str(VERSION).encode():
                raise self._unreadable("it was written by another version of perpguard")
            file = _READ.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # Its text quotes the file, and secrets stand in it.
            raise self._unreadable("it is damaged") from None
        people = People(
            users=tuple(User(**msgspec.structs.asdict(each)) for each in file.users),
            links=tuple(Link(**msgspec.structs.asdict(each)) for each in file.links),
            changes=tuple(Change(**msgspec.structs.asdict(each)) for each in file.changes),
        )
        if any(people.find(user.name) is not user for user in people.users):
            raise self._unreadable("it has two people of one name")
        return people

    def _unreadable(self, why: str) -> PeopleUnreadable:
        return PeopleUnreadable(f"{self.path} cannot be read: {why}")


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
