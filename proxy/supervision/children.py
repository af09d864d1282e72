"""The supervisor's child processes: each started with the descriptors it inherits, watched, and brought to its end."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

log = logging.getLogger("perpguard.supervisor")

RESTART_PAUSE_S: Final = 0.2
RESTART_PAUSE_MAX_S: Final = 10.0


@dataclass(slots=True, eq=False)
class Child:
    """One process: how to start it, and how it has fared.

    One that ``reports`` says on a descriptor of its own when it serves.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Sequence[int] = ()
    reports: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = RESTART_PAUSE_S
    restart_at: float = field(default=0.0)
    _ready: bool = False
    _told: int | None = None

    def start(self) -> None:
        """Start it, in a session of its own. Raises ``OSError``."""
        command, descriptors = list(self.command), list(self.descriptors)
        self.forget()
        told = None
        if self.reports:
            self._told, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            command += ["--ready-fd", str(told)]
            descriptors.append(told)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, pass_fds=descriptors, env=self.environment, start_new_session=True
            )
        finally:
            if told is not None:
                os.close(told)
        self.started_at = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether it has said that it serves."""
        if not self._ready and self._told is not None:
            with contextlib.suppress(BlockingIOError):
                self._ready = os.read(self._told, 64) == b"ready\n"
        return self._ready

    @property
    def ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def mourn(self) -> None:
        """It ended by itself: say so, and say when it may be started again."""
        assert self.process is not None  # noqa: S101 - only called with a process that ended
        lived_s = time.monotonic() - self.started_at
        self.pause_s = RESTART_PAUSE_S if lived_s > 30 else min(RESTART_PAUSE_MAX_S, self.pause_s * 2)
        self.restart_at = time.monotonic() + self.pause_s
        log.error("%s ended with %s; starting it again", self.name, self.process.returncode)
        self.forget()

    def forget(self) -> None:
        """Nothing is known of a process any more."""
        self.process, self._ready = None, False
        if self._told is not None:
            os.close(self._told)
            self._told = None


def end(children: Sequence[Child], timeout_s: float) -> None:
    """Ask all to stop, and kill those that have not within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
