"""What follows when a kill has ended and its scope is still stopped: nothing is taken for done because it was once.

A job that ended DEGRADED is begun again: at the end of the ban that the exchange named, or when what was left trades
again or is not the same any more, else with longer and longer pauses. One that ended flat is looked at again, and when
the account shows an order or a position, it is made flat again, three times; then somebody trades past the guard, which
a guard cannot stop: it says so and stays stopped. A stop that one of the guard's own bots keeps in place is no such
thing: it came by the gates and can open nothing, and is cancelled for as long as it comes. All it knows is in the
journals, so a restart changes nothing. It reads through the kill's own hands.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.kill.bot_exits import exits_of_bots, is_contradicted
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.job import silent_until
from proxy.kill.jobs import NewestJob, UnfinishedJob, newest_jobs, unfinished_jobs
from proxy.kill.kept_exits import KeptExits
from proxy.kill.readings import (
    FeedShows,
    are_positions_read,
    has_more_to_do,
    has_to_go,
    is_new,
    is_still_closed,
)
from proxy.kill.tries import PURSUER, SHOWN_AGAIN, flattened_again, is_orphan, tries_failed
from proxy.record import Record
from proxy.store.fence import Scope
from rules.kill.events import Cause, Phase
from rules.kill.legs import RestingOrder
from rules.kill.machine import replay
from rules.kill.state import KillState

log = logging.getLogger("perpguard.kill")

FLATTENED_AGAIN_MAX: Final = 3
LOOK_EVERY_S: Final = 1.0
READ_EVERY_S: Final = 30.0
"""How often a flat account is read; sooner when its feed shows something. 85 of Binance's 2,400 a minute each time."""

PAUSE_FIRST_S: Final = 2.0
PAUSE_MAX_S: Final = 30.0
BAN_SLACK_S: Final = 0.5
"""After the end of a ban, for clocks that differ; and as much again by chance, for accounts that share an address."""

DISAGREEING_EVERY_S: Final = 3.0
DISAGREEMENTS_MAX: Final = 5
"""So long may a list be older than a fill, or a feed lag behind the last close."""

HINTED_EVERY_S: Final = 10.0
"""So often at most a flat account is read because its feed shows something new."""

PROBE_EVERY_S: Final = 3.0
"""How often an exchange that did not answer is asked for one reading: when it answers, it is open again."""

GAP_EVERY_MAX_S: Final = 12.0
"""How often at least one that answers is asked anew for what it did not show: a reading weighs as much as an idle
account's by then (85), five times a minute."""

CLOSED_EVERY_S: Final = 10.0
"""How often it is asked whether what was left trades again, after two sooner times. The listing is not read more often
than that either; with the positions and the touch it weighs 11."""

CLOSED_WHOLE_EVERY: Final = 6
"""Once in so many times the orders are read too, 80 more: with that, less is asked than of a flat account. They are
also read the first time, until all lists have been, and when the account's feed shows something new."""

CLOSED_PAUSE_MAX_S: Final = 300.0
"""The longest pause between two jobs where the exchange lists as trading what it then takes no orders for."""


class Desk(Protocol):
    """The part of the kill desk that pursues."""

    async def again(self, scope: Scope, account: str, by: str, reason: str) -> bool:
        """Make one account of a scope that is still stopped flat anew."""
        ...

    def engaged(self) -> Iterable[Scope]:
        """What is stopped now."""
        ...

    def hand(self, scope: Scope, account: str) -> AccountHands | None:
        """The kill's hands for one account of a scope; ``None`` for one that is not covered."""
        ...

    def busy(self, account: str) -> bool:
        """Whether this process is still at a kill of an account, or follows what was in flight."""
        ...


@dataclass(slots=True, kw_only=True)
class _Quarry:
    """What is remembered of one account's ended job. ``next_at`` is when something is due, in the loop's time;
    ``began_at`` is when the end was first seen.

    ``hinted`` is what the feed showed at the last reading and shows still: only news is worth one, dust stays for ever;
    ``hinted_at`` is when it last was. ``disagreements`` counts readings that showed nothing while the feed, which
    follows our own fills, showed something; ``probes`` those at what does not trade, ``gaps`` those in a row that
    showed nothing and lacked something. ``whole_at`` is when the orders were last read beside what does not trade;
    ``lacks`` says that not all of them were, at first by the job itself.
    """

    job_id: str
    began_at: float
    next_at: float
    exits: KeptExits
    hinted: frozenset[str] = frozenset()
    hinted_at: float = float("-inf")
    disagreements: int = 0
    probes: int = 0
    whole_at: float = float("-inf")
    gaps: int = 0
    lacks: bool = False
    alarmed: bool = False


