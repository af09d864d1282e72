"""A ruling as the bot hears it: refusals in the venue's words, headers with the guard's own, the places of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from msgspec import structs

from proxy.gate.answers import TRIMMED, Answer, refusal
from proxy.gate.ruling import Ruling
from proxy.gate.upstream import UpstreamReply
from proxy.venues.binance.client_ids import reworded
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.rejections import Rejection, batch_body, for_breach, malformed
from proxy.venues.binance.replies import split_entries
from proxy.venues.binance.requests import VenueRequest
from proxy.venues.binance.values import plain
from rules.decision import BATCH_REFUSED, Breach, Decision, Verdict
from rules.model import Intent


def in_own_words(ruling: Ruling, tag: str) -> Ruling:
    """The ruling as the bot is told it: what names an order of the bot names it by the bot's own id.

    The records for the audit are in the ruling already, with the ids as they were judged. Nothing is said of most.
    """
    if not ruling.withheld and not any(each.breaches for each in ruling.decisions):
        return ruling

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
    withheld = {place: own(each) for place, each in ruling.withheld.items()}
    return structs.replace(ruling, decisions=decisions, withheld=withheld)


def refusals(ruling: Ruling) -> dict[int, Rejection]:
    """What is said of each command that is not sent, by its place in the request."""
    refused = {
        place: for_breach(_told(decision, batch=_is_batch(ruling)))
        for place, decision in enumerate(ruling.decisions)
        if decision.verdict is Verdict.DENY
    }
    return refused | {place: for_breach(breach) for place, breach in ruling.withheld.items()}


def _told(decision: Decision, *, batch: bool) -> Breach:
    """The breach a bot is told of, of an entry with the size that passes all rules: one rule's own is not that.

    Of a batch no entry is told a size: none is remembered that later pieces could be held to (``anti_slicing``), and
    its entries stand or fall together, so it would hold for this entry beside the others alone.
    """
    first = decision.breaches[0]
    if decision.intent is not Intent.ENTRY:
        return first
    return replace(first, headroom=None if batch else decision.headroom)


def _is_batch(ruling: Ruling) -> bool:
    """Whether several commands came together. A batch of one is judged and remembered as what stands alone."""
    return len(ruling.decisions) > 1


def guard_headers(ruling: Ruling) -> dict[str, str]:
    """What the guard says about a request, for whoever reads headers. The first refused item stands for a batch;
    one that fell only beside others does not say why, so it stands where there is none else."""
    headers = {"X-Guard-Decision": ruling.request.subject.decision_id}
    if _passed_as_asked(ruling):
        headers["X-Guard-Verdict"] = Verdict.ALLOW.value
        return headers
    refused = [d for d in ruling.decisions if d.verdict is Verdict.DENY]
    denied = next((d for d in refused if d.breaches[0].code != BATCH_REFUSED), next(iter(refused), None))
    breach = denied.breaches[0] if denied is not None else next(iter(ruling.withheld.values()), None)
    headers["X-Guard-Verdict"] = Verdict.ALLOW.value if breach is None else Verdict.DENY.value
    if breach is not None:
        headers |= _breach_headers(breach, denied.headroom if denied is not None and not _is_batch(ruling) else None)
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


def _passed_as_asked(ruling: Ruling) -> bool:
    """Whether there is nothing to say of a ruling: all was let pass, by every rule, as it was asked for."""
    return not ruling.withheld and all(
        decision.verdict is Verdict.ALLOW
        and decision.effective is command
        and decision.trimmed_from is None
        and not decision.overrides
        and not decision.would_deny
        for decision, command in _pairs(ruling)
    )


def _pairs(ruling: Ruling) -> zip[tuple[Decision, Any]]:
    return zip(ruling.decisions, ruling.request.commands, strict=True)


def _breach_headers(breach: Breach, headroom: Decimal | None) -> dict[str, str]:
    headers = {"X-Guard-Rule": breach.rule_id, "X-Guard-Code": breach.code}
    if breach.observed:
        headers["X-Guard-Observed"] = breach.observed
    if breach.limit:
        headers["X-Guard-Limit"] = breach.limit
    if headroom is not None:
        headers["X-Guard-Headroom"] = plain(headroom)
    if breach.advice:
        headers["X-Guard-Advice"] = breach.advice
    return headers


def answer_refused(request: VenueRequest, refused: Mapping[int, Rejection], headers: Mapping[str, str]) -> Answer:
    """The answer to a request of which nothing was sent."""
    if request.is_batch:
        entries = [refused[place] for place in sorted(refused)]
        return Answer(status=200, body=batch_body(entries), headers=headers)
    return refusal(refused[0], headers)


def merged(
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
    both = [refused[place] if place in refused else taken[place] for place in range(len(request.commands))]
    return Answer(status=reply.status, body=batch_body(both), headers=headers)


def beside_unreadable(request: VenueRequest, risky: Sequence[int]) -> VenueRequest:
    """A batch of which something cannot be read, without those of its commands that add risk: they stand or fall
    together with it, and are not judged. Exits and cancels go on."""
    fallen = for_breach(
        Breach(
            rule_id="batch",
            code=BATCH_REFUSED,
            message="another entry of this batch cannot be read; what is wrong with it stands in its place",
        )
    )
    kept = [place for place in range(len(request.commands)) if place not in risky]
    places = request.places
    return structs.replace(
        request,
        commands=tuple(request.commands[place] for place in kept),
        unreadable=(
            *request.unreadable,
            *((places[place], MalformedRequest(fallen.code, fallen.msg)) for place in risky),
        ),
    )


def answer_unread(request: VenueRequest) -> Answer:
    """The answer to a batch of which nothing is left to carry."""
    refused = [malformed(error) for _, error in sorted(request.unreadable, key=lambda each: each[0])]
    return Answer(status=200, body=batch_body(refused), headers={"X-Guard-Verdict": Verdict.DENY.value})


def in_their_places(request: VenueRequest, answer: Answer) -> Answer:
    """The answer to a batch, with what was not carried refused where the bot put it. What refuses the whole stays."""
    entries = split_entries(answer.body)
    if entries is None or len(entries) != len(request.commands):
        return answer
    said: dict[int, Rejection | bytes] = dict(zip(request.places, entries, strict=True))
    said |= {place: malformed(error) for place, error in request.unreadable}
    headers = {**answer.headers, "X-Guard-Verdict": Verdict.DENY.value}
    return Answer(status=answer.status, body=batch_body([said[place] for place in sorted(said)]), headers=headers)
