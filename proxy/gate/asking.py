"""What the one round trip asks of the store for a request: whom to check, what to count, what to reserve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from proxy.gate.ruling import JudgedRequest
from proxy.store.view import Bucket, HoldRequest
from rules.decision import Enforcement
from rules.exposure import held_order
from rules.flow.message_rate import Cancels, MessageRate
from rules.intent import intent_of
from rules.model import Intent
from rules.policy import Policy
from rules.snapshot import HeldOrder, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a request is before it is judged: the intent of every command, and by place what there is to hold."""

    intents: tuple[Intent, ...]
    held: dict[int, HeldOrder]

    @property
    def risky(self) -> bool:
        """Whether anything of it may add risk."""
        return any(intent.adds_risk for intent in self.intents)


def read_off(request: JudgedRequest, known: Snapshot) -> Reading:
    """Read a request off the last known picture, which an amend needs; the decision re-reads it off the new one."""
    return Reading(
        intents=tuple(intent_of(command, known) for command in request.commands),
        held={
            place: order
            for place, command in enumerate(request.commands)
            if (order := held_order(command, known)) is not None
        },
    )


def hold_request(request: JudgedRequest, reading: Reading, policy: Policy, at: datetime) -> HoldRequest:
    """The question under ``policy``, which says what is counted and how far to look back."""
    subject = request.subject
    return HoldRequest(
        hold_id=subject.decision_id,
        account=subject.account,
        venue=subject.venue,
        bot=subject.bot,
        guard_key=request.guard_key,
        orders=tuple(reading.held.values()),
        reserve=bool(reading.held),
        buckets=_buckets(request, reading.intents, policy),
        attempts_window_s=policy.attempts_window_s,
        write_ahead=subject.intent(at, request.commands),
        replay_digest=request.replay_digest,
        # Cancels and exits may be repeated to the byte: real clients re-send them when a connection dies.
        replay_window_ms=request.replay_window_ms if reading.risky else 0,
    )


def _buckets(request: JudgedRequest, intents: Sequence[Intent], policy: Policy) -> tuple[Bucket, ...]:
    """The buckets the request's messages are counted in, each with how many of them."""
    subject = request.subject
    buckets: dict[str, Bucket] = {}
    for command, intent in zip(request.commands, intents, strict=True):
        rules = policy.rules_for(account=subject.account, bot=subject.bot, symbol=getattr(command, "symbol", None))
        for rule in rules:
            if isinstance(rule, MessageRate):
                allowed, adds_risk = rule.allowance(command), intent.adds_risk
                refuses = rule.enforcement is Enforcement.ENFORCE
                fresh = Bucket(allowed.scope, allowed.per_second, allowed.burst, rule.tighten, refuses=refuses)
                bucket = buckets.get(allowed.scope, fresh)
                buckets[allowed.scope] = replace(
                    bucket,
                    spend=bucket.spend + adds_risk,
                    drain=bucket.drain + (not adds_risk and rule.cancels is Cancels.COUNTED),
                )
    return tuple(buckets.values())
