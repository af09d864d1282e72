"""What the journals of an account's earlier kills say to whoever pursues it: who began them, and how often in vain."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

from proxy.kill.jobs import NewestJob, job_directory, job_history, newest_jobs
from proxy.kill.lock import AccountLock
from rules.kill.events import Cause, Phase
from rules.kill.machine import replay

PURSUER: Final = "perpguard pursuit"
"""Who a job is pressed by that pursuit begins."""

SHOWN_AGAIN: Final = "the account showed orders or positions after it had been flat"

_TRIES_MAX: Final = 9
"""Beyond so many the pauses grow no longer."""


def is_orphan(data_dir: Path, job: NewestJob) -> bool:
    """Whether an unfinished job has no process any more: then its lock is free, and it is unfinished still."""
    lock = AccountLock(job_directory(data_dir, job.account, job.bot) / "lock")
    if not lock.acquire():
        return False
    try:
        now = [each for each in newest_jobs(data_dir) if (each.account, each.bot) == (job.account, job.bot)]
        return bool(now) and not now[0].ended
    finally:
        lock.release()


def tries_failed(data_dir: Path, job: NewestJob, *, closed: bool = False) -> int:
    """How many jobs in a row have ended DEGRADED, the newest of all counted, as far as it matters; ``closed``: because
    something does not trade, since a person or rule pressed."""
    count = 0
    for journal in islice(job_history(data_dir, job.account, job.bot), _TRIES_MAX):
        state = replay(journal.events)
        if state is None or state.phase is not Phase.DEGRADED or (closed and state.cause is not Cause.CLOSED):
            break
        count += 1
        if closed and journal.job.by != PURSUER:
            break
    return max(1, count)


def flattened_again(data_dir: Path, job: NewestJob) -> int:
    """How often an account has been made flat anew because it showed something, since a person or rule pressed."""
    count = 0
    for journal in job_history(data_dir, job.account, job.bot):
        if journal.job.by != PURSUER:
            break
        count += journal.job.reason == SHOWN_AGAIN
    return count
