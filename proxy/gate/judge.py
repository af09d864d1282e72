"""The order path: hold, look, decide, settle. Read this file first; it is the product.

A request's worst case is reserved in the same atomic step that returns the state it is judged on, so the snapshot
already contains everyone's earlier holds. What is refused is released in one more step; what is allowed is written
down before it is sent, and its hold stays until the venue has been seen to agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from proxy.gate.facts import conditions_of, record_of
from proxy.gate.journal import Journal, JournalFailed
from proxy.gate.readiness import Readiness, make_ready
from proxy.gate.recording import Subject
from proxy.gate.upstream import FenceClosed
from proxy.store.fence import Fence, FenceCorrupt
from proxy.store.gate_store import GateStore, StoreFull, StoreUnavailable
from proxy.store.view import Bucket, HoldRequest, View
from proxy.venues.binance.client_ids import outward
from rules.decision import Breach, Cleared, Decision, Verdict
from rules.engine import clear, decide_batch
from rules.exposure import held_order
from rules.flow.message_rate import MessageRate
from rules.intent import intent_of
from rules.model import Command, Intent, PlaceOrder, TradingState
from rules.policy import Policy
from rules.share import as_if_filled
from rules.snapshot import HeldOrder, HoldStatus, Snapshot, UnreportedOrder

SECOND_LOOK_PAUSES_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.16)
"""How long a refusal that rests on unsettled holds waits before each further look."""

POLICY_CHANGES_MAX: Final = 2
"""How often one request is held anew because another policy came into force."""

_ADDS_RISK: Final = (Intent.ENTRY, Intent.CONFIG)


class Outcome(StrEnum):
    """What is known about a request after it was, or was not, sent."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NOT_SENT = "NOT_SENT"