class Pursuit:
    """Pursues every account of a scope that is still stopped. ``shows`` is what its feed says of a bot, or of all
    (``None``), which costs nothing; the kill's hands have the last word. ``tags`` are those of the bots of an account,
    by which their orders are known. ``after_flat`` is what is left to do then; it answers whether the account's key is
    off, so that nothing can be read any more."""

    def __init__(
        self,
        *,
        data_dir: Path,
        desk: Desk,
        record: Record,
        shows: Callable[[str, str | None], FeedShows] = lambda account, bot: FeedShows(),
        tags: Callable[[str], Mapping[str, str]] = lambda account: {},
        now: Callable[[], datetime],
        after_flat: Callable[[Scope, NewestJob], Awaitable[bool]] | None = None,
    ) -> None:
        self._data_dir = data_dir
        self._desk = desk
        self._record = record
        self._shows = shows
        self._tags = tags
        self._now = now
        self._after_flat = after_flat
        self._known: dict[tuple[str, str | None], _Quarry] = {}
        self._chance = random.Random()

    @property
    def outsiders(self) -> frozenset[str]:
        """Accounts that somebody trades past the guard."""
        return frozenset(account for (account, _), quarry in self._known.items() if quarry.alarmed)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except OSError as trouble:
                log.error("what is stopped cannot be looked at: %s", trouble.strerror)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Once: whoever is due, side by side."""
        engaged = list(self._desk.engaged())
        jobs = newest_jobs(self._data_dir) if engaged else ()
        pairs = [(scope, job) for job in jobs if (scope := self._scope_of(job, engaged)) is not None]
        damaged = [job for job in unfinished_jobs(self._data_dir) if not job.under_way] if engaged else []
        standing = {(job.account, job.bot) for _, job in pairs}
        self._known = {who: quarry for who, quarry in self._known.items() if who in standing}
        async with asyncio.TaskGroup() as group:
            for scope, job in pairs:
                if self._desk.busy(job.account):
                    continue
                if job.ended:
                    group.create_task(self._looked(scope, job))
                elif is_orphan(self._data_dir, job):
                    log.warning("the kill of %s was left by whoever ran it; it is taken up", job.account)
                    await self._desk.again(scope, job.account, PURSUER, "left unfinished")
            for lost in damaged:
                scope = self._scope_of(lost, engaged)
                if scope is not None and not self._desk.busy(lost.account):
                    log.warning("the kill of %s was left by whoever ran it; it is taken up", lost.account)
                    await self._desk.again(scope, lost.account, PURSUER, "its journal cannot be read")

    async def _looked(self, scope: Scope, job: NewestJob) -> None:
        """Pursue one account. Whatever ails that, the others are pursued, and it is too, some seconds later."""
        try:
            await self._pursue(scope, job)
        except Exception:  # The edge: a bug in one account's look must end neither the others' nor the warden.
            log.exception("%s could not be looked at after its kill", job.account)
            quarry = self._known.get((job.account, job.bot))
            if quarry is not None:
                quarry.next_at = max(quarry.next_at, asyncio.get_running_loop().time() + PAUSE_MAX_S)

    def _scope_of(self, job: NewestJob | UnfinishedJob, engaged: Sequence[Scope]) -> Scope | None:
        """The scope an account is pursued under: the widest that stands over it and covers what the job covered."""
        covering = [scope for scope in engaged if self._desk.hand(scope, job.account) is not None]
        same_part = [scope for scope in covering if scope.bot == job.bot]
        return max(same_part, key=lambda scope: scope.level.width, default=None)

    async def _pursue(self, scope: Scope, job: NewestJob) -> None:
        state = replay(job.journal.events)
        assert state is not None  # noqa: S101 - an ended job has events
        loop = asyncio.get_running_loop()
        who = (job.account, job.bot)
        quarry = self._known.get(who)
        if quarry is None or quarry.job_id != job.journal.job.job_id:
            wait_s = self._wait_s(scope, job, state) if state.phase is Phase.DEGRADED else READ_EVERY_S
            quarry = self._known[who] = _Quarry(
                job_id=job.journal.job.job_id,
                began_at=loop.time(),
                next_at=loop.time() + wait_s,
                exits=KeptExits(account=job.account, record=self._record),
                # A share may lag behind what other hands have just closed of it: that is no news to their job.
                hinted=self._feed(job) if job.bot is not None else frozenset(),
                lacks=state.survey is None or not state.survey.complete or bool(state.survey.unread),
            )
        if state.phase is Phase.DEGRADED:
            if state.cause is Cause.CLOSED:
                if loop.time() >= quarry.next_at or (quarry.probes and self._is_news(job, quarry, loop.time())):
                    await self._try_closed(scope, job, state, quarry)
            elif loop.time() >= quarry.next_at:
                await self._try_again(scope, job, state, quarry)
            return
        if self._after_flat is not None and state.phase is Phase.FLAT and await self._after_flat(scope, job):
            return
        if loop.time() >= quarry.next_at or self._is_news(job, quarry, loop.time()):
            await self._watch(scope, job, quarry)

    def _is_news(self, job: NewestJob, quarry: _Quarry, now: float) -> bool:
        """Whether the feed shows something that it has not shown since the last reading. For a while after exits were
        cancelled an order is none: a bot that sends on and on costs no more than the readings of any flat account."""
        quarry.hinted &= self._feed(job)
        news = self._feed(job, orders=not quarry.exits.are_no_news(now))
        if news <= quarry.hinted or quarry.alarmed or now < quarry.hinted_at + HINTED_EVERY_S:
            return False
        quarry.hinted_at = now
        return True

    def _feed(self, job: NewestJob, *, orders: bool = True) -> frozenset[str]:
        """What the feed shows, in words."""
        feed = self._shows(job.account, job.bot)
        return feed.leg_words | feed.orders if orders else feed.leg_words

    async def _try_again(self, scope: Scope, job: NewestJob, state: KillState, quarry: _Quarry) -> None:
        """Begin again, but only when one reading shows that there is something to be done: a whole job would hammer at
        an exchange that does not answer."""
        if await self._read(scope, job, quarry) is None:
            pause_s = min(PROBE_EVERY_S * (1 << min(quarry.gaps, 8)), GAP_EVERY_MAX_S)
            quarry.next_at = max(quarry.next_at, asyncio.get_running_loop().time() + pause_s)
            return
        await self._begin_again(scope, job, state, quarry)

    async def _try_closed(self, scope: Scope, job: NewestJob, state: KillState, quarry: _Quarry) -> None:
        """Begin again what ended at a contract that does not trade: at once for what the job did not see, after growing
        pauses for what it tried in vain, and not for what is still closed."""
        loop, shown = asyncio.get_running_loop(), self._feed(job)
        due = loop.time() >= quarry.whole_at + CLOSED_EVERY_S * CLOSED_WHOLE_EVERY
        orders = due or quarry.lacks or not shown <= quarry.hinted
        reading = await self._read(scope, job, quarry, orders=orders)
        pause_s = CLOSED_EVERY_S if quarry.probes else PROBE_EVERY_S
        if quarry.lacks:
            pause_s = min(LOOK_EVERY_S * (1 << min(quarry.probes, 8)), CLOSED_EVERY_S)
        quarry.probes += 1
        if reading is not None and orders:
            quarry.hinted, quarry.lacks, quarry.whole_at = shown, bool(reading.unread), loop.time()
        next_at = max(quarry.next_at, loop.time() + pause_s)
        if reading is not None and not is_still_closed(reading, state):
            due_at = quarry.began_at + self._vain_s(job, state, reading)
            if is_new(reading, state) or loop.time() >= due_at:
                await self._begin_again(scope, job, state, quarry)
                return
            next_at = min(next_at, due_at)
        quarry.next_at = next_at

    async def _begin_again(self, scope: Scope, job: NewestJob, state: KillState, quarry: _Quarry) -> None:
        await self._desk.again(scope, job.account, PURSUER, f"begun again: {state.why}")
        quarry.next_at = asyncio.get_running_loop().time() + PAUSE_FIRST_S

    async def _watch(self, scope: Scope, job: NewestJob, quarry: _Quarry) -> None:
        quarry.hinted = self._feed(job)
        reading = await self._read(scope, job, quarry)
        now = asyncio.get_running_loop().time()
        exits = exits_of_bots(reading, self._tags(job.account)) if reading is not None else {}
        feed = self._shows(job.account, job.bot)
        if reading is not None and are_positions_read(reading) and is_contradicted(reading, exits, feed):
            await self._disagree(scope, job, quarry)
            return
        quarry.disagreements = 0
        quarry.next_at = max(quarry.next_at, now + READ_EVERY_S)
        if reading is None:
            return
        shown = has_to_go(reading, but=exits)
        if not shown:
            if exits and are_positions_read(reading):
                await self._cancel(scope, job, quarry, reading, exits)
            return
        detail = {"account": job.account, "scope": str(scope), "shown": list(shown)}
        if flattened_again(self._data_dir, job) < FLATTENED_AGAIN_MAX:
            log.error("%s shows %s after it was flat; it is made flat again", job.account, ", ".join(shown))
            await self._record("kill.shown_again", PURSUER, detail)
            await self._desk.again(scope, job.account, PURSUER, SHOWN_AGAIN)
        elif not quarry.alarmed:
            quarry.alarmed = True
            log.critical("EXTERNAL TRADER: %s is traded past the guard; it stays stopped", job.account)
            await self._record("kill.external_trader", PURSUER, detail)

    async def _cancel(
        self, scope: Scope, job: NewestJob, quarry: _Quarry, reading: Reading, exits: Mapping[RestingOrder, str]
    ) -> None:
        """Cancel what bots keep sending, and say once of each bot what became of it."""
        loop, hand = asyncio.get_running_loop(), self._desk.hand(scope, job.account)
        if hand is None:
            return
        done = await quarry.exits.cancel(hand, reading, exits, lambda: scope in self._desk.engaged())
        if done.troubles:
            quarry.next_at = max(quarry.next_at, loop.time() + max(map(_silence_s, done.troubles)) + BAN_SLACK_S)
        await quarry.exits.tell(scope, done)

    async def _disagree(self, scope: Scope, job: NewestJob, quarry: _Quarry) -> None:
        """The venue lists nothing to close and the feed shows something else: one of them is old. Read again, soon, for
        as long as a list may be stale; then say so."""
        quarry.disagreements += 1
        pause_s = DISAGREEING_EVERY_S if quarry.disagreements <= DISAGREEMENTS_MAX else READ_EVERY_S
        quarry.next_at = asyncio.get_running_loop().time() + pause_s
        if quarry.disagreements == DISAGREEMENTS_MAX:
            log.error("%s reads as flat, its feed does not: look at the venue itself", job.account)
            await self._record("kill.disagreement", PURSUER, {"account": job.account, "scope": str(scope)})

    async def _read(self, scope: Scope, job: NewestJob, quarry: _Quarry, *, orders: bool = True) -> Reading | None:
        """What the account shows; ``None`` when it could not be read."""
        hand = self._desk.hand(scope, job.account)
        if hand is None:
            return None
        try:
            reading = await hand.survey(orders=orders)
        except VenueTrouble as trouble:
            wait_s = _silence_s(trouble)
            log.warning("%s cannot be read after its kill: %s", job.account, trouble)
            quarry.next_at = asyncio.get_running_loop().time() + wait_s + BAN_SLACK_S
            return None
        if reading.unread and not has_to_go(reading):
            # Nothing was read that a job could act upon, and what was not read is neither flat nor old.
            log.warning("%s cannot be read after its kill: %s", job.account, "; ".join(reading.unread))
            quarry.gaps += 1
            return None
        quarry.gaps = 0
        return reading

    def _wait_s(self, scope: Scope, job: NewestJob, state: KillState) -> float:
        """From now: to the end of the ban that was named, else longer after each try that failed the same way."""
        now, hand = self._now(), self._desk.hand(scope, job.account)
        retry_at = silent_until(job.journal, hand) if hand is not None else state.retry_at
        if retry_at is not None and retry_at > now:
            return (retry_at - now).total_seconds() + BAN_SLACK_S * (1 + self._chance.random())
        if state.cause is Cause.CLOSED:
            return PAUSE_FIRST_S  # Until it is looked at; when it is begun again depends on what shows then.
        return min(PAUSE_FIRST_S * (1 << (tries_failed(self._data_dir, job) - 1)), PAUSE_MAX_S)

    def _vain_s(self, job: NewestJob, state: KillState, reading: Reading) -> float:
        """How long after its end a job is begun again for what it tried in vain."""
        more = has_more_to_do(reading, state)
        first_s, most_s = (PAUSE_FIRST_S, PAUSE_MAX_S) if more else (CLOSED_EVERY_S, CLOSED_PAUSE_MAX_S)
        failed = tries_failed(self._data_dir, job, closed=True)
        return min(first_s * (1 << (failed - 1)), most_s)


def _silence_s(trouble: VenueTrouble) -> float:
    """How long not to ask: what the exchange demands, or, where it says no to the key itself, as long as may be."""
    match trouble:
        case VenueThrottled():
            return trouble.retry_after
        case VenueRefused():
            return PAUSE_MAX_S
        case _:
            return 0.0
