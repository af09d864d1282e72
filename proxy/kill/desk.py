"""The warden's side of the kill switch: presses, the jobs that make scopes flat, and re-arming."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from pathlib import Path

from proxy.kill.asked import Asked, fitting, note_asked
from proxy.kill.exchange_keys import key_outcome
from proxy.kill.gates import NOBODY_ASKED, acknowledged
from proxy.kill.hands import AccountHands
from proxy.kill.in_flight import InFlight, in_flight
from proxy.kill.jobs import UnfinishedJob, job_directory, unfinished_jobs
from proxy.kill.lock import AccountLock
from proxy.kill.outcomes import Outcomes
from proxy.kill.press import Press
from proxy.kill.pressed import Blocked, PressedSoFar
from proxy.kill.rearm import RearmRefused, abandoned, rearm
from proxy.kill.rearm_files import RearmFiles
from proxy.kill.report import AccountReport, KillReport
from proxy.kill.resuming import Resuming
from proxy.kill.roster import Roster
from proxy.kill.runs import Run, Runs, WhosePart, Work
from proxy.kill.sentinels import sentinel_name
from proxy.kill.standing import newest_reports
from proxy.kill.truths import Latched, Truths
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import Fence, FenceCorrupt, Scope
from proxy.store.warden_store import WardenStore
from rules.kill.settings import Flatten
from rules.model import TradingState

log = logging.getLogger("perpguard.kill")

Certify = Callable[[KillReport], Awaitable[None]]
"""Certifies a press that is over. Never raises."""


class KillDesk:
    """Presses and re-arms for one data directory. ``changed`` hears of every scope whose book a kill may have moved.

    ``flatten`` is how the policy of that moment wants positions closed. ``turned`` hears of every turn of the mirror;
    ``turn`` keeps two hosts from acting on the desk at once. ``presses`` counts those of this process: one that joins
    a kill under way moves the epoch only where a request to re-arm would outlive it. ``_pressing`` counts those that
    have no run yet.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        roster: Roster,
        store: WardenStore,
        record: Record,
        certify: Certify,
        changed: Callable[[Scope], None],
        flatten: Callable[[], Flatten],
        turned: Callable[[], None] = lambda: None,
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self.roster = roster
        self.truths = Truths(data_dir, Fence(data_dir), store)
        self._data_dir = data_dir
        self._store = store
        self._record = record
        self._outcomes = Outcomes(data_dir, roster, self.truths, record, self.working)
        self._certify = certify
        self._changed = changed
        self._turned = turned
        self.presses = 0
        self._pressing = 0
        self._rearming = RearmFiles(data_dir)
        self.runs = Runs(data_dir, store, self.truths, flatten, self._ended, turn)

    async def press(self, scope: Scope, by: str, reason: str) -> Blocked:
        """Block at once and start, or join, the job that makes the scope flat. Returns when trading is blocked."""
        pressed = asyncio.get_running_loop().time()
        self.presses += 1
        self._pressing += 1
        try:
            note_asked(self._data_dir, scope, Asked(by=fitting(by), reason=fitting(reason)))
            self._outdate_requests(scope)
            stopped = self.truths.stop(scope)
            stopped_ms = None if stopped.trouble else _ms_since(pressed)
            generation = stopped.generation
            latched = await self.truths.latch(scope, generation, running=True)
            sent = await self._sent(scope, self.roster.accounts(scope), latched)
            hands = self.roster.covered(scope)
            press = Press(scope=scope, by=by, reason=reason, whole=True, stopped_ms=stopped_ms)
            over = self.runs.start(Work(press=press, hands=hands, pressed=pressed, sent=sent))
        finally:
            self._pressing -= 1
        vouched = latched is Latched.NUMBERED and not stopped.trouble
        gates = await acknowledged(self._store, generation, pressed) if vouched else NOBODY_ASKED
        passed_ms = _ms_since(pressed)
        blocked = Blocked(
            scope=scope,
            generation=generation,
            blocked_ms=None if stopped.trouble else passed_ms,
            latched=latched is not Latched.UNTOLD,
            gates=gates,
            in_flight=sent,
            over=over,
            trouble=stopped.trouble,
        )
        if gates.silent:
            log.error("gates that have not acknowledged the kill of %s: %s", scope, ", ".join(gates.silent))
        detail = {
            "scope": str(scope),
            "reason": reason,
            "generation": generation,
            "gates": plain(gates),
            "in_flight": plain(sent),
        }
        await self._record("kill.engaged", by, detail | ({"trouble": stopped.trouble} if stopped.trouble else {}))
        return blocked

    async def _sent(self, scope: Scope, accounts: Sequence[str], latched: Latched) -> InFlight:
        """What is on the wire of a scope. A store that has just not answered is not waited for again."""
        return InFlight(known=False) if latched is Latched.UNTOLD else await in_flight(self._store, accounts, scope.bot)

    def _outdate_requests(self, scope: Scope) -> None:
        """Move the epoch where a press of what is stopped already would not, and a request to re-arm waits: it is void
        from then on, whatever becomes of this process and of the store."""
        with suppress(OSError):  # A disk that does not take it delays no kill; ``presses`` voids it while we live.
            if self.truths.fence.stands(scope) and self._rearming.asked_under(self.generation()):
                self.truths.fence.engage(scope)

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        """Let nothing in that adds risk; re-arming lifts it. False when the account is that, or stopped, already.

        On disk first: from then on the mirror tells a store that did not hear of it. Raises what the store client
        raises: then the account goes on as it was.
        """
        scope = Scope(account)
        async with self.truths.lock:
            controls = await self._store.controls()
            if (
                self.stopped(account)
                or controls.get(scope.control, TradingState.ACTIVE.value) != TradingState.ACTIVE.value
            ):
                return False
            kept = self.truths.reduced.keep(account, by, reason)
            try:
                await self.truths.reduced.tell(account)
            except STORE_TROUBLE as trouble:
                if not kept:
                    self.truths.reduced.forget(account)
                    raise
                log.warning("the store was not told yet that %s is reduce-only: %s", scope, type(trouble).__name__)
        log.error("%s is reduce-only: %s", scope, reason)
        await self._record("reducing", by, {"scope": str(scope), "reason": reason})
        return True

    async def close(self, account: str, by: str, reason: str) -> bool:
        """Press the button for one account on the guard's own account. False when a job for it runs already."""
        whole = [each for each in await self._unfinished() if each.account == account and each.bot is None]
        if any(each.under_way for each in whole) or account in self.at_it(Scope(account)):
            return False
        await self.press(Scope(account), by, reason)
        return True

    def stopped(self, account: str) -> bool:
        """Whether a kill covers the whole of an account on this machine, running or done: nobody trades it on."""
        return self.truths.stops(account, self.roster.venue(account))

    def stopped_in_part(self, account: str) -> bool:
        """Whether a kill covers an account or a bot's part of it: whoever else trades it goes on."""
        bots = [scope for scope in self.truths.scopes() if scope.bot is not None]
        return self.stopped(account) or any(account in self.roster.accounts(scope) for scope in bots)

    async def resume(self) -> None:
        """Take up every job that a crash left unfinished, and every kill whose end it left untold. Called before
        anything else is started."""
        self._outcomes.begin(self._newest())
        await Resuming(self._data_dir, self.roster, self.truths, self.runs, self._sent).run()

    async def again(self, scope: Scope, account: str, by: str, reason: str) -> bool:
        """Make one account of a scope that is still stopped flat anew. False when it is not, or is being made flat."""
        async with self.truths.lock:
            if scope not in self.truths.scopes() or account not in self.roster.accounts(scope):
                return False
            if account in self.at_it(scope):
                return False
            hands = [self.roster.hand(scope, account)]
            pressed = asyncio.get_running_loop().time()
            sent = await in_flight(self._store, [account], scope.bot)
            press = Press(scope=scope, by=by, reason=reason, anew=False)
            self.runs.start(Work(press=press, hands=hands, pressed=pressed, sent=sent))
        return True

    def engaged(self) -> frozenset[Scope]:
        """What is stopped on this machine. Where the epoch is damaged, that is what has a sentinel: the damage stops
        the desk besides, which nobody has pressed."""
        scopes = self.truths.scopes()
        if self.generation():
            return scopes
        put = frozenset(scope for scope in scopes if (self._data_dir / "kill" / sentinel_name(scope)).exists())
        return put | self.truths.unwritten

    def hand(self, scope: Scope, account: str) -> AccountHands | None:
        """The kill's hands for one account of a scope; ``None`` for one that is not covered."""
        return self.roster.hand(scope, account) if account in self.roster.accounts(scope) else None

    def busy(self, account: str) -> bool:
        """Whether this process is still at a kill of an account, or follows what was in flight."""
        return any(account in run.accounts for run in self.runs.now)

    def at_it(self, scope: Scope) -> frozenset[str]:
        """The accounts whose whole, or whose part that is a bot's, this process is at making flat for a scope."""
        return frozenset().union(*(run.accounts for run in self.runs.now if run.scope.bot == scope.bot))

    def working(self, bot: str | None) -> frozenset[str]:
        """The accounts whose kill, of the whole or of one bot's part, this process has not come to the end of: what
        they show is not the last word, for what was on the wire may have to be closed yet."""
        return frozenset().union(*(run.accounts for run in self.runs.working if run.scope.bot == bot))

    def answering(self, scope: Scope) -> frozenset[str]:
        """The accounts of which a kill that was pressed for just this scope has not come to its end in this process."""
        return frozenset().union(*(run.accounts for run in self.runs.working if run.scope == scope))

    @property
    def pressed_so_far(self) -> PressedSoFar:
        """What is another after any press."""
        return PressedSoFar(presses=self.presses, generation=self.generation())

    async def rearm(
        self, scope: Scope, name: str, reason: str, typed: str, *, looked_at: PressedSoFar | None = None
    ) -> int:
        """Open one scope again, in all three places. Returns the new generation. ``looked_at`` is what had been pressed
        when whoever decides looked last: nothing opens over a press that came since.

        Raises ``RearmRefused``, ``FenceCorrupt``, or what the store client raises: then the scope stays stopped.
        """
        async with self.truths.lock:
            if any(run.scope == scope or self._touches(run, scope) for run in self.runs.now):
                raise RearmRefused(scope, ("its kill has not ended",))
            # Nothing waits from here until the fence is open: no press comes between.
            if self._pressing or looked_at not in (None, self.pressed_so_far):
                raise RearmRefused(scope, ("a kill was pressed since it was asked for",))
            try:
                generation = await self._open(scope, name, reason, typed)
            except (FenceCorrupt, *STORE_TROUBLE):
                if scope.account is not None:
                    self.truths.reduced.keep_on(scope.account)
                raise
            if scope.account is not None:
                self.truths.reduced.lift(scope.account)
        self._outcomes.rearmed(scope)
        await self._record("rearm", name, {"scope": str(scope), "reason": reason, "generation": generation})
        return generation

    async def _open(self, scope: Scope, name: str, reason: str, typed: str) -> int:
        generation = rearm(self._data_dir, scope, name, reason, typed, self.roster.in_vault())
        self.truths.unwritten.discard(scope)
        self.runs.untold.let_go(scope)
        try:
            await self._store.set_state(scope.control, TradingState.ACTIVE, generation=generation, kill_running=False)
        except STORE_TROUBLE:
            self.truths.fence.engage(scope)
            raise
        return generation

    async def mirror(self) -> None:
        """For ever: what one truth stops, the others stop too."""
        await self.truths.mirror(self.running, self._found, self._turned)

    def reports(self) -> tuple[AccountReport, ...]:
        """The newest job of every account, finished or not, read from its journal."""
        return tuple(self._newest().values())

    async def progress(self) -> tuple[AccountReport, ...]:
        """The newest job of every account, also those that were pressed for and are not on disk yet: whoever pressed
        and looks at once must not be shown how flat the last press ended."""
        pressed = self.runs.works  # First: what ends meanwhile is on disk.
        newest = await asyncio.to_thread(self._newest)
        for work in pressed:
            newest |= work.unbegun(newest)
        return tuple(newest.values())

    async def unreadable(self) -> tuple[str, ...]:
        """The accounts whose newest journal cannot be read, so that nobody knows how their last kill stands."""
        jobs = await self._unfinished()
        return tuple(sorted({each.account for each in jobs if each.job is None and not each.under_way}))

    def key_outcome(self, report: AccountReport) -> str | None:
        """What became of the account's exchange key after a job; ``None`` where nothing was asked for, or not yet."""
        return key_outcome(job_directory(self._data_dir, report.account) / report.job_id)

    def in_flight(self, scope: Scope) -> InFlight | None:
        """What was on the wire at the last press of a scope, ``None`` without one in this process."""
        return self.runs.in_flight(scope)

    def abandoned(self, scope: Scope) -> tuple[str, ...]:
        """The accounts under ``scope`` whose kill did not end and never will: nobody has it, and no key of theirs is
        in the vault any more."""
        return abandoned(self._data_dir, scope, self.roster.in_vault())

    def unknown(self, scope: Scope) -> tuple[str, ...]:
        """The accounts under ``scope`` whose kill did not end and nobody is at, and which came into the vault after
        this process began: only a new one takes them up."""
        newcomers = self.roster.newcomers()
        found = (each for each in self._unended(scope) if each.account in newcomers)
        return tuple(dict.fromkeys(each.account for each in found if AccountLock(each.path.parent / "lock").free()))

    def running(self, scope: Scope) -> bool:
        """Whether a job of an account, or of a bot's part of one, that ``scope`` covers has not ended."""
        given_up = self.abandoned(scope)
        return any(each.under_way and each.account not in given_up for each in self._unended(scope))

    def _unended(self, scope: Scope) -> tuple[UnfinishedJob, ...]:
        return tuple(
            unfinished
            for unfinished in unfinished_jobs(self._data_dir)
            if (unfinished.job is not None and unfinished.job.covers == scope)
            or self.roster.covers(scope, unfinished.account, unfinished.bot)
        )

    def generation(self) -> int:
        """The epoch, 0 for one that is damaged."""
        return self.truths.generation()

    def _newest(self) -> dict[WhosePart, AccountReport]:
        return newest_reports(self._data_dir)

    async def _unfinished(self) -> Sequence[UnfinishedJob]:
        return await asyncio.to_thread(unfinished_jobs, self._data_dir)

    def _touches(self, run: Run, scope: Scope) -> bool:
        return any(self.roster.covers(scope, account, run.scope.bot) for account in run.accounts)

    async def _found(self, scope: Scope, running: bool) -> None:
        """The store learnt of a stop that did not come through this process: by command line, by hand, or elsewhere."""
        self._changed(scope)
        if not self.runs.now:
            await self._outcomes.found(scope, running)

    async def _ended(self, scope: Scope, by: str, report: KillReport) -> None:
        generation = report.generation if report.generation is not None else self.generation()
        # Flat or not, the exits belong to the bots again: a kill that ended DEGRADED must trap nobody.
        await self.truths.latch(scope, generation, running=self.running(scope))
        followed = self.in_flight(scope)
        if followed is None or followed.sent or not followed.known or any(map(_may_have_moved, report.accounts)):
            self._changed(scope)
        await self._outcomes.ended(scope, by, report, followed)
        await self._certify(report)


def _may_have_moved(report: AccountReport) -> bool:
    """Whether a kill may have moved an account's book: one that found nothing asks nobody to read it once more."""
    return report.left_open or bool(report.cancelled or report.closed)


def _ms_since(moment: float) -> float:
    """Milliseconds since a moment of the loop's time."""
    return round((asyncio.get_running_loop().time() - moment) * 1000, 3)
