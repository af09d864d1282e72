"""Files that are whole or not there, and on the disk before anything rests on them. Standard library only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class FileIdentity(NamedTuple):
    """What ``stat`` says of one state of a file: another content in its place has another one."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def identity_of(path: Path) -> FileIdentity | None:
    """The state a file is in, ``None`` when there is none. Raises ``OSError``."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def replace_file(path: Path, content: bytes, *, settled: Callable[[int], None] | None = None) -> None:
    """Put ``content`` in place of a file, whole or not at all, and wait for the disk. Raises ``OSError``.

    The file is its owner's alone. Two writers of one path must wait for each other. ``settled`` is called with the
    descriptor of what is written and not yet in place.
    """
    upcoming = path.with_name(path.name + ".next")
    with suppress(FileNotFoundError):
        upcoming.unlink()  # Left by a writer that died before its rename, and perhaps somebody else's.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        # A buffered file writes all of it or raises; os.write alone may stop half-way on a disk that is nearly full.
        with os.fdopen(os.open(upcoming, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            give_to_owner_of(path.parent, file.fileno())
            file.write(content)
            file.flush()
            if settled is not None:
                settled(file.fileno())
            os.fsync(file.fileno())
        upcoming.replace(path)
    except OSError:
        with suppress(OSError):
            upcoming.unlink()
        raise
    sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Take a file away and wait for the disk; nothing is done where there is none. Raises ``OSError``."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make a folder that is its owner's alone, and those it is in, and wait for the disk. Raises ``OSError``.

    A file in a folder whose own name is not on the disk yet is gone after a crash.
    """
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    give_folder_to_owner_of(path.parent, path)
    sync_directory(path.parent)


def give_to_owner_of(folder: Path, descriptor: int) -> None:
    """Have what root made or opened in a folder belong to whom the folder belongs. Raises ``OSError``.

    The guard runs as a user of its own, and root's command line changes its files: they must stay the guard's.
    """
    if os.geteuid() != 0:
        return
    made, owner = os.fstat(descriptor), folder.stat()
    # A second name may be one that somebody gave to a file of root's, to be given it here.
    if stat.S_ISDIR(made.st_mode) or made.st_nlink == 1:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def give_folder_to_owner_of(folder: Path, made: Path) -> None:
    """The same, for a folder that was made in it. Raises ``OSError``."""
    descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        give_to_owner_of(folder, descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a folder are on the disk. Raises ``OSError``."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
