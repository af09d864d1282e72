"""What a warden takes up at its start: every job that a crash left unfinished, every kill whose end it left untold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from proxy.kill.asked import asked_of, fitting
from proxy.kill.in_flight import InFlight
from proxy.kill.jobs import RESUMED, newest_jobs, unfinished_jobs
from proxy.kill.journal import Job
from proxy.kill.press import Press
from proxy.kill.rearm import abandoned, last_rearm
from proxy.kill.report import AccountReport
from proxy.kill.roster import Roster
from proxy.kill.runs import Runs, Work
from proxy.kill.standing import newest_reports
from proxy.kill.tries import PURSUER
from proxy.kill.truths import Latched, Truths
from proxy.store.fence import Scope

log = logging.getLogger("perpguard.kill")

Sent = Callable[[Scope, Sequence[str], Latched], Awaitable[InFlight]]
"""What is on the wire of accounts of a scope, whose stop the store has heard of so far."""


class Resuming:
    """Takes up what the warden before left in one data directory."""

    def __init__(self, data_dir: Path, roster: Roster, truths: Truths, runs: Runs, sent: Sent) -> None:
        self._data_dir = data_dir
        self._roster = roster
        self._truths = truths
        self._runs = runs
        self._sent = sent

    async def run(self) -> None:
        """Take all of it up, once."""
        untold = self._runs.untold.left(self._roster.accounts)
        for unfinished in unfinished_jobs(self._data_dir):
            job = unfinished.job
            whole = Scope(unfinished.account) if unfinished.bot is None else Scope(bot=unfinished.bot)
            scope = job.covers if job is not None else whole
            if job is not None and self._was_given_up(job):
                continue
            await self._take_up(scope, job.by if job is not None else "warden", [unfinished.account])
        for scope, owed in untold.items():
            taken_up = frozenset[str]().union(*(run.accounts for run in self._runs.now if run.scope == scope))
            if scope not in self._truths.scopes() or not owed.accounts:
                self._runs.untold.let_go(scope)  # It was let go since: what may trade nobody makes flat.
            elif owed.accounts - taken_up:
                left = sorted(owed.accounts - taken_up)
                await self._take_up(scope, owed.by, left, self._jobs_of(scope, owed.by, left))

    def _was_given_up(self, job: Job) -> bool:
        """Whether the scope of a job that nobody can end was re-armed over it: that must not be undone."""
        rearmed_at = last_rearm(self._data_dir, job.scope)
        given_up = abandoned(self._data_dir, job.covers, self._roster.in_vault())
        return rearmed_at is not None and rearmed_at > job.started_at and job.account in given_up

    def _jobs_of(self, scope: Scope, by: str, accounts: Sequence[str]) -> list[AccountReport]:
        """What was done of accounts by jobs that answer the last press of a scope, which was that person's."""
        if by == PURSUER:
            return []  # It leaves no note of what it begins: what is newest may be of hours ago.
        if asked_of(self._data_dir, scope) is not None:
            return []  # Not every account had a job of that press: what is newest may be of one before it.
        rearmed = last_rearm(self._data_dir, str(scope))
        jobs = {each.account: each.journal.job for each in newest_jobs(self._data_dir) if each.bot == scope.bot}
        reports = newest_reports(self._data_dir)
        return [
            reports[account, scope.bot]
            for account, job in jobs.items()
            if account in accounts
            and (account, scope.bot) in reports
            and (job.scope, fitting(job.by)) == (str(scope), by)
            and (rearmed is None or job.started_at > rearmed)
        ]

    async def _take_up(
        self, scope: Scope, by: str, accounts: Sequence[str], earlier: Iterable[AccountReport] = ()
    ) -> None:
        log.warning("resuming the kill of %s", ", ".join(accounts))
        pressed = asyncio.get_running_loop().time()
        latched = await self._truths.latch(scope, self._truths.stop(scope).generation, running=True)
        known = self._roster.accounts(scope)
        hands = [self._roster.hand(scope, account) for account in accounts if account in known]
        sent = await self._sent(scope, accounts, latched)
        press = Press(scope=scope, by=by, reason=RESUMED).going_on(earlier)
        self._runs.start(Work(press=press, hands=hands, pressed=pressed, sent=sent))
