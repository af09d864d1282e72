"""Which rules of a new policy a record cannot answer for, because the policy of that time did not ask for their facts.

A record holds the balances of the buckets and the attempts that its own policy wanted. A new policy's bucket that
flows otherwise had another balance, which nobody knows; a rule that looks further back than was read would miss some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rules.decision import Enforcement
from rules.flow.message_rate import MessageRate
from rules.policy import Policy
from rules.rule import Rule

RuleName = tuple[str, str]
"""A rule's id and level: what it is called in a policy, where no two are called the same."""


def name_of(rule: Rule) -> RuleName:
    """What ``rule`` is called in its policy."""
    return rule.rule_id, rule.level


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a rule is left out, and whether it could have refused; one in report mode could only have reported."""

    reason: str
    enforced: bool


@dataclass(frozen=True, slots=True)
class Judgeable:
    """The part of a policy that a record can be judged under, and why each other rule is left out of it."""

    policy: Policy
    left_out: Mapping[RuleName, LeftOut]

    def without(self, rules: Mapping[RuleName, LeftOut]) -> Judgeable:
        """The same with further rules left out."""
        kept = tuple(rule for rule in self.policy.rules if name_of(rule) not in rules)
        return Judgeable(replace(self.policy, rules=kept), {**self.left_out, **rules})


def judgeable(new: Policy, then: Policy | None) -> Judgeable:
    """What of ``new`` can be judged on records that were made under ``then``, ``None`` when that is not known."""
    asked = [rule for rule in new.rules if rule.enforcement is not Enforcement.OFF]
    reasons = {
        name_of(rule): LeftOut(reason, rule.enforcement is Enforcement.ENFORCE)
        for rule in asked
        if (reason := _unanswered(rule, then))
    }
    return Judgeable(new, {}).without(reasons) if reasons else Judgeable(new, {})


def _unanswered(rule: Rule, then: Policy | None) -> str:
    """Why records made under ``then`` do not answer for ``rule``; empty when they do."""
    if isinstance(rule, MessageRate):
        return "" if then is not None and _has_bucket(then, rule) else "no bucket of this rate was kept then"
    recorded_s = then.attempts_window_s if then is not None else 0
    if rule.looks_back_s > recorded_s:
        return f"looks {rule.looks_back_s} s back at the bot's attempts, {recorded_s} s were recorded"
    return ""


def _has_bucket(then: Policy, rule: MessageRate) -> bool:
    return any(
        isinstance(old, MessageRate)
        and old.enforcement is not Enforcement.OFF
        and replace(old, enforcement=rule.enforcement) == rule
        for old in then.rules
    )
