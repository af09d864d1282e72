"""How a rolling restart is asked for, and where it is said how it went. Standard library only.

The supervisor's process id is in the file that it holds locked; the state of the last restart is in another, which
whoever asked reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from proxy.disk import replace_file
from proxy.supervision.rolling import Rolled


class NoGuard(Exception):
    """No guard runs on this data directory."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One, by its number since the data directory was made."""

    number: int
    state: Rolled


NONE_YET = Restart(0, Rolled.DONE)


def lock_path(data_dir: Path) -> Path:
    """The file that a running supervisor holds locked."""
    return data_dir / "guard.lock"


def write_pid(descriptor: int) -> None:
    """Say in the locked file whose lock it is. Raises ``OSError``."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)


def ask_to_restart(data_dir: Path) -> None:
    """Send the running supervisor its signal. Raises ``NoGuard`` or ``OSError``."""
    try:
        descriptor = os.open(lock_path(data_dir), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoGuard(f"no guard runs on {data_dir}") from None
    try:
        if _is_free(descriptor):
            raise NoGuard(f"no guard runs on {data_dir}")
        os.kill(int(os.pread(descriptor, 16, 0)), signal.SIGHUP)
    except (ValueError, ProcessLookupError):  # It is just starting, or just gone.
        raise NoGuard(f"no guard is ready on {data_dir}") from None
    finally:
        os.close(descriptor)


def last_restart(data_dir: Path) -> Restart:
    """The last one there was. One that cannot be read is as none."""
    try:
        told = json.loads(_state_path(data_dir).read_bytes())
        return Restart(int(told["number"]), Rolled(told["state"]))
    except (OSError, ValueError, KeyError, TypeError):
        return NONE_YET


class Restarts:
    """The supervisor's side: says that one begins, and how it ended."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def begin(self) -> None:
        """Another one runs."""
        self._tell(Restart(last_restart(self._data_dir).number + 1, Rolled.RUNNING))

    def end(self, state: Rolled) -> None:
        """It is over."""
        self._tell(Restart(last_restart(self._data_dir).number, state))

    def _tell(self, restart: Restart) -> None:
        told = json.dumps({"number": restart.number, "state": restart.state})
        with contextlib.suppress(OSError):  # A full disk keeps nobody from new gates; the log says it as well.
            replace_file(_state_path(self._data_dir), told.encode("ascii"))


def _state_path(data_dir: Path) -> Path:
    return data_dir / "gates.restart"


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True
