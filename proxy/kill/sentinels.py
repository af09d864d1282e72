"""What is stopped and has no kill: a file that somebody put, a signal that put one, a press that came no further.

The file stops this machine's gates by being there. Here the warden sees that nobody has made flat what it stops.

There is one rule, whatever wrote what: **a scope that is stopped is pressed for when an account that it covered then
has had no job since, and none is under way.** What a press stopped is given some seconds to come to its job. What
nobody had pressed (damage stops, and closes nothing) is not pressed for, nor a scope that covers nobody we know.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pwd
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final

from proxy.kill.asked import Asked, last_asked
from proxy.kill.jobs import job_directory, written_since
from proxy.store.fence import Fence, FenceCorrupt, Scope

log = logging.getLogger("perpguard.kill")

LOOK_EVERY_S: Final = 0.25
UNDER_WAY_S: Final = 5.0
"""How long a press of another process may be between its sentinel and its job: the vault's opening among it."""

SLACK_S: Final = 1.0
"""A job that wrote so shortly before a press's sentinel is its own: a full disk may take the file late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """When a scope was stopped, in seconds since 1970; ``by_hand`` where a person, or a signal, put the file."""

    at: float
    by_hand: bool


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
        self._pressed: dict[Scope, float] = {}

    async def run(self) -> None:
        """Look, for ever. It needs no store, no gate and no door."""
        said = ""
        while True:
            try:
                for scope in self._fence.scopes():
                    await self._look(scope)
                said = ""
            except OSError as trouble:
                if str(trouble) != said:  # Once, not four times a second.
                    log.error("the sentinels cannot be looked at: %s", trouble.strerror)
                said = str(trouble)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, scope: Scope) -> None:
        stop = self._stop(scope)
        if stop is None or self._pressed.get(scope) == stop.at or self._worked_off(scope, stop):
            return
        asked = self._who(scope, stop)
        log.warning("%s is stopped and has no kill; pressing for %s: %s", scope, asked.by, asked.reason)
        try:
            await self._press(scope, asked.by, asked.reason)
        except OSError as trouble:
            log.error("the kill of %s could not begin: %s", scope, trouble.strerror)
            return  # A full disk may have room again; the gates are stopped meanwhile.
        self._pressed[scope] = stop.at

    def _stop(self, scope: Scope) -> _Stop | None:
        """What there may be to press for; ``None`` for nothing, or not yet."""
        put_at = self._fence.put_at(scope)
        if put_at is not None:
            return _Stop(at=put_at, by_hand=True)
        pressed_at = self._fence.pressed_at(scope)
        if pressed_at is None:
            return self._without_file(scope)
        # A clock that was set back since makes it of the future: then nobody knows how long ago it was.
        under_way = 0 <= time.time() - pressed_at < UNDER_WAY_S
        return None if under_way else _Stop(at=pressed_at, by_hand=False)

    def _without_file(self, scope: Scope) -> _Stop | None:
        """What the epoch alone names: a disk too full for a new file took that much, or the file was lost. All that is
        known of when is that it was after the last re-arming."""
        try:
            self._fence.generation()
        except FenceCorrupt:
            return None  # Damage reads as the desk, which nobody has pressed.
        if self._fence.stopped_at(scope) is not None:
            return None
        return _Stop(at=_last_rearmed(self._data_dir, scope), by_hand=False)

    def _worked_off(self, scope: Scope, stop: _Stop) -> bool:
        """Whether every account that it covered has had a job since, or has one now."""
        since = stop.at if stop.by_hand else stop.at - SLACK_S
        accounts = set(self._accounts(scope, self._covered_at(scope, stop)))
        return all(
            written_since(job_directory(self._data_dir, each, scope.bot), since)
            for each in accounts - set(self._at_it(scope))
        )

    def _covered_at(self, scope: Scope, stop: _Stop) -> float:
        """When it was really put, whatever date a person gave the file: an account that came later was never meant."""
        return self._fence.stopped_at(scope) or stop.at or time.time()

    def _who(self, scope: Scope, stop: _Stop) -> Asked:
        asked = last_asked(self._data_dir, scope, stop.at - SLACK_S)
        if asked is not None:
            return Asked(by=asked.by, reason=f"{asked.reason} (the command came no further)")
        who = _owner(self._data_dir / "kill" / sentinel_name(scope))
        if stop.by_hand:
            return Asked(by=f"{who} (sentinel file)", reason="a sentinel file was put")
        return Asked(by=f"{who} (a press that came no further)", reason="stopped, and nobody had made it flat")


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


def _last_rearmed(data_dir: Path, scope: Scope) -> float:
    """When a scope was re-armed last, in seconds since 1970; 0 for never."""
    last = 0.0
    try:
        lines = (data_dir / "kill" / "rearm.jsonl").read_bytes().splitlines()
    except OSError:
        return last
    for line in lines:
        try:
            written = json.loads(line)
            if written["scope"] == str(scope):
                last = datetime.fromisoformat(written["at"]).timestamp()
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # Torn by a crash.
    return last


def _owner(path: Path) -> str:
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "somebody"
