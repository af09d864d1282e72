"""The vault's file on disk: private, replaced whole or not at all, one writer at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from proxy.disk import give_to_owner_of, make_directory, replace_file
from proxy.vault.errors import VaultBusy, VaultCorrupt, VaultExposed, VaultMissing

_SIZE_BYTES_MAX = 16 * 2**20
_LOCK_WAIT_SECONDS = 10.0
_LOCK_POLL_SECONDS = 0.01


class Stamp(NamedTuple):
    """What `stat` says about one state of the file. Two states never share one: see `VaultFile.replace`."""

    device: int
    inode: int
    size: int
    modified_ns: int


class VaultFile:
    """One path, read and replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")

    def exists(self) -> bool:
        """Whether anything is there, even a dangling link."""
        return os.path.lexists(self.path)

    def stamp(self) -> Stamp:
        """One `stat`: cheap enough to ask several times a second."""
        try:
            return _stamp(self.path.lstat())
        except FileNotFoundError:
            raise VaultMissing(self.path) from None

    def read(self) -> tuple[bytes, Stamp]:
        """The content and the stamp of exactly that content."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise VaultMissing(self.path) from None
        with os.fdopen(descriptor, "rb") as file:
            stamp = _stamp(os.fstat(descriptor))
            content = file.read(_SIZE_BYTES_MAX + 1)
        if len(content) > _SIZE_BYTES_MAX:
            raise VaultCorrupt("larger than any vault")
        return content, stamp

    def prepare_directory(self) -> None:
        """Make the directory, private. An existing one is tightened only while empty: it may not be ours alone."""
        directory = self.path.parent
        make_directory(directory)
        mode = directory.stat().st_mode
        if mode & 0o077 and not any(directory.iterdir()):
            directory.chmod(0o700)
        elif mode & 0o022:
            raise VaultExposed(directory)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the right to write. The lock file stays for ever: unlinking it would let two writers hold two locks."""
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise VaultMissing(self.path) from None
        try:
            give_to_owner_of(self.path.parent, descriptor)
            self._wait_for_lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def replace(self, content: bytes, *, after: Stamp | None) -> Stamp:
        """Put new content in place of the state stamped `after`. Only under the lock."""
        stamps: list[Stamp] = []
        replace_file(self.path, content, settled=lambda written: stamps.append(_stamp_later_than(after, written)))
        return stamps[0]

    def _wait_for_lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise VaultBusy(self.path, _LOCK_WAIT_SECONDS) from None
                time.sleep(_LOCK_POLL_SECONDS)
            else:
                return


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _stamp_later_than(earlier: Stamp | None, descriptor: int) -> Stamp:
    # File times tick in steps of milliseconds and inodes are reused, so two quick writes could look like none.
    status = os.fstat(descriptor)
    if earlier is None or status.st_mtime_ns > earlier.modified_ns:
        return _stamp(status)
    os.utime(descriptor, ns=(status.st_atime_ns, earlier.modified_ns + 1))
    return _stamp(os.fstat(descriptor))
