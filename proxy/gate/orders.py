"""From a ruling to the bot's answer: send what was cleared, settle what is known, answer in the venue's dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from proxy.clock import milliseconds
from proxy.gate.answers import TRIMMED, Answer, Virtual, passed_headers, refusal
from proxy.gate.egress import VenueBudget
from proxy.gate.identity import Identity
from proxy.gate.judge import Judge, KeyDisabled
from proxy.gate.recording import Subject, new_decision_id
from proxy.gate.ruling import JudgedRequest, Outcome, Ruling, with_client_ids
from proxy.gate.shared_account import SharedAccount
from proxy.gate.upstream import FenceClosed, NotSent, OutboundRequest, OutcomeUnknown, Upstream, UpstreamReply
from proxy.store.gate_store import RequestReplayed
from proxy.venues.binance import replies
from proxy.venues.binance.client_ids import restore, reworded
from proxy.venues.binance.encode import build, encode
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.naming import outward_request
from proxy.venues.binance.rejections import (
    Rejection,
    batch_body,
    cannot_judge,
    for_breach,
    key_disabled,
    malformed,
    replayed,
    unknown_outcome,
)
from proxy.venues.binance.replies import Reply, read_reply, split_entries
from proxy.venues.binance.requests import VenueRequest
from proxy.venues.binance.values import plain
from rules.decision import Breach, Decision, Verdict
from rules.model import AmendOrder, PlaceOrder


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
    ) -> None:
        """Without ``shared`` every call reaches the whole account; without ``budget`` nothing is kept for the kill."""
        self._desk = desk
        self._budget = budget
        self._shared = shared
        self._judge = judge
        self._upstream = upstream
        self._hosts = hosts
        self._now = now
        self._venue_now = venue_now or now

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
        return replace(answer, body=restore(answer.body, identity.tag))

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
            commands=with_client_ids(request.commands, subject.decision_id, identity.tag),
            replay_digest=identity.replay_digest,
            replay_window_ms=identity.replay_window_ms,
        )
        try:
            ruling = await self._judge.judge(judged)
        except KeyDisabled:
            return refusal(key_disabled())
        except RequestReplayed:
            return refusal(replayed())
        return await self._act(request, ruling, identity, virtual)

    async def _act(self, request: VenueRequest, ruling: Ruling, identity: Identity, virtual: Virtual | None) -> Answer:
        # No await lies between this and the send, or others would spend what was still there.
        ruling, retry_after = self._within_budget(request, ruling) if virtual is None else (ruling, {})
        told = _in_own_words(ruling, identity.tag)
        refused = _refusals(told)
        headers = _guard_headers(told) | retry_after
        places = sorted(ruling.cleared)
        if not places:
            if ruling.withheld:
                await self._settle_unsent(ruling, _withheld_note(ruling))
            return _answer_refused(request, refused, headers)
        sent_at = self._now()
        try:
            if virtual is not None:
                reply = await virtual(ruling, identity)
            else:
                reply = await self._send(request, ruling, identity)
        except OutcomeUnknown as trouble:
            await self._settle(ruling, Outcome.UNKNOWN, sent_at, [], note=str(trouble))
            return refusal(unknown_outcome(), headers)
        except NotSent as trouble:
            await self._settle_unsent(ruling, str(trouble))
            return refusal(_not_sent(trouble), headers)
        outcomes = read_reply(request.route, reply.status, reply.body, len(places))
        note = "virtual" if virtual is not None else _withheld_note(ruling) if retry_after else ""
        await self._settle_reply(ruling, places, outcomes, sent_at, reply.status, note)
        if _places_orders(ruling) and all(each.outcome is replies.Outcome.UNKNOWN for each in outcomes):
            # A 5xx of a proxy in between reads like a refusal to some clients; say what is true.
            return refusal(unknown_outcome(), headers)
        return _answer(request, reply, places, refused, headers | passed_headers(reply))

    def _within_budget(self, request: VenueRequest, ruling: Ruling) -> tuple[Ruling, dict[str, str]]:
        """The ruling, with what adds risk withheld when the rest of the venue's budget is the kill's; exits go on."""
        risky = [place for place in ruling.cleared if ruling.decisions[place].intent.adds_risk]
        if self._budget is None or not risky:
            return ruling, {}
        refused = self._budget.refusal(ruling.request.subject.account, request.cost(_orders_in(ruling)))
        if refused is None:
            return ruling, {}
        breach, retry_after_s = refused
        kept = replace(
            ruling,
            cleared={place: each for place, each in ruling.cleared.items() if place not in risky},
            withheld=ruling.withheld | dict.fromkeys(risky, breach),
            held={place: each for place, each in ruling.held.items() if place not in risky},
            fence=None,
        )
        return kept, {"Retry-After": str(retry_after_s)}

    async def _send(self, request: VenueRequest, ruling: Ruling, identity: Identity) -> UpstreamReply:
        route = request.route
        cleared = [ruling.cleared[place] for place in sorted(ruling.cleared)]
        outbound = build(
            route,
            encode(route, cleared),
            secret=identity.exchange_key.api_secret.reveal(),
            timestamp_ms=milliseconds(self._venue_now()),
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
                way_out=ruling.fence is None,
            ),
            ruling.fence,
        )

    async def _settle_reply(
        self,
        ruling: Ruling,
        places: Sequence[int],
        outcomes: Sequence[Reply],
        sent_at: datetime,
        status: int,
        note: str,
    ) -> None:
        unknown = any(each.outcome is replies.Outcome.UNKNOWN for each in outcomes)
        accepted = [
            place for place, each in zip(places, outcomes, strict=True) if each.outcome is replies.Outcome.ACCEPTED
        ]
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
        await self._settle(ruling, outcome, sent_at, items, accepted=accepted, status=status, code=code, note=note)

    async def _settle_unsent(self, ruling: Ruling, note: str) -> None:
        await self._settle(ruling, Outcome.NOT_SENT, self._now(), [], note=note)

    async def _settle(
        self,
        ruling: Ruling,
        outcome: Outcome,
        sent_at: datetime,
        items: Sequence[Mapping[str, Any]],
        *,
        accepted: Sequence[int] = (),
        status: int | None = None,
        code: int | None = None,
        note: str = "",
    ) -> None:
        record = ruling.request.subject.outcome(
            outcome.value,
            sent_at=sent_at,
            answered_at=self._now(),
            http_status=status,
            venue_code=code,
            items=items if not note else [*items, {"note": note}],
        )
        await self._judge.settle(ruling, outcome, accepted, record)


def _withheld_note(ruling: Ruling) -> str:
    """For the audit: the decision on these was written down before they were withheld."""
    return "withheld: " + ", ".join(f"{place} {breach.code}" for place, breach in sorted(ruling.withheld.items()))


def _places_orders(ruling: Ruling) -> bool:
    return _orders_in(ruling) > 0


def _orders_in(ruling: Ruling) -> int:
    """How many orders would be placed or amended: what the venue counts against the account."""
    return sum(isinstance(each.command, PlaceOrder | AmendOrder) for each in ruling.cleared.values())


def _in_own_words(ruling: Ruling, tag: str) -> Ruling:
    """The ruling as the bot is told it: what names an order of the bot names it by the bot's own id.

    The records for the audit are in the ruling already, with the ids as they were judged.
    """

    def own(breach: Breach) -> Breach:
        return replace(
            breach,
            message=reworded(breach.message, tag),
            observed=reworded(breach.observed, tag),
            advice=reworded(breach.advice, tag),
        )

    decisions = tuple(
        replace(each, breaches=tuple(own(breach) for breach in each.breaches)) for each in ruling.decisions
    )
    return replace(ruling, decisions=decisions, withheld={place: own(each) for place, each in ruling.withheld.items()})


def _refusals(ruling: Ruling) -> dict[int, Rejection]:
    refused = {
        place: for_breach(decision.breaches[0], decision.headroom)
        for place, decision in enumerate(ruling.decisions)
        if decision.verdict is Verdict.DENY
    }
    return refused | {place: for_breach(breach) for place, breach in ruling.withheld.items()}


def _guard_headers(ruling: Ruling) -> dict[str, str]:
    """What the guard says about a request, for whoever reads headers. The first refused item stands for a batch."""
    headers = {"X-Guard-Decision": ruling.request.subject.decision_id}
    denied = next((d for d in ruling.decisions if d.verdict is Verdict.DENY), None)
    breach = denied.breaches[0] if denied is not None else next(iter(ruling.withheld.values()), None)
    headers["X-Guard-Verdict"] = Verdict.ALLOW.value if breach is None else Verdict.DENY.value
    if breach is not None:
        headers |= _breach_headers(breach, denied)
    for place, (decision, command) in enumerate(_pairs(ruling)):
        if place in ruling.withheld:
            continue
        asked, sent = decision.trimmed_from, getattr(decision.effective, "quantity", None)
        if asked is not None and sent is not None:
            headers[TRIMMED] = f"{plain(asked)} -> {plain(sent)}"
        elif decision.effective != command:
            headers["X-Guard-Forced"] = "reduceOnly=true"
        if decision.overrides:
            headers["X-Guard-Override"] = ",".join(decision.overrides)
    would = sorted({each.code for decision in ruling.decisions for each in decision.would_deny})
    if would:
        headers["X-Guard-Would-Deny"] = ",".join(would)
    return headers


def _pairs(ruling: Ruling) -> zip[tuple[Decision, Any]]:
    return zip(ruling.decisions, ruling.request.commands, strict=True)


def _breach_headers(breach: Breach, denied: Decision | None) -> dict[str, str]:
    headers = {"X-Guard-Rule": breach.rule_id, "X-Guard-Code": breach.code}
    if breach.observed:
        headers["X-Guard-Observed"] = breach.observed
    if breach.limit:
        headers["X-Guard-Limit"] = breach.limit
    headroom = denied.headroom if denied is not None else None
    if headroom is not None:
        headers["X-Guard-Headroom"] = plain(headroom)
    if breach.advice:
        headers["X-Guard-Advice"] = breach.advice
    return headers


def _not_sent(trouble: NotSent) -> Rejection:
    """Nothing left the guard: a refusal that is safe to believe."""
    if isinstance(trouble, FenceClosed):
        return for_breach(Breach(rule_id="kill", code="TRADING_HALTED", message="the kill switch was pressed"))
    return cannot_judge()


def _answer_refused(request: VenueRequest, refused: Mapping[int, Rejection], headers: Mapping[str, str]) -> Answer:
    if request.is_batch:
        entries = [refused[place] for place in sorted(refused)]
        return Answer(status=200, body=batch_body(entries), headers=headers)
    return refusal(refused[0], headers)


def _answer(
    request: VenueRequest,
    reply: UpstreamReply,
    places: Sequence[int],
    refused: Mapping[int, Rejection],
    headers: Mapping[str, str],
) -> Answer:
    """The venue's answer as it came; in a batch its entries take their places beside our refusals."""
    entries = split_entries(reply.body) if refused else None
    if entries is None or len(entries) != len(places):
        return Answer(status=reply.status, body=reply.body, headers=headers)
    taken = dict(zip(places, entries, strict=True))
    merged = [refused[place] if place in refused else taken[place] for place in range(len(request.commands))]
    return Answer(status=reply.status, body=batch_body(merged), headers=headers)
