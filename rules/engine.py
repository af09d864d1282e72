"""decide(): one command, one snapshot, one policy, one decision. Pure: the audit replays it years later.

Gates first, then every rule; the first enforced breach is what the bot is told, all of them are kept. Then what may
still let the order go is looked at: leave to pass the rules that refused it, or a smaller size.

Decimals are computed in a context of its own: a library in the same process (ccxt) changes what the process's rounds
by, and an audit is replayed in another process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from functools import partial
from typing import Final

from rules.decision import _SEAL, Cleared, Decision, Enforcement, Verdict
from rules.headroom import forced, overall_headroom, with_headroom
from rules.intent import intent_of
from rules.model import ENTRY, ZERO, Command, Intent, PlaceOrder, symbol_of
from rules.objections import RULE_FAILED, Objections, objections, ownership_objections
from rules.overrides import overrides_for
from rules.policy import Bound, Policy
from rules.ramp import WHOLE
from rules.resize import may_be_trimmed, trims
from rules.rule import show_percent
from rules.sequence import after, fell_together
from rules.snapshot import Controls, Snapshot

# Entered as it is: a copy of it, as ``localcontext`` makes, takes longer than a rule. Only its flags ever change, and
# nobody reads them.
_ARITHMETIC: Final = Context(
    prec=28,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[InvalidOperation, DivisionByZero, Overflow],
)


def decide(command: Command, snapshot: Snapshot, policy: Policy) -> Decision:
    """Judge one command that stands alone. Never raises: a rule that fails becomes a breach that refuses.

    Only a command that stands alone may use an override or be sized down; the entries of a batch are as they are.
    """
    before = getcontext()
    setcontext(_ARITHMETIC)
    try:
        return _decide(command, snapshot, policy)
    finally:
        setcontext(before)


def _decide(command: Command, snapshot: Snapshot, policy: Policy) -> Decision:
    bound = _bound(command, snapshot, policy)
    decision = _judge(command, snapshot, policy, bound)
    if decision.verdict is Verdict.ALLOW or not isinstance(command, PlaceOrder):
        return decision
    return _overridden(decision, command, snapshot) or _trimmed(decision, command, snapshot, policy, bound) or decision


def decide_batch(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> tuple[Decision, ...]:
    """Judge commands in sequence, each on a snapshot that holds the earlier ones.

    Entries stand or fall together: if one is refused, all are. Exits and cancels go in any case. A batch of one is a
    command that stands alone.
    """
    before = getcontext()
    setcontext(_ARITHMETIC)
    try:
        if len(commands) == 1:
            return (_decide(commands[0], snapshot, policy),)
        return _decide_batch(commands, snapshot, policy)
    finally:
        setcontext(before)


def _decide_batch(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> tuple[Decision, ...]:
    running = replace(snapshot, overrides=()) if snapshot.overrides else snapshot
    decisions = _in_sequence(commands, running, policy)
    refused = [d for d in decisions if d.intent is Intent.ENTRY and d.verdict is Verdict.DENY]
    if not refused:
        return tuple(decisions)
    first = refused[0].breaches[0]
    fallen = {place for place, each in enumerate(decisions) if each.intent is Intent.ENTRY}
    # No exit counts on an entry that stays here: what goes is judged once more without them.
    stays = [place for place in range(len(commands)) if place not in fallen]
    again = dict(zip(stays, _in_sequence([commands[place] for place in stays], running, policy), strict=True))
    return tuple(
        fell_together(each, first) if each.intent is Intent.ENTRY and each.verdict is Verdict.ALLOW else each
        for each in (again.get(place, decision) for place, decision in enumerate(decisions))
    )


def _in_sequence(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> list[Decision]:
    decisions: list[Decision] = []
    for command in commands:
        bound = _bound(command, snapshot, policy)
        decision = _judge(command, snapshot, policy, bound)
        decisions.append(decision)
        snapshot = after(decision, snapshot, bound)
    return decisions


def intents(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> tuple[Intent, ...]:
    """What each command by itself would do to risk, with the flag that a rule puts on it. Nothing is judged."""
    return tuple(
        intent_of(forced(command, snapshot, _bound(command, snapshot, policy)), snapshot) for command in commands
    )


def clear(decision: Decision) -> Cleared[Command]:
    """The clearance an upstream sender demands. Raises ``ValueError`` for a refused command."""
    if decision.verdict is not Verdict.ALLOW:
        raise ValueError("a refused command is never cleared")
    return Cleared(decision.effective, _SEAL)


def _bound(command: Command, snapshot: Snapshot, policy: Policy) -> Bound:
    bound_to = partial(
        policy.bound_to,
        account=snapshot.account.name if snapshot.account is not None else None,
        bot=snapshot.bot,
        symbol=symbol_of(command),
    )
    try:
        return bound_to(ramp=_ramp(snapshot))
    except Exception as error:  # Law 4: a rule that its own limits break refuses new risk, never the way out.
        return bound_to().failing(error)


def _judge(command: Command, snapshot: Snapshot, policy: Policy, bound: Bound) -> Decision:
    """What the rules alone make of a command, each enforced breach a refusal."""
    effective = forced(command, snapshot, bound)
    intent = intent_of(effective, snapshot)
    if intent is Intent.CANCEL:
        found = Objections(ownership_objections(effective, snapshot, bound))
    else:
        found = objections(effective, intent, snapshot, bound)
    account = snapshot.account
    if not found.breaches:  # Most orders.
        return Decision(
            verdict=Verdict.ALLOW,
            intent=intent,
            effective=effective,
            policy_version=policy.version,
            snapshot_version=account.version if account is not None else None,
            advice=_flagged(effective, command),
            measures=found.measures,
        )
    breaches = with_headroom(found.breaches, found.asked, effective, snapshot)
    enforced = tuple(breach for breach in breaches if breach.enforcement is Enforcement.ENFORCE)
    headroom = None
    if enforced and intent is Intent.ENTRY and isinstance(effective, ENTRY):
        headroom = overall_headroom(effective, enforced, snapshot, bound, leave=True)
    return Decision(
        verdict=Verdict.DENY if enforced else Verdict.ALLOW,
        intent=intent,
        effective=effective,
        policy_version=policy.version,
        snapshot_version=account.version if account is not None else None,
        breaches=enforced,
        would_deny=tuple(breach for breach in breaches if breach.enforcement is Enforcement.REPORT),
        advice=(
            *_flagged(effective, command),
            *(breach.advice for breach in enforced if breach.advice),
            *(_ramping(snapshot) if enforced and intent is Intent.ENTRY else ()),
        ),
        headroom=headroom,
        measures=found.measures,
    )


def _ramp(snapshot: Snapshot) -> Decimal:
    """What limits of size are at after a re-arm; nothing where a picture is broken, for nothing here may raise."""
    controls: Controls | None = snapshot.controls
    return ZERO if controls is None else controls.ramp


def _ramping(snapshot: Snapshot) -> tuple[str, ...]:
    """What a bot should know of a limit that is not the one it was told of."""
    ramp = _ramp(snapshot)
    return () if ramp == WHOLE else (f"limits of size are at {show_percent(ramp)} after a re-arm, and growing",)


def _flagged(effective: Command, command: Command) -> tuple[str, ...]:
    return () if effective is command else ("reduce-only flag added by the guard",)


def _overridden(decision: Decision, asked: PlaceOrder, snapshot: Snapshot) -> Decision | None:
    """The refused order let pass, when there is leave for every rule that refused it; otherwise ``None``."""
    order = decision.effective
    if not snapshot.overrides or not isinstance(order, PlaceOrder):
        return None
    leave = overrides_for(decision.breaches, order, snapshot)
    if leave is None:
        return None
    return replace(
        decision,
        verdict=Verdict.ALLOW,
        breaches=(),
        overridden=decision.breaches,
        overrides=tuple(override.override_id for override in leave),
        advice=_flagged(order, asked),
        headroom=None,
    )


def _trimmed(
    decision: Decision, asked: PlaceOrder, snapshot: Snapshot, policy: Policy, bound: Bound
) -> Decision | None:
    """The refused order at the largest size that passes, when the bot wants that and size is all there is to it.

    What is sent passes every rule by itself: an override is for an order as it was asked for. ``None``: refused.
    """
    if decision.intent is not Intent.ENTRY or not may_be_trimmed(asked) or not trims(policy.resizes, snapshot.bot):
        return None
    sized = {(rule.rule_id, rule.level) for rule, _, _ in bound.for_entries if rule.sized}
    if any((each.rule_id, each.level) not in sized or each.code == RULE_FAILED for each in decision.breaches):
        return None
    largest = overall_headroom(asked, decision.breaches, snapshot, bound, leave=False)
    if not largest:
        return None
    again = _judge(replace(asked, quantity=largest), snapshot, policy, bound)
    assert again.verdict is Verdict.ALLOW, "the headroom did not pass"  # noqa: S101 - an argument of safety
    return replace(again, trimmed_from=asked.quantity, trimmed_by=decision.breaches)
