"""The press: fence first, then one job an account, which a second press joins and a survivor resumes.

Where jobs lie is in ``jobs``. A bot's job and its account's, or those of several machines, may run at once, which is
harmless: every close is reduce-only and rests on a fresh read.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from proxy.kill import gap
from proxy.kill.asked import answered
from proxy.kill.continued import going_on, of_its_press
from proxy.kill.hands import AccountHands, sources_of
from proxy.kill.jobs import finished, job_directory, newest, read
from proxy.kill.joins import note_join
from proxy.kill.journal import Journal, JournalCorrupt, Listener
from proxy.kill.lock import AccountLock
from proxy.kill.press import Press
from proxy.kill.report import AccountReport, KillReport, worst
from proxy.kill.runner import Clock, Runner
from proxy.store.client import STORE_TROUBLE
from proxy.store.fence import Fence, FenceCorrupt, Scope
from rules.kill.machine import DEADLINE, replay

log = logging.getLogger("perpguard.kill")

Latch = Callable[[Scope, int | None], Awaitable[None]]
"""Tells the shared store of a kill, with the epoch's number if there is one; may raise or hang, the kill goes on."""

_LATCH_SECONDS: Final = 0.1
_FOLLOW_POLL_SECONDS: Final = 0.05
# A holder that neither ends nor dies (stopped, swapped out) is not waited for any longer than its job may last.
_FOLLOW_SECONDS_MAX: Final = DEADLINE.total_seconds() + 10
_STAMP: Final = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stopped:
    """A press whose stop is made, as every account's job sees it. ``clock`` began with it, at ``at``; ``blocked_ms`` is
    how long the stop took, ``None`` where the disk did not take it; ``begun`` hears of each account whose job is on
    disk, or, where the disk does not take that, has ended."""

    press: Press
    data_dir: Path
    clock: Clock
    at: datetime
    blocked_ms: float | None
    latched: asyncio.Task[bool]
    listener: Listener | None
    begun: Callable[[str], None]


async def kill(
    data_dir: Path,
    press: Press,
    accounts: Sequence[AccountHands],
    *,
    on_step: Listener | None = None,
    latch: Latch | None = None,
    ended: Callable[[AccountReport], None] = lambda report: None,
) -> KillReport:
    """Stop the scope and make ``accounts`` flat, or join whoever is at it. Never raises for trouble with a venue.

    ``ended`` hears of each account as soon as its own kill has ended; what that goes on with is told together with it.
    """
    scope = press.scope
    clock, began = Clock(), time.monotonic()
    at = clock.now()
    generation, trouble = _engaged(Fence(data_dir), scope, press.anew)
    took_ms = round((time.monotonic() - began) * 1000, 3) if press.stopped_ms is None else press.stopped_ms
    stopped = _Stopped(
        press=press,
        data_dir=data_dir,
        clock=clock,
        at=at,
        blocked_ms=None if trouble else took_ms,
        latched=asyncio.create_task(_tell(latch, scope, generation)),
        listener=on_step,
        begun=_counted([each.name for each in accounts], lambda: answered(data_dir, scope) if press.whole else None),
    )

    async def killed(hands: AccountHands) -> AccountReport:
        report = await _kill_account(stopped, hands)
        report = going_on(press.continues.get(report.account), report)
        ended(report)
        return report

    reports = tuple(await asyncio.gather(*map(killed, accounts)))
    await stopped.latched
    return KillReport(
        scope=str(scope),
        by=press.by,
        reason=press.reason,
        started_at=at,
        blocked_ms=stopped.blocked_ms,
        generation=generation,
        flat=bool(reports) and all(report.flat for report in reports),
        phase=worst(tuple(report.phase for report in reports)),
        accounts=reports,
        trouble=trouble,
    )


def _engaged(fence: Fence, scope: Scope, anew: bool) -> tuple[int | None, str]:
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


async def _kill_account(stopped: _Stopped, hands: AccountHands) -> AccountReport:
    """Run the account's job, or follow the one that runs until it ends or its holder dies."""
    clock = stopped.clock
    directory = job_directory(stopped.data_dir, hands.name, stopped.press.scope.bot)
    lock = AccountLock(directory / "lock")
    ended_before = _ended_before(directory)
    follow_until = clock.now() + timedelta(seconds=_FOLLOW_SECONDS_MAX)
    locked = lock.acquire()
    if not locked:
        _join(stopped, directory)
    # The holder may be another process, whose end or death sends no event here.
    while not locked and clock.now() < follow_until:
        await asyncio.sleep(_FOLLOW_POLL_SECONDS)
        locked = lock.acquire()
    try:
        joined = _ended_since(directory, ended_before)
        if joined is not None:
            stopped.begun(hands.name)
            return of_its_press(joined, joined=True)
        return await _run(stopped, hands, directory, resume=locked)
    finally:
        lock.release()


async def _run(stopped: _Stopped, hands: AccountHands, directory: Path, *, resume: bool) -> AccountReport:
    press, at, clock = stopped.press, stopped.at, stopped.clock
    banned_until = _banned_until(directory, hands)
    journal = _resumed(directory, stopped.listener) if resume else None
    taken_over = journal is not None
    if journal is not None and journal.job.scope != str(press.scope):
        _join(stopped, directory)
    if journal is None:
        job_id, sources = _job_id(directory, at), sources_of(hands)
        job = press.job(job_id, hands.name, at, blocked_ms=stopped.blocked_ms, sources=sources)
        journal = Journal.create(directory / f"{job_id}.jsonl", job, stopped.listener)
    if not journal.trouble:
        stopped.begun(hands.name)

    async def disable_keys() -> bool:
        return await asyncio.shield(stopped.latched)

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
        stopped.begun(hands.name)  # It has ended, and this process remembers how.
    return of_its_press(journal, joined=taken_over, trouble=trouble)


def _join(stopped: _Stopped, directory: Path) -> None:
    path = newest(directory)
    if path is not None:
        note_join(path, stopped.press.join(stopped.at))


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
