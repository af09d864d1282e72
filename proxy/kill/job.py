"""The press: fence first, then one job an account, which a second press joins and a survivor resumes.

Where jobs lie is in ``jobs``. A bot's job and its account's, or those of several machines, may run at once, which is
harmless: every close is reduce-only and rests on a fresh read.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from proxy.kill import gap
from proxy.kill.asked import answered
from proxy.kill.continued import of_its_press
from proxy.kill.hands import AccountHands, sources_of
from proxy.kill.jobs import finished, job_directory, newest, read
from proxy.kill.joins import Join, note_join
from proxy.kill.journal import Job, Journal, JournalCorrupt, Listener
from proxy.kill.lock import AccountLock
from proxy.kill.report import AccountReport, KillReport, worst
from proxy.kill.runner import Clock, Runner
from proxy.store.client import STORE_TROUBLE
from proxy.store.fence import Fence, FenceCorrupt, Scope
from rules.kill.machine import DEADLINE, replay
from rules.kill.settings import FLATTEN_DEFAULT, Flatten

log = logging.getLogger("perpguard.kill")

Latch = Callable[[Scope, int | None], Awaitable[None]]
"""Tells the shared store of a kill, with the epoch's number if there is one; may raise or hang, the kill goes on."""

_LATCH_SECONDS: Final = 0.1
_FOLLOW_POLL_SECONDS: Final = 0.05
# A holder that neither ends nor dies (stopped, swapped out) is not waited for any longer than its job may last.
_FOLLOW_SECONDS_MAX: Final = DEADLINE.total_seconds() + 10
_STAMP: Final = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Press:
    """One press, as every account's job sees it."""

    data_dir: Path
    scope: Scope
    by: str
    reason: str
    started_at: datetime
    blocked_ms: float | None
    latched: asyncio.Task[bool]
    flatten: Flatten
    continues: Mapping[str, str]
    begun: Callable[[str], None]
    """Hears of each account whose job is on disk, or, where the disk does not take it, has ended."""


async def kill(
    data_dir: Path,
    scope: Scope,
    accounts: Sequence[AccountHands],
    by: str,
    reason: str,
    on_step: Listener | None = None,
    latch: Latch | None = None,
    flatten: Flatten = FLATTEN_DEFAULT,
    *,
    whole: bool = False,
    anew: bool = True,
    stopped_ms: float | None = None,
    continues: Mapping[str, str] | None = None,
    ended: Callable[[AccountReport], None] = lambda report: None,
) -> KillReport:
    """Stop ``scope`` and make ``accounts`` flat, or join whoever is at it. Never raises for trouble with a venue.

    ``whole`` says that these are all the accounts the scope covers: when each has its job, the press is answered.
    ``anew`` is false where nobody pressed and the guard goes on by itself: a stop that stands keeps its epoch then, so
    that no request to re-arm takes it for a press. ``stopped_ms`` is how long whoever called took to close the fence;
    left out, it is closed and timed here. ``continues`` names, by account, the jobs that new ones go on with.
    ``ended`` hears of each account as soon as its own kill has ended.
    """
    clock, pressed = Clock(), time.monotonic()
    started_at = clock.now()
    generation, trouble = _stopped(Fence(data_dir), scope, anew)
    took_ms = round((time.monotonic() - pressed) * 1000, 3) if stopped_ms is None else stopped_ms
    blocked_ms = None if trouble else took_ms
    latched = asyncio.create_task(_tell(latch, scope, generation))
    press = _Press(
        data_dir=data_dir,
        scope=scope,
        by=by,
        reason=reason,
        started_at=started_at,
        blocked_ms=blocked_ms,
        latched=latched,
        flatten=flatten,
        continues=continues or {},
        begun=_counted([hands.name for hands in accounts], lambda: answered(data_dir, scope) if whole else None),
    )

    async def killed(hands: AccountHands) -> AccountReport:
        report = await _kill_account(press, hands, clock, on_step)
        ended(report)
        return report

    reports = tuple(await asyncio.gather(*map(killed, accounts)))
    await latched
    return KillReport(
        scope=str(scope),
        by=by,
        reason=reason,
        started_at=started_at,
        blocked_ms=blocked_ms,
        generation=generation,
        flat=bool(reports) and all(report.flat for report in reports),
        phase=worst(tuple(report.phase for report in reports)),
        accounts=reports,
        trouble=trouble,
    )


def _stopped(fence: Fence, scope: Scope, anew: bool) -> tuple[int | None, str]:
    """The kill's number, ``None`` where the epoch is damaged, and what kept the stop off the disk."""
    try:
        return fence.engage(scope) if anew or not fence.stands(scope) else fence.generation(), ""
    except FenceCorrupt:
        return None, ""  # Damaged since it was looked at: that stops everybody.
    except OSError as failure:
        # A full or broken disk: gates elsewhere may still enter, but closing what is open has become more urgent.
        trouble = f"the fence could not be written ({failure.strerror}): gates on this machine are not stopped by it"
    try:
        return fence.generation(), trouble
    except FenceCorrupt:
        return None, trouble


def _counted(names: Sequence[str], done: Callable[[], None]) -> Callable[[str], None]:
    """Calls ``done`` once it has been told of every name; at once when there is none."""
    waiting = set(names)

    def told(name: str) -> None:
        if name in waiting:
            waiting.remove(name)
            if not waiting:
                done()

    if not waiting:
        done()
    return told


