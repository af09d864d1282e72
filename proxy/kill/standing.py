"""How the kills of a scope that is stopped stand, by what is on disk: whom it was pressed for, and what became of each.

Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from proxy.kill.asked import asked_of
from proxy.kill.continued import of_its_press
from proxy.kill.jobs import RESUMED, job_directory, job_history, newest, newest_jobs
from proxy.kill.joins import Join, joins
from proxy.kill.journal import Job
from proxy.kill.rearm import last_rearm
from proxy.kill.report import AccountReport
from proxy.kill.runs import WhosePart
from proxy.kill.tries import PURSUER
from proxy.store.fence import Scope
from rules.kill.events import Phase

FLAT: Final = (Phase.FLAT, Phase.FLAT_EXCEPT_DUST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the disk knows of the stop of a scope. ``accounts`` are those that were pressed for or killed ever;
    ``stopped_at`` is when its file was really put, in seconds since 1970, ``rearmed`` when it was last let go."""

    scope: Scope
    accounts: frozenset[str]
    newest: Mapping[WhosePart, AccountReport]
    stopped_at: float
    rearmed: datetime | None

    def phase(self, account: str) -> Phase:
        """How the kill of an account ended since the stop; ENGAGED for one whose kill did not."""
        report = self.newest.get((account, self.scope.bot))
        if report is None or not report.phase.final or not self._is_of_this_stop(report):
            return Phase.ENGAGED
        return report.phase

    def _is_of_this_stop(self, report: AccountReport) -> bool:
        """The time of the file moves when its owner changes, or a copy is put back. What was pressed for this very
        scope, and began after that was last let go, is of this stop whatever that time is."""
        began_since = self.rearmed is None or report.started_at > self.rearmed
        own = report.scope == str(self.scope) and began_since
        return own or report.steps[-1].at.timestamp() >= self.stopped_at


def standing(data_dir: Path, scope: Scope, accounts: Sequence[str], stopped_at: float) -> Standing:
    """How a scope stands that covers these accounts and no others."""
    rearmed = last_rearm(data_dir, str(scope))
    killed = [each for each in accounts if newest(job_directory(data_dir, each, scope.bot)) is not None]
    # A press is answered when each of its accounts has a job: who has none then came later, and was not among them.
    answered = asked_of(data_dir, scope) is None and any(
        _was_pressed(data_dir, scope, account, rearmed) for account in killed
    )
    return Standing(
        scope=scope,
        accounts=frozenset(killed if answered else accounts),
        newest=newest_reports(data_dir),
        stopped_at=stopped_at,
        rearmed=rearmed,
    )


def newest_reports(data_dir: Path) -> dict[WhosePart, AccountReport]:
    """The newest job of everyone, finished or not, under the widest scope that it was pressed for, together with
    those of the same press that it goes on with."""
    return {(each.account, each.bot): of_its_press(each.journal) for each in newest_jobs(data_dir)}


def _was_pressed(data_dir: Path, scope: Scope, account: str, rearmed: datetime | None) -> bool:
    """Whether somebody has pressed for a scope, and so for an account, since it was last let go. What the guard began
    by itself is no press."""
    for journal in job_history(data_dir, account, scope.bot):
        if rearmed is not None and journal.job.started_at <= rearmed:
            return False
        presses: tuple[Job | Join, ...] = (journal.job, *joins(journal.path))
        if any(each.scope == str(scope) and each.by != PURSUER and each.reason != RESUMED for each in presses):
            return True
    return False
