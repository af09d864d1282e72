"""What the one round trip asks of the store for a request: whom to check, what to count, what to reserve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from proxy.gate.ruling import JudgedRequest
from proxy.store.view import Bucket, HoldRequest
from rules.account import HeldOrder
from rules.decision import Enforcement
from rules.exposure import held_order
from rules.flow.message_rate import Cancels
from rules.intent import intent_of
from rules.model import AmendOrder, Intent, symbol_of
from rules.policy import Policy
from rules.snapshot import Controls, Snapshot

_NOTHING_KNOWN: Final = Snapshot(
    now=datetime(1970, 1, 1, tzinfo=UTC), bot="", account=None, controls=Controls(generation=0)
)


class Reading(Struct, frozen=True, kw_only=True):
    """What a request is before it is judged: the intent of every command, and by place what there is to hold."""

    intents: tuple[Intent, ...]
    held: dict[int, HeldOrder]

    @property
    def risky(self) -> bool:
        """Whether anything of it may add risk."""
        return any(intent.adds_risk for intent in self.intents)


def read_off(request: JudgedRequest, known: Callable[[], Snapshot]) -> Reading:
    """Read a request off the last known picture, which an amend needs; the decision re-reads it off the new one.

    ``known`` makes that picture; all other commands say by themselves what they are.
    """
    amends = any(type(command) is AmendOrder for command in request.commands)
    picture = known() if amends else _NOTHING_KNOWN
    return Reading(
        intents=tuple(intent_of(command, picture) for command in request.commands),
        held={
            place: order
            for place, command in enumerate(request.commands)
            if (order := held_order(command, picture)) is not None
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
        bound = policy.bound_to(account=subject.account, bot=subject.bot, symbol=symbol_of(command))
        for rule in bound.rates:
            scope, per_second, burst = rule.allowance(command)
            spend = int(intent.adds_risk)
            drain = int(not spend and rule.cancels is Cancels.COUNTED)
            earlier = buckets.get(scope)
            if earlier is None:
                refuses = rule.enforcement is Enforcement.ENFORCE
                own = rule.level == f"bot:{subject.bot}"
                buckets[scope] = Bucket(scope, per_second, burst, rule.tighten, spend, drain, refuses, own)
            else:
                buckets[scope] = replace(earlier, spend=earlier.spend + spend, drain=earlier.drain + drain)
    return tuple(buckets.values())
