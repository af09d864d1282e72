"""Verifications of a running guard: one at a time, in a thread, with progress, and the last one remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.verify import VerifyReport, verify
from proxy.signatures.signing import TrustedKey
from proxy.vault.errors import VaultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A verification that ended; ``took_s`` is how long it ran."""

    at: datetime
    took_s: float
    report: VerifyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One that runs: records done, and of how many (0 while that is not known)."""

    since: datetime
    done: int
    of: int


class Verification:
    """The archive of this guard, verified when somebody asks."""

    def __init__(
        self,
        place: ArchivePlace,
        *,
        anchors: Sequence[Path],
        keys: Callable[[], Sequence[TrustedKey]],
        now: Callable[[], datetime],
    ) -> None:
        """``anchors`` are copies outside that are there already or are to be; ``keys`` may raise ``VaultError``."""
        self._place = place
        self._anchors = anchors
        self._keys = keys
        self._now = now
        self._progress = (0, 0)
        self._since: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self.last: Verified | None = None

    @property
    def running(self) -> Running | None:
        """The one that runs, if any."""
        if self._task is None or self._task.done() or self._since is None:
            return None
        done, of = self._progress
        return Running(since=self._since, done=done, of=of)

    def start(self) -> bool:
        """Begin one, unless one runs; whether this began it."""
        if self._task is not None and not self._task.done():
            return False
        self._since, self._progress = self._now(), (0, 0)
        self._task = asyncio.create_task(self._run(self._since))
        return True

    async def report(self, age_max: timedelta) -> VerifyReport:
        """What the last one found, or a new one where it is older. It goes on when the waiting is given up."""
        if self.last is None or self._now() - self.last.at > age_max:
            self.start()
            assert self._task is not None  # noqa: S101 - it was started
            await asyncio.shield(self._task)
        assert self.last is not None  # noqa: S101 - one has ended without raising
        return self.last.report

    async def _run(self, began: datetime) -> None:
        report = await asyncio.to_thread(self._verified)
        self.last = Verified(at=began, took_s=(self._now() - began).total_seconds(), report=report)

    def _verified(self) -> VerifyReport:
        # An anchor outside that was never written is shown as such where anchors are shown; it is no evidence.
        anchors = [path for path in self._anchors if not _is_missing(path)]
        try:
            return verify(self._place, anchors=anchors, keys=self._keys(), told=self._told)
        except (ArchiveUnavailable, VaultError) as trouble:
            return VerifyReport(ok=False, records=0, head_hash="", problem=str(trouble), counts={})

    def _told(self, done: int, of: int) -> None:
        self._progress = (done, of)


def _is_missing(path: Path) -> bool:
    """Whether there is certainly no such file. What the disk does not give is found by whoever reads it."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False
