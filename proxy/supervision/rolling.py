"""A rolling restart of the gates: one after another is relieved by a new process, so that no order finds no gate.

The new one is started beside the old one, on the same listening sockets. Only when it says that it serves is the old
one told to go, which then takes nothing new and ends when all it has is answered. A new one that does not come up is
ended again and the old ones stay: a restart that fails changes nothing.
"""

from __future__ import annotations

import enum
import logging
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from proxy.supervision.children import Child

log = logging.getLogger("perpguard.supervisor")

READY_WITHIN_S: Final = 30.0
GONE_WITHIN_S: Final = 15.0
"""A gate ends within ten seconds by itself; one that has not is killed."""


class Rolled(enum.StrEnum):
    """How a rolling restart stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RollingRestart:
    """One, from the first gate to the last. ``step`` is called over and over, and never waits.

    ``gates`` are those to be relieved; ``successor`` makes the child that takes a gate's place.
    """

    def __init__(
        self,
        gates: Sequence[Child],
        successor: Callable[[Child], Child],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = Rolled.RUNNING
        self._waiting = list(gates)
        self._successor = successor
        self._clock = clock
        self._old: Child | None = None
        self._new: Child | None = None
        self._deadline = 0.0
        self._leaving = False

    @property
    def busy_with(self) -> tuple[Child, ...]:
        """Children that nobody else may start, mourn or count on: the one that comes, and the one that goes."""
        going = self._old if self._leaving else None
        return tuple(each for each in (going, self._new) if each is not None)

    def step(self, gates: list[Child]) -> None:
        """Go on as far as things are; ``gates`` is the list of those that serve, which this keeps."""
        if self._old is None:
            self._begin_next()
        elif not self._leaving:
            self._look_at_new(gates)
        elif self._old.process is None or self._old.ended:
            self._old.forget()
            self._old = None
        elif self._clock() > self._deadline:
            log.error("%s did not end in time and is killed", self._old.name)
            self._old.signal(signal.SIGKILL)

    def _begin_next(self) -> None:
        if not self._waiting:
            self.state = Rolled.DONE
            return
        self._old = self._waiting.pop(0)
        self._new = self._successor(self._old)
        self._deadline = self._clock() + READY_WITHIN_S
        self._leaving = False
        try:
            self._new.start()
        except OSError as trouble:
            log.error("%s cannot be started; the gates that run stay: %s", self._new.name, trouble)
            self._give_up()

    def _look_at_new(self, gates: list[Child]) -> None:
        assert self._old is not None and self._new is not None  # noqa: S101 - both are set by _begin_next
        if self._new.ready:
            log.warning("%s serves; %s is let go", self._new.name, self._old.name)
            gates[gates.index(self._old)] = self._new
            self._new = None
            self._leaving = True
            self._deadline = self._clock() + GONE_WITHIN_S
            self._old.signal(signal.SIGHUP)
        elif self._new.ended or self._clock() > self._deadline:
            log.error("%s did not come up; the gates that run stay", self._new.name)
            self._give_up()

    def _give_up(self) -> None:
        assert self._new is not None  # noqa: S101 - only called while one is coming up
        self._new.signal(signal.SIGKILL)
        if self._new.process is not None:
            self._new.process.wait()
        self._new.forget()
        self._new = self._old = None
        self._waiting.clear()
        self.state = Rolled.FAILED
