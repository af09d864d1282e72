"""Two triggers that need no door: a sentinel file that somebody puts by hand, and the signal that puts one.

The file stops this machine's gates by being there. Here the warden sees that nobody has pressed for it, and does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Final

from proxy.kill.jobs import job_directory
from proxy.store.fence import Fence, Scope

log = logging.getLogger("perpguard.kill")

LOOK_EVERY_S: Final = 0.25
UNDER_WAY_S: Final = 5.0
"""How long a press of another process may be between its sentinel and its epoch: two writes and their syncs, however
slow the disk."""


class SentinelWatch:
    """Presses for every sentinel that was put, or touched again, since the last job of what it covers began.

    One that a press wrote is not pressed for, unless the epoch does not name it after a while: that press came no
    further.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        press: Callable[[Scope, str, str], Awaitable[object]],
        accounts: Callable[[Scope], Collection[str]],
    ) -> None:
        self._data_dir = data_dir
        self._fence = Fence(data_dir)
        self._press = press
        self._accounts = accounts
        self._pressed: dict[Scope, float] = {}

    async def run(self) -> None:
        """Look, for ever. It needs no store, no gate and no door."""
        while True:
            for scope in self._fence.scopes():
                await self._look(scope)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, scope: Scope) -> None:
        put_at = self._fence.put_at(scope) or self._cut_short_at(scope)
        if put_at is None or self._pressed.get(scope) == put_at or self._worked_off(scope, put_at):
            return
        who = _owner(self._data_dir / "kill" / sentinel_name(scope))
        log.warning("the sentinel of %s was put by %s", scope, who)
        try:
            await self._press(scope, f"{who} (sentinel file)", "a sentinel file was put")
        except OSError as trouble:
            log.error("the kill of %s could not begin: %s", scope, trouble.strerror)
            return  # A full disk may have room again; the gates are stopped meanwhile.
        self._pressed[scope] = put_at

    def _cut_short_at(self, scope: Scope) -> float | None:
        """When a press wrote a sentinel and died, or was let down by the disk, before its epoch and perhaps its job."""
        if scope not in self._fence.by_hand():
            return None
        try:
            # It is dated 1970; when it was really put, the inode says.
            put_at = (self._data_dir / "kill" / sentinel_name(scope)).stat().st_ctime
        except OSError:
            return None
        return put_at if time.time() - put_at >= UNDER_WAY_S else None

    def _worked_off(self, scope: Scope, put_at: float) -> bool:
        """Whether every account it covers has had a job since: it was put before this process began."""
        accounts = self._accounts(scope)
        return bool(accounts) and all(
            _last_journaled(job_directory(self._data_dir, each, scope.bot)) >= put_at for each in accounts
        )


def sentinel_name(scope: Scope) -> str:
    """The name of a scope's file in ``<data_dir>/kill``."""
    return str(scope).replace(":", ".")


def obey_kill_signal(data_dir: Path) -> None:
    """From now on SIGUSR1 kills the desk: it puts, or touches, the desk's sentinel and does nothing else.

    To be called in the main thread. The path is worked out here, so that the handler only makes two system calls.
    """
    path = os.fspath(data_dir / "kill" / "desk")

    def put(number: int, frame: FrameType | None) -> None:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.utime(path)
        except OSError as trouble:
            # An exception here would end whatever is running; the log may hold a lock that is taken.
            os.write(2, f"SIGUSR1: the sentinel cannot be put: {trouble.strerror}\n".encode())

    signal.signal(signal.SIGUSR1, put)


def _last_journaled(directory: Path) -> float:
    """When a job of an account, or of a bot's part of it, last wrote, in seconds since 1970; 0 without any."""
    return max((path.stat().st_mtime for path in directory.glob("*.jsonl")), default=0.0)


def _owner(path: Path) -> str:
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "somebody"