class KeyDisabled(Exception):
    """The guard key was switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRequest:
    """A request that was authenticated and parsed, on its way to the judge."""

    subject: Subject
    guard_key: str
    commands: tuple[Command, ...]
    replay_digest: str
    replay_window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The judge's answer, by place in the request.

    ``cleared`` are the commands that may be sent. ``withheld`` are those the rules allow but the guard may not send,
    because it could not reserve their exposure, write them down or use up the override that lets them pass.
    ``held`` are the orders as they will be sent; ``reserved`` says that a hold stands in the store.
    """

    request: JudgedRequest
    decisions: tuple[Decision, ...]
    cleared: dict[int, Cleared[Command]]
    withheld: dict[int, Breach]
    held: dict[int, HeldOrder]
    reserved: bool
    records: tuple[dict[str, Any], ...]
    fence: Callable[[], None] | None
    store_reachable: bool


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
    ) -> None:
        self._store = store
        self._fence = fence
        self._journal = journal
        self._policy = policy
        self._now = now

    async def judge(self, request: JudgedRequest) -> Ruling:
        """Decide on every command of a request.

        Raises ``KeyDisabled`` or ``RequestReplayed``; then nothing was reserved. A lost store is no exception: exits
        and cancels are judged on the last snapshot, everything else is refused.
        """
        account, venue = request.subject.account, request.subject.venue
        generation = self._generation()
        last = self._store.last_known(account, venue)
        # Intents are read off the last known picture, which an amend needs; the decision re-reads them off the new.
        known = self._snapshot(request, last, reachable=False)
        intents = [intent_of(command, known) for command in request.commands]
        risky = any(intent in _ADDS_RISK for intent in intents)
        held = {
            index: order
            for index, command in enumerate(request.commands)
            if (order := held_order(command, known)) is not None
        }
        try:
            view = await self._hold(request, last, intents, risky, tuple(held.values()))
        except (StoreUnavailable, StoreFull):
            view = self._store.last_known(account, venue)
            decisions = decide_batch(request.commands, known, view.policy or self._policy)
            return self._rule(request, known, decisions, view, Readiness({}, {}), generation)
        if view.key_disabled:
            await self._release(request, [])
            raise KeyDisabled
        policy = view.policy or self._policy
        snapshot = self._snapshot(request, view, reachable=True)
        snapshot, decisions = await self._decide(request, policy, snapshot, view)
        hold_id = request.subject.decision_id
        ready = await make_ready(self._store, account, hold_id, decisions, held, snapshot)
        ruling = self._rule(request, snapshot, decisions, view, ready, generation)
        if not ruling.cleared:
            await self._refuse(ruling)
            return replace(ruling, records=())
        return ruling

    async def _hold(
        self, request: JudgedRequest, last: View, intents: Sequence[Intent], risky: bool, orders: tuple[HeldOrder, ...]
    ) -> View:
        """Hold and look, under the policy that is in force at that moment.

        What to count and how far to look back is the policy's matter. If another one came into force meanwhile, the
        question is asked anew, once more written down and counted as one attempt. Policies change by hand: a second
        change within one order is an outage.
        """
        policy = last.policy or self._policy
        asked = self._hold_request(request, policy, intents, risky, orders)
        for _ in range(POLICY_CHANGES_MAX):
            view = await self._store.hold(asked)
            if view.policy is None or view.policy.version == policy.version:
                return view
            policy = view.policy
            await self._release(request, [])
            asked = replace(
                self._hold_request(request, policy, intents, risky, orders), write_ahead=None, replay_window_ms=0
            )
        raise StoreUnavailable("the policy does not stay the same")

    async def settle(self, ruling: Ruling, outcome: Outcome, accepted: Iterable[int], record: dict[str, Any]) -> None:
        """Say what became of a ruling's sent commands; ``accepted`` are the places the venue took.

        The hold shrinks to what the venue took, stays whole while nobody knows, and is released when nothing was
        taken. When the store cannot be told, the journal is, durably, and the hold stays: the safe side.
        """
        records = (*ruling.records, record)
        orders = tuple(ruling.held[index] for index in sorted(set(accepted)) if index in ruling.held)
        if not ruling.reserved:
            action = "KEEP"
        elif outcome is Outcome.UNKNOWN:
            action = "UNKNOWN"
        else:
            action = "ACCEPTED" if orders else "RELEASE"
        subject = ruling.request.subject
        if ruling.store_reachable:
            try:
                await self._store.settle(
                    subject.account,
                    subject.decision_id,
                    action,
                    records,
                    orders if action == "ACCEPTED" else None,
                    self._unreported(ruling) if action == "UNKNOWN" else (),
                )
            except StoreUnavailable:
                self._spool(record)
            return
        self._spool(record)

    async def told(self, account: str, bot: str, answer: bytes) -> None:
        """A bot got the venue's ``answer`` to a read of orders: what it names is unreported no longer.

        Only the name of an order counts. That an order is in no list proves nothing: it may be filled, or on its way.
        """
        try:
            lost = await self._store.unreported(account)
            named = [each for each in lost if each.bot == bot and f'"{each.order.client_order_id}"'.encode() in answer]
            if named:
                await self._store.forget_unreported(account, named)
        except StoreUnavailable:
            # The bot may read again; until then its entries on that side are refused, which is the safe side.
            return

    def _unreported(self, ruling: Ruling) -> tuple[UnreportedOrder, ...]:
        """The entries of a ruling whose bot is told that nobody knows. An amend opens nothing a second time."""
        subject = ruling.request.subject
        return tuple(
            UnreportedOrder(bot=subject.bot, hold_id=subject.decision_id, at=self._now(), order=order)
            for order in ruling.held.values()
            if order.client_order_id
        )

    def _hold_request(
        self,
        request: JudgedRequest,
        policy: Policy,
        intents: Sequence[Intent],
        risky: bool,
        orders: tuple[HeldOrder, ...],
    ) -> HoldRequest:
        subject = request.subject
        return HoldRequest(
            hold_id=subject.decision_id,
            account=subject.account,
            venue=subject.venue,
            bot=subject.bot,
            guard_key=request.guard_key,
            orders=orders,
            reserve=bool(orders),
            buckets=_buckets(request, policy, intents),
            attempts_window_s=policy.attempts_window_s,
            write_ahead=subject.intent(self._now(), request.commands),
            replay_digest=request.replay_digest,
            # Cancels and exits may be repeated to the byte: real clients re-send them when a connection dies.
            replay_window_ms=request.replay_window_ms if risky else 0,
        )

    def _snapshot(self, request: JudgedRequest, view: View, *, reachable: bool) -> Snapshot:
        """The picture the request is judged on, cut down to the symbols that matter to it."""
        subject = request.subject
        asked = [symbol for command in request.commands if (symbol := getattr(command, "symbol", None)) is not None]
        symbols = set(asked)
        if view.account is not None:
            symbols.update(position.symbol for position in view.account.positions)
            symbols.update(order.symbol for order in view.account.open_orders)
            # Shares that net each other out leave no position, and are worth something all the same.
            symbols.update(share.symbol for share in view.account.shares if share.quantity != 0)
        symbols.update(order.symbol for hold in view.holds for order in hold.orders)
        controls = view.controls_for(account=subject.account, bot=subject.bot, symbols=asked)
        if self._fence.engaged(subject.account):
            # The sentinel file stops this gate even when the store, or its latch, does not say so.
            controls = replace(controls, account=TradingState.HALTED)
        return Snapshot(
            now=self._now(),
            bot=subject.bot,
            account=view.account,
            controls=controls,
            instruments={symbol: view.instruments[symbol] for symbol in symbols & view.instruments.keys()},
            markets={symbol: view.markets[symbol] for symbol in symbols & view.markets.keys()},
            holds=view.holds,
            unreported=tuple(each for each in view.unreported if each.bot == subject.bot),
            tokens=view.tokens,
            anomaly=view.anomaly,
            store_reachable=reachable,
            attempts=tuple(each for each in view.attempts if each.hold_id != subject.decision_id),
            scores=view.scores,
            conditions=None if view.conditions is None else conditions_of(view.conditions, set(asked), symbols),
            record=None if view.record is None else record_of(view.record, subject.bot, symbols),
            overrides=tuple(each for each in view.overrides if each.bot == subject.bot),
        )

    async def _decide(
        self, request: JudgedRequest, policy: Policy, snapshot: Snapshot, view: View
    ) -> tuple[Snapshot, tuple[Decision, ...]]:
        """The decisions, and the picture they were made on.

        Wait, bounded, if a refusal would rest on holds alone: they may be refused, or be counted twice, just now.

        An earlier request that is still being judged may let its hold go; one that the venue took may already stand
        in a survey that was under way, until the next one releases its hold. Holds and account are read again in one
        step, so that neither is missed. Only holds with an earlier sequence count, as in one serial queue, so two
        requests never wait for each other.
        """
        decisions = decide_batch(request.commands, snapshot, policy)
        for pause_s in SECOND_LOOK_PAUSES_S:
            if not _falls_short(decisions) or not self._may_change(request, policy, snapshot):
                break
            await asyncio.sleep(pause_s)
            try:
                holds, account = await self._store.look(request.subject.account)
            except StoreUnavailable:
                break
            earlier = tuple(hold for hold in holds if hold.sequence < view.sequence)
            snapshot = replace(snapshot, holds=earlier, account=account, now=self._now())
            decisions = decide_batch(request.commands, snapshot, policy)
        return snapshot, decisions

    def _may_change(self, request: JudgedRequest, policy: Policy, snapshot: Snapshot) -> bool:
        """Whether a refusal rests on what is settled just now: on holds, or on fills not yet booked on the bot."""
        certain = tuple(hold for hold in snapshot.holds if hold.status is HoldStatus.UNKNOWN)
        hopes = [replace(snapshot, holds=certain)] if len(certain) < len(snapshot.holds) else []
        if (filled := as_if_filled(snapshot)) is not snapshot:
            hopes.append(filled)
        return any(not _falls_short(decide_batch(request.commands, each, policy)) for each in hopes)

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
        record = request.subject.decision(
            snapshot, view.instruments_version, request.commands, decisions, ready.withheld
        )
        written = self._write_down(record, durable=not snapshot.store_reachable)
        withheld = {
            index: breach
            for index, decision in enumerate(decisions)
            if (breach := _withheld(decision, index in held, written, view.policy is not None)) is not None
        } | ready.withheld
        allowed = [
            index
            for index, decision in enumerate(decisions)
            if decision.verdict is Verdict.ALLOW and index not in withheld
        ]
        risky = any(decisions[index].intent in _ADDS_RISK for index in allowed)
        return Ruling(
            request=request,
            decisions=decisions,
            cleared={index: clear(decisions[index]) for index in allowed},
            withheld=withheld,
            held={index: held[index] for index in allowed if decisions[index].intent is Intent.ENTRY},
            reserved=bool(held),
            records=(record,),
            fence=self._entry_fence(request.subject.account, generation) if risky else None,
            store_reachable=snapshot.store_reachable,
        )

    def _write_down(self, record: dict[str, Any], *, durable: bool) -> bool:
        try:
            self._journal.append(record, durable=durable)
        except JournalFailed:
            return False
        return True

    def _entry_fence(self, account: str, generation: int | None) -> Callable[[], None]:
        """What is asked between the last await and the first byte: is this still the generation it was judged in?"""

        def check() -> None:
            if generation is None or self._fence.engaged(account) or self._generation() != generation:
                raise FenceClosed("a kill or a re-arm came first")

        return check

    def _generation(self) -> int | None:
        try:
            return self._fence.generation()
        except FenceCorrupt:
            return None

    async def _refuse(self, ruling: Ruling) -> None:
        subject = ruling.request.subject
        size = _size_told(ruling.decisions)
        try:
            await self._store.refuse(subject.account, subject.bot, subject.decision_id, ruling.records, size)
        except StoreUnavailable:
            # The journal already has the decision; the warden releases the orphaned hold when it finds no order.
            return

    async def _release(self, request: JudgedRequest, records: Sequence[dict[str, Any]]) -> None:
        try:
            await self._store.settle(request.subject.account, request.subject.decision_id, "RELEASE", records)
        except StoreUnavailable:
            # The journal already has the decision; the warden releases the orphaned hold when it finds no order.
            return

    def _spool(self, record: dict[str, Any]) -> None:
        try:
            self._journal.append(record, durable=True)
        except JournalFailed:
            # The venue has already answered; the bot must still hear it. The archive shows an intent without outcome.
            return


