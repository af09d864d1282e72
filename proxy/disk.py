"""Files that are whole or not there, and on the disk before anything rests on them. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` in place of a file, whole or not at all, and wait for the disk. Raises ``OSError``.

    The file is its owner's alone. Two writers of one path must wait for each other.
    """
    upcoming = path.with_name(path.name + ".next")
    # A buffered file writes all of it or raises; os.write alone may stop half-way on a disk that is nearly full.
    with os.fdopen(os.open(upcoming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    upcoming.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a folder are on the disk. Raises ``OSError``."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
