"""The warden's side of the kill switch: presses, the latch in the store, and the three truths kept equal.

A sentinel file, a journal and a latch in the store: any one of them stops. This file carries a stop found in one to
the others, and never carries a release: only re-arming opens, and it opens all three.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.kill.hands import AccountHands
from proxy.kill.job import kill, unfinished_jobs
from proxy.kill.journal import Journal, JournalCorrupt
from proxy.kill.rearm import rearm
from proxy.kill.report import AccountReport, KillReport, account_report
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import DESK, Fence, FenceCorrupt, Scope
from proxy.store.warden_store import WardenStore
from rules.model import TradingState

log = logging.getLogger("perpguard.kill")

MIRROR_EVERY_S: Final = 0.25

Record = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Writes an event to the audit: what happened, by whom, and the details. Never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The first acknowledgement: no entry that was not already on the wire can leave any more."""

    scope: Scope
    generation: int
    blocked_ms: float
    latched: bool


class KillDesk:
    """Presses and re-arms for one data directory. ``changed`` hears of every scope whose book a kill may have moved.

    ``turned`` hears of every turn of the mirror; ``turn`` keeps two hosts from acting on the desk at once.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        hands: Mapping[str, AccountHands],
        store: WardenStore,
        record: Record,
        changed: Callable[[Scope], None],
        turned: Callable[[], None] = lambda: None,
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._data_dir = data_dir
        self._hands = hands
        self._store = store
        self._record = record
        self._changed = changed
        self._turned = turned
        self._turn = turn
        self._fence = Fence(data_dir)
        self._truths = asyncio.Lock()
        self._jobs: set[asyncio.Task[None]] = set()

    async def press(self, scope: Scope, by: str, reason: str) -> Blocked:
        """Block at once and start, or join, the job that makes the scope flat. Returns when trading is blocked."""
        pressed = time.monotonic()
        generation = self._fence.engage(scope)
        latched = await self._latch(scope, generation, running=True)
        blocked = Blocked(
            scope=scope,
            generation=generation,
            blocked_ms=round((time.monotonic() - pressed) * 1000, 3),
            latched=latched,
        )
        self._start(scope, by, reason)
        await self._record("kill.engaged", by, {"scope": str(scope), "reason": reason, "generation": generation})
        return blocked

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        """Let nothing in that adds risk; re-arming lifts it. False when the account is that, or stopped, already.

        Raises what the store client raises: then the account goes on as it was.
        """
        scope = Scope(account)
        async with self._truths:
            controls = await self._store.controls()
            if (
                self.stopped(account)
                or controls.get(str(scope), TradingState.ACTIVE.value) != TradingState.ACTIVE.value
            ):
                return False
            await self._store.set_state(
                str(scope), TradingState.REDUCING, generation=self.generation(), kill_running=None
            )
        log.error("%s is reduce-only: %s", scope, reason)
        await self._record("reducing", by, {"scope": str(scope), "reason": reason})
        return True

    async def close(self, account: str, by: str, reason: str) -> bool:
        """Press the button for one account on the guard's own account. False when a job for it runs already."""
        scope = Scope(account)
        if await asyncio.to_thread(self.running, scope) or await asyncio.to_thread(self.running, DESK):
            return False
        await self.press(scope, by, reason)
        return True

    def stopped(self, account: str) -> bool:
        """Whether a kill covers an account on this machine, running or done."""
        return self._fence.engaged(account)

    async def resume(self) -> None:
        """Take up every job that a crash left unfinished. Called before anything else is started."""
        for unfinished in unfinished_jobs(self._data_dir):
            job = unfinished.job
            scope = job.covers if job is not None else Scope(unfinished.account)
            log.warning("resuming the kill of %s", unfinished.account)
            await self._latch(scope, self._fence.engage(scope), running=True)
            self._start(scope, job.by if job is not None else "warden", "resumed after a crash")

    async def rearm(self, scope: Scope, name: str, reason: str, typed: str) -> int:
        """Open one scope again, in all three places. Returns the new generation.

        Raises ``RearmRefused``, ``FenceCorrupt``, or what the store client raises: then the scope stays stopped.
        """
        async with self._truths:
            generation = rearm(self._data_dir, scope, name, reason, typed)
            try:
                await self._store.set_state(str(scope), TradingState.ACTIVE, generation=generation, kill_running=False)
            except STORE_TROUBLE:
                self._fence.engage(scope)
                raise
        await self._record("rearm", name, {"scope": str(scope), "reason": reason, "generation": generation})
        return generation

    async def mirror(self) -> None:
        """For ever: what one truth stops, the others stop too."""
        while True:
            self._turned()
            try:
                async with self._truths:
                    await self._mirror_once()
            except STORE_TROUBLE as trouble:
                log.warning("the kill state cannot be compared with the store: %s", type(trouble).__name__)
            await asyncio.sleep(MIRROR_EVERY_S)

    def reports(self) -> tuple[AccountReport, ...]:
        """The newest job of every account, finished or not, read from its journal."""
        found = []
        for directory in sorted((self._data_dir / "kill" / "jobs").glob("*")):
            path = max(directory.glob("*.jsonl"), default=None, key=lambda each: each.name)
            if path is None:
                continue
            try:
                journal = Journal.read(path)
            except (JournalCorrupt, OSError):
                continue
            if journal is not None:
                found.append(account_report(journal.job, journal.events))
        return tuple(found)

    def running(self, scope: Scope) -> bool:
        """Whether a job that covers ``scope`` has not ended."""
        return any(
            unfinished.job is not None and unfinished.job.covers == scope
            for unfinished in unfinished_jobs(self._data_dir)
        )

    async def _mirror_once(self) -> None:
        controls = await self._store.controls()
        engaged = self._fence.scopes()
        for scope in engaged:
            level = str(scope)
            running = self.running(scope)
            halted = controls.get(level) == TradingState.HALTED.value
            if not halted or running != (f"kill:{level}" in controls):
                await self._store.set_state(
                    level, TradingState.HALTED, generation=self.generation(), kill_running=running
                )
                self._changed(scope)
                if not self._jobs:
                    await self._record_from_outside(scope, running)
        stopped = [level for level, state in controls.items() if state == TradingState.HALTED.value]
        for level in stopped:
            if level == str(DESK) or level.startswith("account:"):
                scope = Scope.parse(level)
                if scope not in engaged:
                    log.error("%s is stopped in the store but not on this machine; stopping it here", scope)
                    self._fence.engage(scope)

    async def _record_from_outside(self, scope: Scope, running: bool) -> None:
        """A stop that did not come through this process: pressed on the command line, by another host, or by hand."""
        covered = [report for report in self.reports() if scope.covers(report.account)]
        newest = max(covered, key=lambda report: report.started_at, default=None)
        by = newest.by if newest is not None else "unknown"
        what = "kill.engaged" if running or newest is None else f"kill.{newest.phase.value.lower()}"
        await self._record(what, by, {"scope": str(scope), "accounts": plain(covered)})

    def generation(self) -> int:
        """The epoch, or 0 for one that is damaged: that reads as a stop of the desk, which is what is carried on."""
        try:
            return self._fence.generation()
        except FenceCorrupt:
            return 0

    def _start(self, scope: Scope, by: str, reason: str) -> None:
        task = asyncio.create_task(self._run(scope, by, reason))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _run(self, scope: Scope, by: str, reason: str) -> None:
        covered = [hands for name, hands in self._hands.items() if scope.covers(name)]
        async with self._turn():
            report = await kill(self._data_dir, scope, covered, by, reason, latch=self._tell_store)
        generation = report.generation if report.generation is not None else 0
        # Flat or not, the exits belong to the bots again: a kill that ended DEGRADED must trap nobody.
        await self._latch(scope, generation, running=self.running(scope))
        self._changed(scope)
        await self._record(f"kill.{report.phase.value.lower()}", by, _summary(report))
        log.warning("kill of %s ended: %s", scope, report.phase.value)

    async def _tell_store(self, scope: Scope, generation: int) -> None:
        await self._store.set_state(str(scope), TradingState.HALTED, generation=generation, kill_running=True)

    async def _latch(self, scope: Scope, generation: int, *, running: bool) -> bool:
        try:
            async with asyncio.timeout(0.1):
                await self._store.set_state(
                    str(scope), TradingState.HALTED, generation=generation, kill_running=running
                )
        except STORE_TROUBLE as trouble:
            log.error("the store could not be told of the kill of %s: %s", scope, type(trouble).__name__)
            return False
        return True


def _summary(report: KillReport) -> dict[str, Any]:
    detail: dict[str, Any] = plain(report)
    return detail