def _buckets(request: JudgedRequest, policy: Policy, intents: Sequence[Intent]) -> tuple[Bucket, ...]:
    """The buckets the request's messages are counted in, each with how many of them."""
    subject = request.subject
    buckets: dict[str, Bucket] = {}
    for command, intent in zip(request.commands, intents, strict=True):
        rules = policy.rules_for(account=subject.account, bot=subject.bot, symbol=getattr(command, "symbol", None))
        for rule in rules:
            if isinstance(rule, MessageRate):
                allowed, adds_risk = rule.allowance(command), intent in _ADDS_RISK
                fresh = Bucket(allowed.scope, allowed.per_second, allowed.burst, rule.tighten)
                bucket = buckets.get(allowed.scope, fresh)
                buckets[allowed.scope] = replace(
                    bucket,
                    spend=bucket.spend + adds_risk,
                    drain=bucket.drain + (not adds_risk and rule.cancels == "counted"),
                )
    return tuple(buckets.values())


def _falls_short(decisions: Sequence[Decision]) -> bool:
    """Whether something of what was asked for is refused: all of an order, or a part of it."""
    return any(decision.verdict is Verdict.DENY or decision.trimmed_from is not None for decision in decisions)


def _size_told(decisions: Sequence[Decision]) -> Decimal | None:
    """The quantity a bot was told would have passed; a batch is told none."""
    return decisions[0].headroom if len(decisions) == 1 else None


