"""The press: who wants which scope flat, and why. One value, from the button to the job of every account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from proxy.clock import utc_now
from proxy.kill.joins import Join
from proxy.kill.journal import Job
from proxy.kill.report import AccountReport
from proxy.store.fence import Scope
from rules.kill.settings import FLATTEN_DEFAULT, Flatten


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """What ``by`` wants stopped and flat, for ``reason``, since ``at``; a job has its own time, that of its beginning.

    ``anew`` is false where nobody pressed and the guard goes on by itself: a stop that stands keeps its epoch then, so
    that no request to re-arm takes it for a press. ``whole`` says that it is for all the accounts the scope covers:
    when each has its job, the press is answered. ``stopped_ms`` is how long whoever pressed took to close the fence;
    ``None`` leaves that, and the timing of it, to the kill. ``flatten`` is how positions are closed. ``continues`` is,
    by account, what was done for the same press before: a new job goes on with that.
    """

    scope: Scope
    by: str
    reason: str
    at: datetime = field(default_factory=utc_now)
    anew: bool = True
    whole: bool = False
    stopped_ms: float | None = None
    flatten: Flatten = FLATTEN_DEFAULT
    continues: Mapping[str, AccountReport] = field(default_factory=dict)

    def going_on(self, earlier: Iterable[AccountReport]) -> Press:
        """The same for accounts that go on with these: nobody presses for them anew."""
        return replace(self, anew=False, whole=False, continues={each.account: each for each in earlier})

    def job(
        self, job_id: str, account: str, at: datetime, *, blocked_ms: float | None, sources: tuple[str, ...] = ("",)
    ) -> Job:
        """The head of an account's job that begins ``at``."""
        earlier = self.continues.get(account)
        return Job(
            job_id=job_id,
            account=account,
            scope=str(self.scope),
            by=self.by,
            reason=self.reason,
            started_at=at,
            blocked_ms=blocked_ms,
            sources=sources,
            continues=earlier.job_id if earlier is not None else None,
        )

    def join(self, at: datetime) -> Join:
        """What is noted of it in the journal of a job that it joins."""
        return Join(scope=str(self.scope), by=self.by, reason=self.reason, at=at)
