"""From a ruling to the bot's answer: send what was cleared, settle what is known, answer in the venue's dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, structs

from proxy.audit.recording import Subject, new_decision_id
from proxy.gate.answers import Answer, Virtual, passed_headers, refusal
from proxy.gate.counting import Counting, Stage, TurnedAway, clock_ns, kind_of
from proxy.gate.egress import VenueBudget
from proxy.gate.identity import Identity
from proxy.gate.judge import Judge
from proxy.gate.ruling import JudgedRequest, Ruling, with_client_ids
from proxy.gate.settlement import Settlement
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
    risky_places,
    spending_places,
    stopped,
    withheld_note,
    withholding,
)
from proxy.gate.wording import (
    answer_refused,
    answer_unread,
    beside_unreadable,
    guard_headers,
    in_own_words,
    in_their_places,
    merged,
    refusals,
)
from proxy.store.trouble import KeyDisabled, RequestReplayed
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
from proxy.venues.binance.replies import Reported, read_reply
from proxy.venues.binance.requests import VenueRequest
from rules.decision import Breach
from rules.kill.budget import Spend
from rules.model import ENTRY


class Errand(Struct, frozen=True, kw_only=True):
    """What is to be carried out: a bot's request, and the ruling on it.

    ``cost`` is what that takes of the venue's budget, ``None`` at a host of another one. ``virtual`` stands in for
    sending. ``retry_after`` is told where the rest of the venue's budget is the kill's; ``note`` says in the audit what
    was withheld since the decision was written down.
    """

    request: VenueRequest
    identity: Identity
    ruling: Ruling
    cost: Spend | None
    virtual: Virtual | None = None
    retry_after: dict[str, str] = {}
    note: str = ""

    def keeping(self, places: Sequence[int], breach: Breach) -> Errand:
        """The same without these, which stay here after all."""
        kept = withholding(self.ruling, places, breach)
        return structs.replace(self, ruling=kept, cost=_cost(self.request, kept), note=withheld_note(kept))


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
        venue_now: Callable[[], datetime],
        shared: SharedAccount,
        budget: VenueBudget,
        counting: Counting,
    ) -> None:
        self._counting = counting
        self._desk = desk
        self._budget = budget
        self._shared = shared
        self._judge = judge
        self._upstream = upstream
        self._hosts = hosts
        self._now = now
        self._venue_now = venue_now
        self._settlement = Settlement(judge=judge, counting=self._counting, now=now)

    @property
    def unsettled(self) -> frozenset[asyncio.Task[None]]:
        """The settlements of orders whose bots have their answers already. They end by themselves."""
        return self._settlement.left

    async def carry(self, request: VenueRequest, identity: Identity) -> Answer:
        """Judge, send, settle and answer one request. Never raises for trouble outside.

        What comes in and goes out speaks the bot's own client order ids; everything in between, the venue's.
        """
        try:
            request = outward_request(request, identity.tag)
        except MalformedRequest as error:
            return refusal(malformed(error))
        if self._shared.concerns(request, identity):
            answer = await self._shared.carry(request, identity, self._carry)
        else:
            answer = await self._carry(request, identity)
        body = restore(answer.body, identity.tag)
        return answer if body is answer.body else Answer(status=answer.status, body=body, headers=answer.headers)

    async def _carry(self, request: VenueRequest, identity: Identity, virtual: Virtual | None = None) -> Answer:
        judged = self._to_judge(request, identity)
        if request.unreadable and (risky := await self._judge.risky(judged)):
            request = beside_unreadable(request, risky)
            judged = self._to_judge(request, identity)
        if not request.commands:
            self._counting.turned_away(TurnedAway.MALFORMED)
            return answer_unread(request)
        try:
            ruling = await self._judge.judge(judged)
        except KeyDisabled:
            self._counting.turned_away(TurnedAway.KEY_DISABLED)
            return refusal(key_disabled())
        except RequestReplayed:
            self._counting.turned_away(TurnedAway.REPLAYED)
            return refusal(replayed())
        errand = Errand(request=request, identity=identity, ruling=ruling, cost=_cost(request, ruling), virtual=virtual)
        if virtual is None:
            # No await lies between this and the send, or others would spend what was still there.
            errand = self._within_budget(errand)
        self._counting.ruled(errand.ruling.decisions, errand.ruling.withheld)
        answer = await self._carry_out(errand)
        return in_their_places(request, answer) if request.unreadable else answer

    def _to_judge(self, request: VenueRequest, identity: Identity) -> JudgedRequest:
        subject = Subject(
            decision_id=new_decision_id(),
            desk=self._desk,
            bot=identity.bot,
            account=identity.account,
            venue=identity.venue,
            key_hint=identity.key_hint,
            route=f"{request.route.method} {request.route.path}",
        )
        return JudgedRequest(
            subject=subject,
            guard_key=identity.guard_key,
            kind=kind_of(request.commands),
            commands=with_client_ids(request.commands, subject.decision_id, identity.tag),
            replay_digest=identity.replay_digest,
            replay_window_ms=identity.replay_window_ms,
        )

    async def _carry_out(self, errand: Errand) -> Answer:
        """Send what was cleared, and answer."""
        request, ruling, identity = errand.request, errand.ruling, errand.identity
        told = in_own_words(ruling, identity.tag)
        refused = refusals(told)
        headers = guard_headers(told) | errand.retry_after
        places = sorted(ruling.cleared)
        if not places:
            if ruling.withheld:
                await self._settlement.unsent(ruling, withheld_note(ruling))
            return answer_refused(request, refused, headers)
        sent_at = self._now()
        bounded = ruling.fence is not None and errand.virtual is None
        try:
            window = SendWindow(identity.valid_until_ms if bounded else None, self._venue_now)
            reply = await self._answered(errand, window)
        except OutcomeUnknown as trouble:
            await self._settlement.unknown(ruling, sent_at, str(trouble))
            return refusal(unknown_outcome(), headers)
        except NotSent as trouble:
            return await self._not_sent(errand, trouble, headers)
        outcomes = read_reply(request.route, reply.status, reply.body, len(places))
        # Said to the store before the answer is written and before the next hold is asked for; but what the venue has
        # done is done, and the bot need not wait until the store has heard it. Until then all of it stays held.
        self._settlement.replied(
            ruling,
            dict(zip(places, outcomes, strict=True)),
            sent_at=sent_at,
            status=reply.status,
            signed_ms=window.recv_window_ms if errand.virtual is None else None,
            note="virtual" if errand.virtual is not None else errand.note,
        )
        if all(each.outcome is Reported.UNKNOWN for each in outcomes) and _orders_in(ruling):
            # A 5xx of a proxy in between reads like a refusal to some clients; say what is true.
            return refusal(unknown_outcome(), headers)
        return merged(request, reply, places, refused, headers | passed_headers(reply))

    async def _not_sent(self, errand: Errand, trouble: NotSent, headers: Mapping[str, str]) -> Answer:
        """Nothing has left."""
        ruling, identity = errand.ruling, errand.identity
        risky = risky_places(ruling)
        if 0 < len(risky) < len(ruling.cleared) and not isinstance(trouble, VenueSilent):
            # What adds risk stays here; exits and cancels go as they would have alone: through no fence, and by
            # connections of their own.
            return await self._carry_out(errand.keeping(risky, stopped(trouble)))
        await self._settlement.unsent(ruling, str(trouble))
        if is_of_the_order(trouble):
            told = in_own_words(withholding(ruling, list(ruling.cleared), stopped(trouble)), identity.tag)
            headers = guard_headers(told) | errand.retry_after | come_again(trouble)
            return answer_refused(errand.request, refusals(told), headers)
        return refusal(not_sent(trouble), headers)

    def _within_budget(self, errand: Errand) -> Errand:
        """The errand without what adds risk, when the rest of the venue's budget is the kill's; exits go on, and
        cancels unless a kill runs."""
        spending = spending_places(errand.ruling)
        if not spending:
            return errand
        refused = self._budget.refusal(errand.identity.account, errand.cost)
        if refused is None:
            return errand
        breach, retry_after_s = refused
        return structs.replace(errand.keeping(spending, breach), retry_after={"Retry-After": str(retry_after_s)})

    async def _answered(self, errand: Errand, window: SendWindow) -> UpstreamReply:
        began_ns = clock_ns()
        try:
            if errand.virtual is not None:
                return await errand.virtual(errand.ruling, errand.identity)
            return await self._send(errand, window)
        finally:
            self._counting.took(errand.ruling.request.kind, Stage.SEND, began_ns, clock_ns())

    async def _send(self, errand: Errand, window: SendWindow) -> UpstreamReply:
        route, ruling, identity = errand.request.route, errand.ruling, errand.identity
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
                cost=errand.cost,
                order=True,
                way_out=ruling.fence is None,
            ),
            window.within(ruling.fence),
        )


def _cost(request: VenueRequest, ruling: Ruling) -> Spend | None:
    return request.cost(_orders_in(ruling))


def _orders_in(ruling: Ruling) -> int:
    """How many orders would be placed or amended: what the venue counts against the account."""
    return sum(isinstance(each.command, ENTRY) for each in ruling.cleared.values())
