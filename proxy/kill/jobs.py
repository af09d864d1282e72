"""The jobs of a data directory as they lie on disk: who was killed, what has ended, what was left. Reads only.

``<data_dir>/kill/jobs/ACCOUNT/JOB.jsonl``, those of one bot's part in ``ACCOUNT@BOT/``; names sort by time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from proxy.kill import gap
from proxy.kill.joins import joins, widest
from proxy.kill.journal import Job, Journal, JournalCorrupt
from proxy.kill.lock import AccountLock
from proxy.kill.report import AccountReport
from rules.kill.machine import replay

RESUMED: Final = "resumed after a crash"
"""Why a job runs that nobody pressed for anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedJob:
    """A job whose process died. ``job`` is ``None`` when its journal cannot be read, or has not even a head; it still
    has to be killed anew.

    ``bot`` is whose part of the account it is, ``None`` for the whole. ``under_way`` is false for such a journal that
    no process holds: that is damage, no kill.
    """

    account: str
    bot: str | None
    path: Path
    job: Job | None
    under_way: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestJob:
    """The newest job of an account, or of a bot's part of it. Its journal can be read."""

    account: str
    bot: str | None
    journal: Journal
    ended: bool


def job_directory(data_dir: Path, account: str, bot: str | None = None) -> Path:
    """Where the jobs of an account, or of one bot's part of it, are kept. No name holds an ``@``."""
    return data_dir / "kill" / "jobs" / (account if bot is None else f"{account}@{bot}")


def widened(report: AccountReport, path: Path) -> AccountReport:
    """The report under the widest scope that it was pressed for, by whoever began the job or joined it."""
    return replace(report, scope=widest((report.scope, *(join.scope for join in joins(path)))))


def unfinished_jobs(data_dir: Path) -> tuple[UnfinishedJob, ...]:
    """Jobs that have not come to an end, the newest of every account: running here or elsewhere, or to be resumed.

    To resume one, press again: ``kill`` with its scope and account takes it over.
    """
    found = []
    for account, bot, path in _newest_of_all(data_dir):
        try:
            journal = read(path)
        except (JournalCorrupt, OSError):
            journal = None
        if journal is None:
            held = not AccountLock(path.parent / "lock").free()
            found.append(UnfinishedJob(account=account, bot=bot, path=path, job=None, under_way=held))
        elif not finished(journal):
            found.append(UnfinishedJob(account=account, bot=bot, path=path, job=journal.job))
    return tuple(found)


def newest_jobs(data_dir: Path) -> tuple[NewestJob, ...]:
    """The newest job of everyone, finished or not. Journals that cannot be read are left out."""
    found = []
    for account, bot, path in _newest_of_all(data_dir):
        try:
            journal = read(path)
        except (JournalCorrupt, OSError):
            continue
        if journal is not None:
            found.append(NewestJob(account=account, bot=bot, journal=journal, ended=finished(journal)))
    return tuple(found)


def _newest_of_all(data_dir: Path) -> Iterator[tuple[str, str | None, Path]]:
    """Account, bot and newest journal of everyone that was ever killed."""
    gap.mend()
    jobs = data_dir / "kill" / "jobs"
    on_disk = {path for path in _listed(jobs, "*") if path.is_dir()}
    for directory in sorted(on_disk | {path.parent for path in gap.paths(jobs)}):
        path = newest(directory)
        if path is not None:
            account, _, bot = directory.name.partition("@")
            yield account, bot or None, path


def read(path: Path) -> Journal | None:
    """A journal as it is now. Those that did not change are not parsed again: they are looked at all the time."""
    remembered = gap.kept(path)
    if remembered is not None:
        return remembered
    found = path.stat()
    return _parsed(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1024)
def _parsed(path: Path, size: int, changed_ns: int) -> Journal | None:
    return Journal.read(path)


def job_history(data_dir: Path, account: str, bot: str | None = None) -> Iterator[Journal]:
    """The jobs of an account, or of a bot's part of it, the newest first. Journals that cannot be read are left out."""
    return jobs_in(job_directory(data_dir, account, bot))


def jobs_in(directory: Path) -> Iterator[Journal]:
    """The same of the directory that they are kept in."""
    for path in sorted(_journals(directory), reverse=True):
        try:
            journal = read(path)
        except (JournalCorrupt, OSError):
            continue
        if journal is not None:
            yield journal


def finished(journal: Journal) -> bool:
    """Whether a job has come to an end."""
    state = replay(journal.events)
    return state is not None and state.phase.final


def newest(directory: Path) -> Path | None:
    """The newest journal of a directory; names sort by time."""
    return max(_journals(directory), default=None, key=lambda path: path.name)


def written_since(directory: Path, at: float) -> bool:
    """Whether a job of an account, or of a bot's part of it, has written since a moment, in seconds since 1970."""
    return any(_has_written(path, at) for path in _journals(directory))


def _has_written(path: Path, since: float) -> bool:
    remembered = gap.kept(path)
    if remembered is not None:
        return bool(remembered.events) and remembered.events[-1].at.timestamp() >= since
    try:
        # A file that holds not even its head is no job; of one that is damaged, whoever pursues takes it up.
        return path.stat().st_mtime >= since and read(path) is not None
    except JournalCorrupt:
        return True
    except OSError:
        return False


def _journals(directory: Path) -> set[Path]:
    """Those on disk, and those that it did not take."""
    return {*_listed(directory, "*.jsonl"), *gap.paths(directory)}


def _listed(directory: Path, pattern: str) -> tuple[Path, ...]:
    """What is in a directory. One that a broken disk does not list holds nothing: no kill waits for that."""
    try:
        return tuple(directory.glob(pattern))
    except OSError:
        return ()
