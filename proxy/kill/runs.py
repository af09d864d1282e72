"""The kills this process is at: one task for a scope and its accounts, however often somebody presses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from proxy.kill.hands import AccountHands
from proxy.kill.in_flight import InFlight, followed
from proxy.kill.job import kill
from proxy.kill.jobs import newest_jobs
from proxy.kill.joins import Join, note_join
from proxy.kill.report import KillReport
from proxy.kill.truths import Truths
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from rules.kill.settings import Flatten

Ended = Callable[[Scope, str, KillReport], Awaitable[None]]
"""Hears of a scope, who pressed, and what became of it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one task is at."""

    scope: Scope
    accounts: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done. ``sent`` is what was on the wire at the press, at the loop's time ``pressed``; ``None``
    where nobody has just pressed."""

    scope: Scope
    by: str
    reason: str
    hands: Sequence[AccountHands]
    pressed: float = 0.0
    sent: InFlight | None = None


class Runs:
    """The tasks of one kill desk. ``flatten`` is how the policy of that moment wants positions closed; ``turn`` keeps
    two hosts from acting on the desk at once."""

    def __init__(
        self,
        data_dir: Path,
        store: WardenStore,
        truths: Truths,
        flatten: Callable[[], Flatten],
        ended: Ended,
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._data_dir = data_dir
        self._store = store
        self._truths = truths
        self._flatten = flatten
        self._ended = ended
        self._turn = turn
        self._tasks: dict[Run, asyncio.Task[None]] = {}
        self._in_flight: dict[Scope, InFlight] = {}

    @property
    def now(self) -> tuple[Run, ...]:
        """Those under way, or still following what was on the wire."""
        return tuple(self._tasks)

    def in_flight(self, scope: Scope) -> InFlight | None:
        """What was on the wire at the last press of a scope, as far as it is known by now."""
        return self._in_flight.get(scope)

    def start(self, work: Work) -> None:
        """Begin; where the same is under way already, the press is noted in its journals."""
        run = Run(work.scope, frozenset(each.name for each in work.hands))
        if run in self._tasks:
            join = Join(scope=str(work.scope), by=work.by, reason=work.reason, at=datetime.now(UTC))
            for newest in newest_jobs(self._data_dir):
                if newest.account in run.accounts and newest.bot == work.scope.bot and not newest.ended:
                    note_join(newest.journal.path, join)
            return
        task = asyncio.create_task(self._run(work))
        self._tasks[run] = task
        task.add_done_callback(lambda _: self._tasks.pop(run, None))

    async def join(self) -> None:
        """Wait until all that is under way now has ended."""
        await asyncio.gather(*self._tasks.values())

    async def _run(self, work: Work) -> None:
        async with self._turn():
            report = await (self._kill(work, work.reason) if work.sent is None else self._followed(work, work.sent))
        await self._ended(work.scope, work.by, report)

    async def _followed(self, work: Work, sent: InFlight) -> KillReport:
        """Kill, and kill once more if something was on the wire still when its account had been read as flat."""
        self._in_flight[work.scope] = sent
        async with asyncio.TaskGroup() as both:
            following = both.create_task(followed(self._store, sent, work.pressed))
            report = await self._kill(work, work.reason)
            late = not following.done()
            if not report.flat:
                following.cancel()  # Pursuit goes on until it is flat, and what arrives meanwhile is seen.
        if following.cancelled():
            return report
        self._in_flight[work.scope] = following.result()
        return await self._kill(work, "what was in flight is over") if late else report

    async def _kill(self, work: Work, reason: str) -> KillReport:
        return await kill(
            self._data_dir,
            work.scope,
            work.hands,
            work.by,
            reason,
            latch=self._tell_store,
            flatten=self._flatten(),
        )

    async def _tell_store(self, scope: Scope, generation: int) -> None:
        await self._truths.tell(scope, generation, running=True)
