"""From a ruling to the bot's answer: send what was cleared, settle what is known, answer in the venue's dialect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any

from proxy.gate.answers import Answer, Virtual, passed_headers, refusal
from proxy.gate.counting import Counting, Kind, Stage, TurnedAway, clock_ns, kind_of
from proxy.gate.egress import VenueBudget
from proxy.gate.identity import Identity
from proxy.gate.judge import Judge, KeyDisabled
from proxy.gate.recording import Subject, new_decision_id
from proxy.gate.ruling import JudgedRequest, Outcome, Ruling, with_client_ids
from proxy.gate.shared_account import SharedAccount
from proxy.gate.upstream import (
    NotSent,
    OutboundRequest,
    OutcomeUnknown,
    Upstream,
    UpstreamReply,
    VenueSilent,
)
from proxy.gate.window import SendWindow
from proxy.gate.withholding import (
    come_again,
    is_of_the_order,
    not_sent,
    of_its_batch,
    risky_places,
    spending_places,
    stopped,
    withheld_note,
    withholding,
)
from proxy.gate.wording import answer_refused, guard_headers, in_own_words, in_their_places, merged, refusals
from proxy.store.gate_store import RequestReplayed
from proxy.venues.binance import replies
from proxy.venues.binance.client_ids import restore
from proxy.venues.binance.encode import build, encode
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.naming import outward_request
from proxy.venues.binance.rejections import (
    key_disabled,
    malformed,
    replayed,
    unknown_outcome,
)
from proxy.venues.binance.replies import Reply, read_reply
from proxy.venues.binance.requests import VenueRequest
from rules.model import AmendOrder, PlaceOrder

log = logging.getLogger("perpguard.gate")


class OrderDesk:
    """Carries money-moving requests of one venue through the judge and to the venue."""

    def __init__(
        self,
        *,
        desk: str,
        judge: Judge,
        upstream: Upstream,
        hosts: Mapping[str, str],
        now: Callable[[], datetime],
        venue_now: Callable[[], datetime] | None = None,
        shared: SharedAccount | None = None,
        budget: VenueBudget | None = None,
        counting: Counting | None = None,
    ) -> None:
        """Without ``shared`` every call reaches the whole account; without ``budget`` nothing is kept for the kill."""
        self._counting = counting or Counting()
        self._desk = desk
        self._budget = budget
        self._shared = shared
        self._judge = judge
        self._upstream = upstream
        self._hosts = hosts
        self._now = now
        self._venue_now = venue_now or now
        self._unsettled: set[asyncio.Task[None]] = set()

    @property
    def unsettled(self) -> frozenset[asyncio.Task[None]]:
        """The settlements of orders whose bots have their answers already. They end by themselves."""
        return frozenset(self._unsettled)

    async def carry(self, request: VenueRequest, identity: Identity) -> Answer:
        """Judge, send, settle and answer one request. Never raises for trouble outside.

        What comes in and goes out speaks the bot's own client order ids; everything in between, the venue's.
        """
        try:
            request = outward_request(request, identity.tag)
        except MalformedRequest as error:
            return refusal(malformed(error))
        if self._shared is not None and self._shared.concerns(request, identity):
            answer = await self._shared.carry(request, identity, self._carry)
        else:
            answer = await self._carry(request, identity)
        if request.unreadable:
            answer = in_their_places(request, answer)
        body = restore(answer.body, identity.tag)
        return answer if body is answer.body else Answer(status=answer.status, body=body, headers=answer.headers)

    async def _carry(self, request: VenueRequest, identity: Identity, virtual: Virtual | None = None) -> Answer:
        subject = Subject(
            decision_id=new_decision_id(),
            desk=self._desk,
            bot=identity.bot,
            account=identity.account,
            venue=identity.venue,
            key_hint=identity.key_hint,
            route=f"{request.route.method} {request.route.path}",
        )
        judged = JudgedRequest(
            subject=subject,
            guard_key=identity.guard_key,
            kind=kind_of(request.commands),
            commands=with_client_ids(request.commands, subject.decision_id, identity.tag),
            replay_digest=identity.replay_digest,
            replay_window_ms=identity.replay_window_ms,
        )
        try:
            ruling = await self._judge.judge(judged)
        except KeyDisabled:
            self._counting.turned_away(TurnedAway.KEY_DISABLED)
            return refusal(key_disabled())
        except RequestReplayed:
            self._counting.turned_away(TurnedAway.REPLAYED)
            return refusal(replayed())
        return await self._act(request, ruling, identity, virtual)

    async def _act(self, request: VenueRequest, ruling: Ruling, identity: Identity, virtual: Virtual | None) -> Answer:
        # No await lies between this and the send, or others would spend what was still there.
        ruling, retry_after = self._within_budget(request, ruling) if virtual is None else (ruling, {})
        spoiled = risky_places(ruling) if request.unreadable else []
        if spoiled:
            ruling = withholding(ruling, spoiled, of_its_batch())
        self._counting.ruled(ruling.decisions, ruling.withheld)
        note = withheld_note(ruling) if retry_after or spoiled else ""
        return await self._carry_out(request, ruling, identity, virtual, retry_after, note)

    async def _carry_out(
        self,
        request: VenueRequest,
        ruling: Ruling,
        identity: Identity,
        virtual: Virtual | None,
        retry_after: dict[str, str],
        note: str,
    ) -> Answer:
        """Send what was cleared. ``note`` says in the audit what was withheld since the decision was written down."""
        told = in_own_words(ruling, identity.tag)
        refused = refusals(told)
        headers = guard_headers(told) | retry_after
        places = sorted(ruling.cleared)
        if not places:
            if ruling.withheld:
                await self._settle_unsent(ruling, withheld_note(ruling))
            return answer_refused(request, refused, headers)
        sent_at = self._now()
        bounded = ruling.fence is not None and virtual is None
        try:
            window = SendWindow(identity.valid_until_ms if bounded else None, self._venue_now)
            reply = await self._answered(request, ruling, identity, window, virtual)
        except OutcomeUnknown as trouble:
            await self._settle(ruling, Outcome.UNKNOWN, sent_at, [], note=str(trouble))
            return refusal(unknown_outcome(), headers)
        except NotSent as trouble:
            risky = risky_places(ruling)
            if 0 < len(risky) < len(places) and not isinstance(trouble, VenueSilent):
                # Nothing has left. What adds risk stays here; exits and cancels go as they would have alone: through no
                # fence, and by connections of their own.
                kept = withholding(ruling, risky, stopped(trouble))
                return await self._carry_out(request, kept, identity, virtual, retry_after, withheld_note(kept))
            await self._settle_unsent(ruling, str(trouble))
            if is_of_the_order(trouble):
                told = in_own_words(withholding(ruling, places, stopped(trouble)), identity.tag)
                return answer_refused(request, refusals(told), guard_headers(told) | retry_after | come_again(trouble))
            return refusal(not_sent(trouble), headers)
        outcomes = read_reply(request.route, reply.status, reply.body, len(places))
        for place, each in zip(places, outcomes, strict=True):
            self._judge.just_over.told(identity.account, ruling.cleared[place].command, each)
        note = "virtual" if virtual is not None else note
        # Said to the store before the answer is written and before the next hold is asked for; but what the venue has
        # done is done, and the bot need not wait until the store has heard it. Until then all of it stays held.
        signed_ms = window.recv_window_ms if virtual is None else None
        self._leave_behind(self._settle_reply(ruling, places, outcomes, sent_at, reply.status, signed_ms, note))
        if _places_orders(ruling) and all(each.outcome is replies.Outcome.UNKNOWN for each in outcomes):
            # A 5xx of a proxy in between reads like a refusal to some clients; say what is true.
            return refusal(unknown_outcome(), headers)
        return merged(request, reply, places, refused, headers | passed_headers(reply))

    def _within_budget(self, request: VenueRequest, ruling: Ruling) -> tuple[Ruling, dict[str, str]]:
        """The ruling, with what adds risk withheld when the rest of the venue's budget is the kill's; exits go on, and
        cancels unless a kill runs."""
        spending = spending_places(ruling)
        if self._budget is None or not spending:
            return ruling, {}
        refused = self._budget.refusal(ruling.request.subject.account, request.cost(_orders_in(ruling)))
        if refused is None:
            return ruling, {}
        breach, retry_after_s = refused
        return withholding(ruling, spending, breach), {"Retry-After": str(retry_after_s)}

    async def _answered(
        self, request: VenueRequest, ruling: Ruling, identity: Identity, window: SendWindow, virtual: Virtual | None
    ) -> UpstreamReply:
        began_ns = clock_ns()
        try:
            if virtual is not None:
                return await virtual(ruling, identity)
            return await self._send(request, ruling, identity, window)
        finally:
            self._counting.took(ruling.request.kind, Stage.SEND, began_ns, clock_ns())

    async def _send(
        self, request: VenueRequest, ruling: Ruling, identity: Identity, window: SendWindow
    ) -> UpstreamReply:
        route = request.route
        cleared = [ruling.cleared[place] for place in sorted(ruling.cleared)]
        outbound = build(
            route,
            encode(route, cleared),
            secret=identity.exchange_key.api_secret.reveal(),
            timestamp_ms=window.opens_ms,
            recv_window_ms=window.recv_window_ms,
        )
        url = self._hosts[outbound.host] + outbound.path + (f"?{outbound.query}" if outbound.query else "")
        return await self._upstream.send(
            OutboundRequest(
                method=outbound.method,
                url=url,
                body=outbound.body,
                api_key=identity.exchange_key.api_key,
                account=identity.account,
                cost=request.cost(_orders_in(ruling)),
                order=True,
                way_out=ruling.fence is None,
            ),
            window.within(ruling.fence),
        )

    def _settle_reply(
        self,
        ruling: Ruling,
        places: Sequence[int],
        outcomes: Sequence[Reply],
        sent_at: datetime,
        status: int,
        signed_ms: int | None,
        note: str,
    ) -> Coroutine[Any, Any, None]:
        became = dict(zip(places, (each.outcome for each in outcomes), strict=True))
        unknown = [place for place in places if became[place] is replies.Outcome.UNKNOWN]
        accepted = [place for place in places if became[place] is replies.Outcome.ACCEPTED]
        outcome = Outcome.UNKNOWN if unknown else Outcome.ACCEPTED if accepted else Outcome.REJECTED
        items = [
            {
                "place": place,
                "outcome": each.outcome.value,
                "code": each.code,
                "msg": each.msg[:256],
                "order_id": each.order_id,
                "client_order_id": each.client_order_id,
                "status": each.status,
            }
            for place, each in zip(places, outcomes, strict=True)
        ]
        code = outcomes[0].code
        return self._settle(
            ruling,
            outcome,
            sent_at,
            items,
            accepted=accepted,
            unknown=unknown,
            status=status,
            code=code,
            signed_ms=signed_ms,
            note=note,
        )

    async def _settle_unsent(self, ruling: Ruling, note: str) -> None:
        await self._settle(ruling, Outcome.NOT_SENT, self._now(), [], note=note)

    def _settle(
        self,
        ruling: Ruling,
        outcome: Outcome,
        sent_at: datetime,
        items: Sequence[Mapping[str, Any]],
        *,
        accepted: Sequence[int] = (),
        unknown: Sequence[int] | None = None,
        status: int | None = None,
        code: int | None = None,
        signed_ms: int | None = None,
        note: str = "",
    ) -> Coroutine[Any, Any, None]:
        """Say at once what became of a ruling's orders; awaited is that it is written down."""
        subject = ruling.request.subject
        record = subject.outcome(
            outcome.value,
            sent_at=sent_at,
            answered_at=self._now(),
            http_status=status,
            venue_code=code,
            recv_window_ms=signed_ms,
            items=items if not note else [*items, {"note": note}],
        )
        began_ns = clock_ns()
        settling = self._judge.settle(ruling, outcome, accepted, record, unknown=unknown)
        self._counting.settled(subject.account, subject.bot, ruling.cleared, outcome.value, items)
        return self._settled(settling, ruling.request.kind, began_ns)

    async def _settled(self, settling: Coroutine[Any, Any, None], kind: Kind, began_ns: int) -> None:
        await settling
        self._counting.took(kind, Stage.SETTLE, began_ns, clock_ns())

    def _leave_behind(self, settling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(settling)
        self._unsettled.add(task)
        task.add_done_callback(self._left_behind)

    def _left_behind(self, task: asyncio.Task[None]) -> None:
        self._unsettled.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("an outcome was not written down; its hold stays until the venue has been asked", exc_info=bug)


def _places_orders(ruling: Ruling) -> bool:
    return _orders_in(ruling) > 0


def _orders_in(ruling: Ruling) -> int:
    """How many orders would be placed or amended: what the venue counts against the account."""
    return sum(isinstance(each.command, PlaceOrder | AmendOrder) for each in ruling.cleared.values())