def _withheld(decision: Decision, reserved: bool, written: bool, policy_known: bool) -> Breach | None:
    """Why an allowed command may not be sent after all: law 3 and law 4, checked once more at the last hop."""
    if decision.verdict is Verdict.DENY or decision.intent not in _ADDS_RISK:
        return None
    if not written:
        return Breach(
            rule_id="audit",
            code="AUDIT_UNAVAILABLE",
            message="the guard cannot write its audit, so nothing that adds risk is sent",
            advice="reduce-only orders and cancels pass",
        )
    if not policy_known:
        return Breach(
            rule_id="policy",
            code="POLICY_UNKNOWN",
            message="this gate has no policy it can read, or not the one in force, so nothing that adds risk is sent",
            advice="reduce-only orders and cancels pass",
        )
    if decision.intent is Intent.ENTRY and not reserved:
        return Breach(rule_id="hold", code="NOT_RESERVED", message="the order changed under the guard; send it again")
    return None


def with_client_ids(commands: Sequence[Command], decision_id: str, tag: str) -> tuple[Command, ...]:
    """Every order gets a client id, so that one whose answer is lost can be asked about; with its bot's tag."""
    return tuple(
        replace(command, client_order_id=outward(f"pg-{decision_id}-{index}", tag))
        if isinstance(command, PlaceOrder) and command.client_order_id is None
        else command
        for index, command in enumerate(commands)
    )
