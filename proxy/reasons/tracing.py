"""Every rule of one decision, in order of precedence: what it answered, what it saw, and how much it would allow. Pure.

A rule that passed says no number by itself. One that depends on size is therefore asked at the largest order the venue
takes: what it allows then is its headroom, searched by the engine with the rule alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from proxy.policy.wording import settings_of
from proxy.reasons.left_out import RuleName, name_of
from proxy.reasons.watched import Watched, decide_watched
from rules.catalog import EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.decision import BATCH_REFUSED, Breach, Decision, Enforcement, Measure, Verdict
from rules.engine import decide
from rules.model import ENTRY, AmendOrder, Command, Intent, PlaceOrder
from rules.policy import Policy
from rules.rule import Rule
from rules.snapshot import Snapshot


class Answer(StrEnum):
    """What a rule said. REPORTED: in report mode, it would have refused. OVERRIDDEN: it refused, and there was leave.
    TRIMMED: it refused the size asked for, and a smaller order was sent. NOT_ASKED: nothing of its kind was at stake.
    """

    PASSED = "passed"
    DENIED = "denied"
    REPORTED = "would have denied"
    OVERRIDDEN = "overridden"
    TRIMMED = "trimmed"
    NOT_ASKED = "not applicable"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule's part. ``settings`` are the numbers an operator wrote, ``measures`` what the rule recorded.

    ``headroom`` is the largest quantity (base units) it alone would allow, ``None`` where size is not the matter.
    """

    rule: str
    level: str
    answer: Answer
    enforcement: Enforcement
    code: str = ""
    message: str = ""
    observed: str = ""
    limit: str = ""
    headroom: Decimal | None = None
    advice: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One command: its verdict, the rule that decided (empty when none refused), and every rule that was bound to it.

    ``largest`` is the largest size that would have passed everything, whatever was asked for; zero when none would,
    ``None`` for a command without a size, and where a rule that names none stands in its way. ``trimmed_to`` is what
    was sent of an order that was sized down. ``elsewhere`` counts rules of other bots, accounts and symbols.
    """

    verdict: Verdict
    intent: Intent
    code: str
    rule: str
    headroom: Decimal | None
    largest: Decimal | None
    trimmed_to: Decimal | None
    advice: tuple[str, ...]
    policy_version: str
    rules: tuple[RuleResult, ...]
    elsewhere: int


def traced(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> tuple[Trace, ...]:
    """Decide ``commands`` as the engine does, and tell of each which rule said what."""
    return tuple(_trace(each, policy) for each in decide_watched(commands, snapshot, policy))


def largest_passing(command: Command, snapshot: Snapshot, policy: Policy) -> Decimal | None:
    """The largest quantity of ``command`` that ``policy`` allows on this picture; ``None`` where size is not the
    matter, a rule that names none refuses, or the contract's listing is not known."""
    if not isinstance(command, ENTRY) or command.quantity is None:
        return None
    instrument = snapshot.instruments.get(command.symbol)
    if instrument is None:
        return None
    market = isinstance(command, PlaceOrder) and command.order_type.is_market
    most = instrument.market_quantity_max if market else instrument.quantity_max
    if most <= 0:
        return None
    decision = decide(replace(command, quantity=instrument.floor_quantity(most, market=market)), snapshot, policy)
    return _quantity(decision.effective) if decision.verdict is Verdict.ALLOW else decision.headroom


def _trace(seen: Watched, policy: Policy) -> Trace:
    decision = seen.decision
    first = decision.breaches[0] if decision.breaches else None
    return Trace(
        verdict=decision.verdict,
        intent=decision.intent,
        code=first.code if first is not None else "",
        rule=first.rule_id if first is not None else "",
        headroom=decision.headroom,
        largest=largest_passing(seen.command, seen.snapshot, policy),
        trimmed_to=_quantity(decision.effective) if decision.trimmed_from is not None else None,
        advice=decision.advice,
        policy_version=decision.policy_version,
        rules=(*_results(seen, policy), *_switched_off(seen, policy)),
        elsewhere=len(policy.rules) - sum(_concerns(rule, seen) for rule in policy.rules),
    )


