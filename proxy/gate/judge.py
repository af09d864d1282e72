"""The order path: hold, look, decide, settle. Read this file first; it is the product.

A request's worst case is reserved in the same atomic step that returns the state it is judged on, so the snapshot
already contains everyone's earlier holds. What is refused is released in one more step; what is allowed is written
down before it is sent, and its hold stays until the venue has been seen to agree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Raw, structs

from proxy.audit.journal import Journal, JournalFailed
from proxy.audit.recording import Subject
from proxy.gate.asking import Reading, hold_request, read_off
from proxy.gate.counting import Counting, Stage, clock_ns
from proxy.gate.just_over import FILLED, JustOver
from proxy.gate.latch import Latch
from proxy.gate.readiness import Readiness, kept_back, make_ready
from proxy.gate.ruling import JudgedRequest, Outcome, Ruling
from proxy.gate.second_look import decide_in_turn
from proxy.gate.snapshots import by_our_clock, snapshot_of
from proxy.gate.unreported import unreported_of
from proxy.gate.upstream import FenceClosed, FenceLapsed, NotSent, Turnstile
from proxy.store.codec import once_for_all
from proxy.store.fence import Fence, FenceCorrupt
from proxy.store.gate_store import GateStore
from proxy.store.trouble import KeyDisabled, StoreFull, StoreUnavailable
from proxy.store.view import View
from proxy.venues.binance.replies import Reply
from rules.attempts import refused_at_size
from rules.decision import Decision, Verdict
from rules.engine import clear, decide_batch, intents
from rules.model import Command, Intent
from rules.policy import Policy
from rules.snapshot import Snapshot

HOLDS_MAX: Final = 2
"""How often one request is held while policies change: the second time under the policy that the first one found."""


def _nothing() -> None:
    """Nobody counts."""


class Judge:
    """Judges requests of one gate process. Stateless but for the store's cache: any gate can judge any account."""

    def __init__(
        self,
        *,
        store: GateStore,
        fence: Fence,
        journal: Journal,
        policy: Policy,
        now: Callable[[], datetime],
        latch: Latch | None = None,
        counting: Counting | None = None,
    ) -> None:
        """Without ``latch`` only this machine's fence stops what has been judged."""
        self._counting = counting or Counting()
        self._latch = latch
        self._store = store
        self._fence = fence
        self._journal = journal
        self._policy = policy
        self._now = now
        self._just_over = JustOver()

    async def judge(self, request: JudgedRequest) -> Ruling:
        """Decide on every command of a request.

        Raises ``KeyDisabled`` or ``RequestReplayed``; then nothing was reserved. A lost store is no exception: exits
        and cancels are judged on the last snapshot, everything else is refused.
        """
        generation = self._generation()
        reading = read_off(request, lambda: self._known(request, reachable=True)[1])
        asked_ns = clock_ns()
        try:
            view = await self._hold(request, reading, self._store.policy or self._policy)
        except (StoreUnavailable, StoreFull):
            self._counting.took(request.kind, Stage.HOLD, asked_ns, clock_ns())
            return self._on_the_last_picture(request, generation)
        looked_ns = clock_ns()
        self._counting.took(request.kind, Stage.HOLD, asked_ns, looked_ns)
        if view.key_disabled:
            await self._release(request)
            raise KeyDisabled
        policy = view.policy or self._policy
        snapshot = self._snapshot(request, view, reachable=True)
        snapshot, decisions = await decide_in_turn(
            request,
            policy,
            snapshot,
            sequence=view.sequence,
            store=self._store,
            just_over=self._just_over,
            now=self._now,
            stopped=lambda: self._stopped(request),
        )
        ready = await make_ready(self._store, request.subject, decisions, reading.held, snapshot)
        ruling = self._rule(request, snapshot, decisions, view, ready, generation)
        decided_ns = clock_ns()
        self._counting.took(request.kind, Stage.DECIDE, looked_ns, decided_ns)
        if not ruling.cleared:
            await self._refuse(ruling)
            self._counting.took(request.kind, Stage.SETTLE, decided_ns, clock_ns())
            return structs.replace(ruling, records=())
        return ruling

    async def risky(self, request: JudgedRequest) -> list[int]:
        """The places of the commands that would add risk, on the account as it is now. Nothing is judged or held.

        A store that does not answer leaves what this process last saw.
        """
        last, picture = self._known(request, reachable=True)
        with suppress(StoreUnavailable):
            seen = await self._store.look(request.subject.account)
            picture = replace(picture, account=seen.account, holds=seen.holds)
        found = intents(request.commands, picture, last.policy or self._policy)
        return [place for place, intent in enumerate(found) if intent.adds_risk]

    def heard(self, subject: Subject, command: Command, reply: Reply) -> None:
        """The venue answered ``command``. To be told before the bot is, for its next order may come at once."""
        filled = reply.status == FILLED
        known = self._store.last_known(subject.account, subject.venue).account if filled else None
        self._just_over.told(subject.account, command, reply, known)

    def settle(
        self,
        ruling: Ruling,
        outcome: Outcome,
        accepted: Iterable[int],
        record: dict[str, Any],
        *,
        unknown: Iterable[int] | None = None,
    ) -> Coroutine[Any, Any, None]:
        """Say what became of a ruling's sent commands; ``accepted`` are the places the venue took, ``unknown`` those
        of which nobody knows: all of them, where the ``outcome`` is that and the venue said nothing of any.

        It is said at once, before anything this process asks the store next; awaited is that it is written down. The
        hold shrinks to what the venue took or may have taken, and is released when that is nothing. When the store
        cannot be told, the journal is, durably, and the hold stays, the safe side, until the store can be told again.
        """
        records: tuple[Raw | dict[str, Any], ...] = (*ruling.records, record)
        if unknown is None:
            unknown = ruling.held if outcome is Outcome.UNKNOWN else ()
        lost = {index: ruling.held[index] for index in unknown if index in ruling.held}
        standing = lost.keys() | ruling.held.keys() & set(accepted)
        orders = tuple(ruling.held[index] for index in sorted(standing))
        if not ruling.reserved:
            action = "KEEP"
        elif not orders:
            action = "RELEASE"
        else:
            action = "UNKNOWN" if lost else "ACCEPTED"
        subject = ruling.request.subject
        if not ruling.store_reachable:
            return self._written_down(record, None)
        telling = self._store.settle(
            subject.account,
            subject.decision_id,
            action,
            records,
            orders or None,
            unreported_of(subject, lost.values(), self._now()) if lost and ruling.reserved else (),
        )
        return self._written_down(record, telling)

    async def _written_down(self, record: dict[str, Any], telling: Awaitable[object] | None) -> None:
        """By the store that is being told, else in the journal."""
        if telling is not None:
            with suppress(StoreUnavailable):
                await telling
                return
        self._spool(record)

    def _generation(self) -> int | None:
        try:
            return self._fence.generation()
        except FenceCorrupt:
            return None

    def _known(self, request: JudgedRequest, *, reachable: bool) -> tuple[View, Snapshot]:
        """What this process last saw of the request's account, and the picture it makes. Whether the store is
        ``reachable`` nobody knows before it is asked; a request is read off as if it were."""
        last = self._store.last_known(request.subject.account, request.subject.venue)
        return last, self._snapshot(request, last, reachable=reachable)

    def _snapshot(self, request: JudgedRequest, view: View, *, reachable: bool) -> Snapshot:
        stopped = self._stopped(request)
        taken = self._store.taken()
        return snapshot_of(request, view, now=self._now(), stopped=stopped, reachable=reachable, taken=taken)

    def _stopped(self, request: JudgedRequest) -> bool:
        """What this machine's sentinels say, of any of the four scopes the request is in."""
        subject = request.subject
        return self._fence.engaged(subject.account, subject.venue, subject.bot)

    async def _hold(self, request: JudgedRequest, reading: Reading, policy: Policy) -> View:
        """Hold and look, under the policy that is in force at that moment.

        What to count and how far to look back is the policy's matter. If another one came into force meanwhile, the
        question is asked anew: written down and remembered as one attempt, its message counted under both. Policies
        change by hand: a second change within one order is an outage.
        """
        for earlier in range(HOLDS_MAX):
            asked = hold_request(request, reading, policy, self._now())
            if earlier:
                asked = structs.replace(asked, write_ahead=None, replay_window_ms=0)
            view = await self._store.hold(asked)
            if view.policy is None or view.policy.version == policy.version:
                return by_our_clock(view, self._now())
            await self._release(request)
            policy = view.policy
        raise StoreUnavailable("the policy does not stay the same")

    async def _release(self, request: JudgedRequest) -> None:
        try:
            await self._store.settle(request.subject.account, request.subject.decision_id, "RELEASE", ())
        except StoreUnavailable:
            # The journal already has the decision; the warden releases the orphaned hold when it finds no order.
            return

    def _on_the_last_picture(self, request: JudgedRequest, generation: int | None) -> Ruling:
        """What this process last saw is all there is, and nothing is reserved on it: only what takes risk away goes."""
        last, known = self._known(request, reachable=False)
        decisions = decide_batch(request.commands, known, last.policy or self._policy)
        return self._rule(request, known, decisions, last, Readiness({}, {}), generation)

    def _rule(
        self,
        request: JudgedRequest,
        snapshot: Snapshot,
        decisions: tuple[Decision, ...],
        view: View,
        ready: Readiness,
        generation: int | None,
    ) -> Ruling:
        held = ready.held
        record = once_for_all(
            request.subject.decision(snapshot, view.instruments_version, request.commands, decisions, ready.withheld)
        )
        written = self._write_down(record, durable=not snapshot.store_reachable)
        known = view.policy is not None
        withheld = {
            index: breach
            for index, decision in enumerate(decisions)
            if (breach := kept_back(decision, reserved=index in held, written=written, policy_known=known)) is not None
        } | ready.withheld
        allowed = [
            index
            for index, decision in enumerate(decisions)
            if decision.verdict is Verdict.ALLOW and index not in withheld
        ]
        risky = any(decisions[index].intent.adds_risk for index in allowed)
        return Ruling(
            request=request,
            decisions=decisions,
            cleared={index: clear(decisions[index]) for index in allowed},
            withheld=withheld,
            held={index: held[index] for index in allowed if decisions[index].intent is Intent.ENTRY},
            reserved=bool(held),
            records=(record,),
            fence=self._entry_fence(request, generation) if risky else None,
            store_reachable=snapshot.store_reachable,
            kill_running=snapshot.controls.kill_running,
        )

    def _write_down(self, record: Raw, *, durable: bool) -> bool:
        try:
            self._journal.append(record, durable=durable)
        except JournalFailed:
            return False
        return True

    def _entry_fence(self, request: JudgedRequest, generation: int | None) -> Turnstile:
        """What is asked between the last await and the first byte: is this still the generation it was judged in?"""
        account, venue, bot = request.subject.account, request.subject.venue, request.subject.bot

        def check() -> None:
            if generation is None or self._fence.passes(account, venue, bot) != generation:
                raise FenceClosed("a kill or a re-arm came first")
            if self._latch is None:
                return
            if self._latch.stops(account, venue, bot):
                raise FenceClosed("a kill on another machine came first")
            if self._latch.lapsed:
                raise FenceLapsed("the store has not been heard for too long")

        def enter() -> Callable[[], None]:
            left = self._latch.enter() if self._latch is not None else _nothing
            try:
                check()
            except NotSent:
                left()
                raise
            return left

        return enter

    async def _refuse(self, ruling: Ruling) -> None:
        subject = ruling.request.subject
        size = _size_told(ruling.decisions)
        try:
            await self._store.refuse(subject.account, subject.bot, subject.decision_id, ruling.records, size)
        except StoreUnavailable:
            # The journal already has the decision; the warden releases the orphaned hold when it finds no order.
            return

    def _spool(self, record: dict[str, Any]) -> None:
        try:
            self._journal.append(record, durable=True)
        except JournalFailed:
            # The venue has already answered; the bot must still hear it. The archive shows an intent without outcome.
            return


def _size_told(decisions: Sequence[Decision]) -> Decimal | None:
    """The quantity that the pieces of a refused entry may come to; a batch is told none."""
    return refused_at_size(decisions[0]) if len(decisions) == 1 else None
