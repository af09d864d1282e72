"""The kills this process is at: one task for a scope and its accounts, however often somebody presses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from proxy.clock import utc_now
from proxy.kill.asked import answered
from proxy.kill.following import Following
from proxy.kill.hands import AccountHands
from proxy.kill.in_flight import IN_FLIGHT_OVER, InFlight, followed
from proxy.kill.job import kill
from proxy.kill.jobs import newest_jobs
from proxy.kill.joins import note_join
from proxy.kill.press import Press
from proxy.kill.report import AccountReport, KillReport, account_report
from proxy.kill.truths import Truths
from proxy.kill.untold import Untold
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from rules.kill.settings import Flatten

Ended = Callable[[Scope, str, KillReport], Awaitable[None]]
"""Hears of a scope, who pressed, and what became of it."""

WhosePart = tuple[str, str | None]
"""An account, and the bot whose part of it is meant; ``None`` for the whole."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one task is at."""

    scope: Scope
    accounts: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done for a press. ``sent`` is what was on the wire then, at the loop's time ``pressed``; ``None``
    where nothing can be. ``over`` are the jobs that had ended when it was to be begun: they answer no press of then,
    whatever the clock says. ``flat`` says that these were read as flat, and are killed when what they had sent is over;
    ``begun`` is that kill where it runs already."""

    press: Press
    hands: Sequence[AccountHands]
    pressed: float = 0.0
    sent: InFlight | None = None
    over: frozenset[str] = frozenset()
    flat: bool = False
    begun: asyncio.Task[KillReport] | None = None

    def going_on(self, first: AccountReport) -> Work:
        """The same for one of its accounts, which goes on with its first kill."""
        hands = [each for each in self.hands if each.name == first.account]
        return replace(self, press=self.press.going_on([first]), hands=hands)

    def unbegun(self, newest: Mapping[WhosePart, AccountReport]) -> dict[WhosePart, AccountReport]:
        """The reports of jobs that are not on disk yet: the newest that are there answer an older press."""
        found = {}
        for hands in self.hands:
            part = (hands.name, self.press.scope.bot)
            if part not in newest or newest[part].job_id in self.over:
                found[part] = account_report(self.press.job("", hands.name, self.press.at, blocked_ms=None), [])
        return found


class Runs:
    """The tasks of one kill desk. ``flatten`` is how the policy of that moment wants positions closed; ``turn`` keeps
    two hosts from acting on the desk at once, and is held several times over within one process."""

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
        self._works: dict[Run, Work] = {}
        self._over: set[Run] = set()
        self._in_flight: dict[Scope, InFlight] = {}
        self.untold = Untold(data_dir)

    @property
    def now(self) -> tuple[Run, ...]:
        """Those under way, or still following what was on the wire."""
        return tuple(self._tasks)

    @property
    def working(self) -> tuple[Run, ...]:
        """Those of ``now`` whose end is not being told yet: what their accounts show is not the last word."""
        return tuple(run for run in self._tasks if run not in self._over)

    @property
    def works(self) -> tuple[Work, ...]:
        """What they are to do."""
        return tuple(self._works.values())

    def in_flight(self, scope: Scope) -> InFlight | None:
        """What was on the wire at the last press of a scope, as far as it is known by now."""
        return self._in_flight.get(scope)

    def start(self, work: Work) -> frozenset[str]:
        """Begin; where the same is under way already, the press is noted in its journals. The jobs that are over now.

        A press that comes when the job is over and its end is still being told begins another.
        """
        press = work.press
        run = Run(press.scope, frozenset(each.name for each in work.hands))
        jobs = newest_jobs(self._data_dir)
        work = replace(work, over=frozenset(each.journal.job.job_id for each in jobs if each.ended))
        if run in self._tasks:
            self._works[run] = work
            join = press.join(utc_now())
            for newest in jobs:
                if newest.account in run.accounts and newest.bot == press.scope.bot and not newest.ended:
                    note_join(newest.journal.path, join)
            return work.over
        self._begin(run, work)
        return work.over

    async def join(self) -> None:
        """Wait until all that is under way now has ended."""
        await asyncio.gather(*self._tasks.values())

    def _begin(self, run: Run, work: Work) -> None:
        self._works[run] = work
        self._tasks[run] = asyncio.create_task(self._run(run))
        begun = work.begun
        if begun is not None:
            # It ends with the run that it was handed to, also with one that never came to wait for it.
            self._tasks[run].add_done_callback(lambda _: begun.cancel())

    def _forget(self, run: Run) -> None:
        del self._tasks[run], self._works[run]

    async def _run(self, run: Run) -> None:
        try:
            await self._answer(run)
        finally:
            self._forget(run)  # Not when the loop comes to it: whoever presses meanwhile would join what is over.

    async def _answer(self, run: Run) -> None:
        self.untold.owe(run.scope, self._works[run].press.by, run.accounts)  # Here, so that no press waits for it.
        unanswered = True
        while unanswered:
            work = self._works[run]
            async with self._turn():
                report = await self._done(work)
            self._over.add(run)
            try:
                await self._ended(run.scope, work.press.by, report)
            finally:
                self._over.discard(run)
            newest = self._works[run]
            unanswered = newest is not work and any(each.job_id in newest.over for each in report.accounts)
            if newest.press.whole and not unanswered:
                answered(self._data_dir, run.scope)  # Also of presses that joined.
        others = (each.accounts for each in self._tasks if each.scope == run.scope and each != run)
        self.untold.told(run.scope, run.accounts.difference(*others))

    async def _done(self, work: Work) -> KillReport:
        if work.sent is None:
            return await self._kill(work, work.press.reason)
        self._in_flight[work.press.scope] = work.sent
        if not work.flat:
            return await self._followed(work, work.sent)
        return await self._followed_alone(work, work.sent)

    async def _followed_alone(self, work: Work, sent: InFlight) -> KillReport:
        """Kill what was read as flat as soon as its own wire is over; it is told when all is."""
        waiting, own_wire = {each.name for each in work.hands}, asyncio.Event()

        def over(account: str) -> None:
            waiting.discard(account)
            if not waiting:
                own_wire.set()

        async def follow() -> InFlight:
            found = await followed(self._store, sent, work.pressed, over)
            own_wire.set()
            return found

        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow())
            if work.begun is None:
                await own_wire.wait()
            report = await (work.begun or self._kill(work, IN_FLIGHT_OVER))
        self._in_flight[work.press.scope] = following.result()
        return report

    async def _followed(self, work: Work, sent: InFlight) -> KillReport:
        """Kill, and kill once more each account whose last reading may be older than the end of what it had sent.

        One that is not flat is told, and pursued until it is, and what arrives meanwhile is seen: those that still wait
        for the wire, or are being killed once more, must not keep that waiting, and go on by themselves then.
        """
        accounts = [each.name for each in work.hands]
        async with Following(self._store, sent, work.pressed, accounts, partial(self._once_more, work)) as following:
            report = await following.told(await self._kill(work, work.press.reason, following.ended))
            for first in following.left:
                run = Run(work.press.scope, frozenset({first.account}))
                if run not in self._tasks:  # Else another is at it, begun since, which goes on with it too.
                    begun = following.handed_over(first.account)
                    self._begin(run, replace(work.going_on(first), flat=True, begun=begun, over=frozenset()))
        if following.found is not None:
            self._in_flight[work.press.scope] = following.found
        return report

    async def _once_more(self, work: Work, first: AccountReport) -> KillReport:
        async with self._turn():  # Its own: it may outlast the run that began it.
            return await self._kill(work.going_on(first), IN_FLIGHT_OVER)

    async def _kill(
        self, work: Work, reason: str, ended: Callable[[AccountReport], None] = lambda report: None
    ) -> KillReport:
        # By the policy of this moment, which may be another than at the press.
        press = replace(work.press, reason=reason, flatten=self._flatten())
        return await kill(self._data_dir, press, work.hands, latch=self._tell_store, ended=ended)

    async def _tell_store(self, scope: Scope, generation: int | None) -> None:
        known = generation if generation is not None else self._truths.generation()
        await self._truths.tell(scope, known, running=True)