async def _tell(latch: Latch | None, scope: Scope, generation: int | None) -> bool:
    if latch is None:
        return False
    try:
        async with asyncio.timeout(_LATCH_SECONDS):
            await latch(scope, generation)
    except STORE_TROUBLE as trouble:
        log.error("the store could not be told of the kill of %s: %s", scope, type(trouble).__name__)
        return False
    except Exception:  # The edge: whatever ails the shared store, the kill goes on without it.
        log.exception("the store could not be told of the kill of %s", scope)
        return False
    return True


async def _kill_account(press: _Press, hands: AccountHands, clock: Clock, listener: Listener | None) -> AccountReport:
    """Run the account's job, or follow the one that runs until it ends or its holder dies."""
    directory = job_directory(press.data_dir, hands.name, press.scope.bot)
    lock = AccountLock(directory / "lock")
    ended_before = _ended_before(directory)
    follow_until = clock.now() + timedelta(seconds=_FOLLOW_SECONDS_MAX)
    locked = lock.acquire()
    if not locked:
        _join(press, directory)
    # The holder may be another process, whose end or death sends no event here.
    while not locked and clock.now() < follow_until:
        await asyncio.sleep(_FOLLOW_POLL_SECONDS)
        locked = lock.acquire()
    try:
        joined = _ended_since(directory, ended_before)
        if joined is not None:
            press.begun(hands.name)
            return of_its_press(joined, joined=True)
        return await _run(press, hands, clock, listener, directory, resume=locked)
    finally:
        lock.release()


async def _run(
    press: _Press, hands: AccountHands, clock: Clock, listener: Listener | None, directory: Path, *, resume: bool
) -> AccountReport:
    banned_until = _banned_until(directory, hands)
    journal = _resumed(directory, listener) if resume else None
    taken_over = journal is not None
    if journal is not None and journal.job.scope != str(press.scope):
        _join(press, directory)
    if journal is None:
        job = Job(
            job_id=_job_id(directory, press.started_at),
            account=hands.name,
            scope=str(press.scope),
            by=press.by,
            reason=press.reason,
            started_at=press.started_at,
            blocked_ms=press.blocked_ms,
            sources=sources_of(hands),
            continues=press.continues.get(hands.name),
        )
        journal = Journal.create(directory / f"{job.job_id}.jsonl", job, listener)
    if not journal.trouble:
        press.begun(hands.name)

    async def disable_keys() -> bool:
        return await asyncio.shield(press.latched)

    trouble = ""
    try:
        await Runner(journal, hands, disable_keys, clock, flatten=press.flatten, silent_until=banned_until).run()
    except Exception as bug:  # The edge: a bug in one account's kill must not stop the kills of the others.
        log.exception("the kill of %s failed", hands.name)
        trouble = f"the kill itself failed ({type(bug).__name__}); press again"
    finally:
        journal.close()
    if journal.trouble:
        gap.keep(journal)
        press.begun(hands.name)  # It has ended, and this process remembers how.
    return of_its_press(journal, joined=taken_over, trouble=trouble)


def _join(press: _Press, directory: Path) -> None:
    path = newest(directory)
    if path is not None:
        now = press.started_at
        note_join(path, Join(scope=str(press.scope), by=press.by, reason=press.reason, at=now))


def _resumed(directory: Path, listener: Listener | None) -> Journal | None:
    """The newest job, to be continued if it has not ended. A journal that cannot be trusted is set aside."""
    path = newest(directory)
    if path is None or gap.kept(path) is not None:
        return None  # What is kept in memory has come to its end; its file, cut short, must not be gone on with.
    try:
        journal = Journal.resume(path, listener)
    except JournalCorrupt:
        with suppress(OSError):
            path.rename(path.with_suffix(".corrupt"))
        return None
    except OSError:
        return None
    if journal is None or finished(journal):
        if journal is not None:
            journal.close()
        return None
    return journal


def _ended_before(directory: Path) -> str:
    """The newest job's name if it has ended: joining it would report an old kill as the answer to a new press."""
    path = newest(directory)
    return path.name if path is not None and _ended(path) is not None else ""


def _ended_since(directory: Path, ended_before: str) -> Journal | None:
    path = newest(directory)
    return _ended(path) if path is not None and path.name > ended_before else None


def _ended(path: Path) -> Journal | None:
    try:
        journal = read(path)
    except (JournalCorrupt, OSError):
        return None
    return journal if journal is not None and finished(journal) else None


def silent_until(journal: Journal, hands: AccountHands) -> datetime | None:
    """The end of the ban that a job ended on: the venue bans addresses, not processes. ``None`` without one, and for
    hands that have another address to go out by."""
    state = replay(journal.events)
    has_another = not set(sources_of(hands)) <= set(journal.job.sources)
    return None if state is None or has_another else state.retry_at


def _banned_until(directory: Path, hands: AccountHands) -> datetime | None:
    """The end of the ban that the last job ended on, if these hands must keep it."""
    path = newest(directory)
    journal = _ended(path) if path is not None else None
    return silent_until(journal, hands) if journal is not None else None


def _job_id(directory: Path, at: datetime) -> str:
    """Sorts after every earlier job, even when the clock was set back."""
    last = newest(directory)
    with suppress(ValueError):  # A file that some person put there has no say.
        stamp = last.stem.partition("-")[0] if last else ""
        earlier = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        at = max(at, earlier + timedelta(microseconds=1))
    return f"{at.strftime(_STAMP)}-{secrets.token_hex(4)}"
