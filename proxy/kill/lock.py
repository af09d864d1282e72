"""One kill of an account at a time on this machine: a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AccountLock:
    """An advisory lock on a file that is never removed: unlinking it would let two holders hold two locks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> bool:
        """Take it if it is free. A disk that cannot hold the file, or knows no locks, gives it to everybody: two runs
        do no harm."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            return True
        self._descriptor = descriptor
        return True

    def free(self) -> bool:
        """Whether nobody holds it now."""
        if not self.acquire():
            return False
        self.release()
        return True

    def release(self) -> None:
        """Give it back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