def _results(seen: Watched, policy: Policy) -> Iterator[RuleResult]:
    """The rules bound to the command. An own rule is found in ``policy`` as it was written: before any ramp."""
    objections = _objections(seen.decision)
    written = {name_of(rule): rule for rule in policy.rules}
    gate_refused = any(rule_id in _GATE_IDS for rule_id, _ in objections) and seen.decision.verdict is Verdict.DENY
    for rule in seen.bound.rules:
        answer, breach = objections.get(name_of(rule), (Answer.PASSED, None))
        if breach is None and not _was_asked(rule, seen):
            yield _result(rule, Answer.NOT_ASKED, seen, message=_why_not(seen.decision.intent, gate_refused))
        elif breach is None:
            yield _result(rule, answer, seen, headroom=_room(written[name_of(rule)], seen, policy))
        else:
            yield _result(rule, answer, seen, breach=breach, headroom=breach.headroom)


_GATE_IDS: Final = frozenset(rule.rule_id for rule in GATES)


def _objections(decision: Decision) -> Mapping[RuleName, tuple[Answer, Breach]]:
    said = (
        (Answer.DENIED, tuple(each for each in decision.breaches if each.code != BATCH_REFUSED)),
        (Answer.REPORTED, decision.would_deny),
        (Answer.OVERRIDDEN, decision.overridden),
        (Answer.TRIMMED, decision.trimmed_by),
    )
    return {(each.rule_id, each.level): (answer, each) for answer, breaches in said for each in breaches}


def _was_asked(rule: Rule, seen: Watched) -> bool:
    if seen.decision.intent is Intent.CANCEL:
        return type(rule) in OWNERSHIP_RULES
    return name_of(rule) in seen.asked


def _why_not(intent: Intent, gate_refused: bool) -> str:
    if intent is Intent.CANCEL:
        return "a cancel is asked only whose order it takes away"
    if gate_refused:
        return "a rule that stands before it had refused already"
    if intent is Intent.EXIT:
        return "an exit passes every rule of entries"
    return f"only asked of exits ({', '.join(rule.rule_id for rule in EXIT_RULES)})"


def _room(rule: Rule, seen: Watched, policy: Policy) -> Decimal | None:
    """The largest quantity that a rule which passed would have passed alone, without anybody's leave."""
    if not rule.sized or seen.decision.intent is not Intent.ENTRY:
        return None
    alone = replace(policy, rules=(rule,), resizes=())
    return largest_passing(seen.command, replace(seen.snapshot, overrides=()), alone)


def _switched_off(seen: Watched, policy: Policy) -> Iterator[RuleResult]:
    for rule in policy.rules:
        if rule.enforcement is Enforcement.OFF and _concerns(rule, seen):
            yield _result(rule, Answer.OFF, seen)


def _concerns(rule: Rule, seen: Watched) -> bool:
    account = seen.snapshot.account
    levels = {"desk", f"bot:{seen.snapshot.bot}", f"symbol:{getattr(seen.command, 'symbol', None)}"}
    return rule.level in levels or (account is not None and rule.level == f"account:{account.name}")


def _result(
    rule: Rule,
    answer: Answer,
    seen: Watched,
    *,
    breach: Breach | None = None,
    message: str = "",
    headroom: Decimal | None = None,
) -> RuleResult:
    return RuleResult(
        rule=rule.rule_id,
        level=rule.level,
        answer=answer,
        enforcement=rule.enforcement,
        code=breach.code if breach is not None else "",
        message=breach.message if breach is not None else message,
        observed=breach.observed if breach is not None else "",
        limit=breach.limit if breach is not None else "",
        headroom=headroom,
        advice=breach.advice if breach is not None else "",
        settings=settings_of(rule),  # After a re-arm limits grow back: as they stood then.
        measures=tuple(each for each in seen.decision.measures if each.rule_id == rule.rule_id),
    )


def _quantity(command: Command) -> Decimal | None:
    return command.quantity if isinstance(command, PlaceOrder | AmendOrder) else None
