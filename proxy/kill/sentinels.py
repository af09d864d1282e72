"""What is stopped and has no kill: a file that somebody put, a signal that put one, a press that came no further.

The file stops this machine's gates by being there. Here the warden sees that nobody has made flat what it stops, and
presses. It wants evidence that somebody meant it: a file with a date of its own that no job of its accounts has
followed, or the note of a press (``asked``) that no job has answered. Every other stop closes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from proxy.kill.asked import Asked, answered, asked_at, asked_of, fitting, noted
from proxy.kill.jobs import job_directory, written_since
from proxy.store.fence import Fence, Scope

log = logging.getLogger("perpguard.kill")

LOOK_EVERY_S: Final = 0.25
UNDER_WAY_S: Final = 5.0
"""How long a press may be between its note and its job: another process opens the vault meanwhile."""


FORGOTTEN_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owed:
    """A press that nobody has begun: since when it is owed, in seconds since 1970, and in whose name."""

    at: float
    asked: Asked
    by_hand: bool = False


class SentinelWatch:
    """Presses for every stop that has no job. ``accounts`` are those that a scope covered at a moment, in seconds
    since 1970; ``at_it`` those that this process is at under it."""

    def __init__(
        self,
        *,
        data_dir: Path,
        press: Callable[[Scope, str, str], Awaitable[object]],
        accounts: Callable[[Scope, float], Collection[str]],
        at_it: Callable[[Scope], Collection[str]] = lambda scope: (),
    ) -> None:
        self._data_dir = data_dir
        self._fence = Fence(data_dir)
        self._press = press
        self._accounts = accounts
        self._at_it = at_it
        self._pressed: dict[tuple[Scope, bool], float] = {}

    async def run(self) -> None:
        """Look, for ever. It needs no store, no gate and no door."""
        said = ""
        while True:
            try:
                stopped = self._fence.scopes()
                for scope in stopped:
                    await self._look(scope)
                for scope in noted(self._data_dir) - stopped:
                    self._forget(scope)
                said = ""
            except OSError as trouble:
                if str(trouble) != said:  # Once, not four times a second.
                    log.error("the sentinels cannot be looked at: %s", trouble.strerror)
                said = str(trouble)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, scope: Scope) -> None:
        owed = self._put(scope) or self._came_no_further(scope)
        if owed is None:
            return
        asked = owed.asked
        log.warning("%s is stopped and has no kill; pressing for %s: %s", scope, asked.by, asked.reason)
        try:
            await self._press(scope, asked.by, asked.reason)
        except Exception as trouble:  # The edge: a press that fails must not end the watch over the others.
            why = trouble.strerror if isinstance(trouble, OSError) else type(trouble).__name__
            log.error("the kill of %s could not begin: %s", scope, why)
            return  # A full disk may have room again; the gates are stopped meanwhile.
        self._pressed[scope, owed.by_hand] = owed.at

    def _forget(self, scope: Scope) -> None:
        """A note of what is not stopped: its press stopped nothing, or was let go. It must not count for a later stop,
        which may be damage. A disk may take a while over a stop, so not at once."""
        at = asked_at(self._data_dir, scope)
        if at is not None and time.time() - at > FORGOTTEN_AFTER_S and scope not in self._fence.scopes():
            log.warning("a press of %s stopped nothing; its note is taken away", scope)
            answered(self._data_dir, scope)

    def _put(self, scope: Scope) -> _Owed | None:
        """The file of a person, or of the signal, unless every account that it covered has had a job since."""
        put_at = self._fence.put_at(scope)
        if put_at is None or self._pressed.get((scope, True)) == put_at:
            return None
        # When it was really put, whatever date a person gave it: an account that came later was never meant.
        accounts = set(self._accounts(scope, self._fence.stopped_at(scope) or put_at)) - set(self._at_it(scope))
        if all(written_since(job_directory(self._data_dir, each, scope.bot), put_at) for each in accounts):
            return None
        who = _owner(self._data_dir / "kill" / sentinel_name(scope))
        asked = Asked(by=f"{who} (sentinel file)", reason="a sentinel file was put")
        return _Owed(at=put_at, asked=asked, by_hand=True)

    def _came_no_further(self, scope: Scope) -> _Owed | None:
        """A press whose process died, or could not begin: its note stands, and an account has had no job since."""
        at, asked = asked_at(self._data_dir, scope), asked_of(self._data_dir, scope)
        if at is None or asked is None or self._pressed.get((scope, False)) == at:
            return None
        owing = set(self._accounts(scope, max(at, time.time()))) - set(self._at_it(scope))
        # It may have died between the last of its jobs and its note.
        if all(written_since(job_directory(self._data_dir, each, scope.bot), at) for each in owing):
            return None
        # A clock that was set back since makes it of the future: then nobody knows how long ago it was.
        if 0 <= time.time() - at < UNDER_WAY_S:
            return None
        return _Owed(at=at, asked=Asked(by=asked.by, reason=fitting(f"(the press came no further) {asked.reason}")))


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


def _owner(path: Path) -> str:
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "somebody"
