"""What the rules say of one command: every breach, and what each rule measured. Nothing is concluded here.

A rule that crashes is a breach too: it refuses new risk, never the way out, never the guard itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rules.decision import Breach, Enforcement, Measure
from rules.intent import side_of
from rules.model import AmendOrder, Command, Intent
from rules.policy import Asked, Bound
from rules.rule import Rule
from rules.snapshot import Snapshot

RULE_FAILED: Final = "RULE_FAILED"
"""The code of a rule that could not be evaluated: no matter of size, and never overridden."""

_WAYS_OUT = (Intent.EXIT, Intent.CANCEL)


class Objections(NamedTuple):
    """``breaches`` in order of precedence, of the gates alone when one of them refused; ``asked`` are the other rules
    that were asked, ``measures`` what all of them found of an entry."""

    breaches: tuple[Breach, ...]
    asked: tuple[Asked, ...] = ()
    measures: tuple[Measure, ...] = ()

    @property
    def enforced(self) -> tuple[Breach, ...]:
        """The breaches that refuse."""
        return tuple(breach for breach in self.breaches if breach.enforcement is Enforcement.ENFORCE)


def objections(command: Command, intent: Intent, snapshot: Snapshot, bound: Bound) -> Objections:
    """What the gates object to, or else what the rules for this intent do."""
    if type(command) is AmendOrder and (contradiction := _other_side(command, snapshot)) is not None:
        # Whose it is comes first: of another bot's order nothing is told.
        return Objections((*breaches_of(bound.ownership, command, snapshot, intent), contradiction))
    found: list[Breach] = []
    measures: list[Measure] = []
    _ask(bound.gates, command, intent, snapshot, found, measures)
    if found and any(breach.enforcement is Enforcement.ENFORCE for breach in found):
        return Objections(tuple(found), (), tuple(measures))
    asked = bound.for_exits if intent is Intent.EXIT else bound.for_entries
    _ask(asked, command, intent, snapshot, found, measures)
    return Objections(tuple(found), asked, tuple(measures))


def _other_side(amend: AmendOrder, snapshot: Snapshot) -> Breach | None:
    """An amend that contradicts itself: no order of that number has that side. The venue takes none such either, so no
    way out is lost, and no rule has to say which of the two it believes."""
    side = side_of(amend, snapshot)
    if side is amend.side:
        return None
    return Breach(
        rule_id="amend",
        code="AMEND_SIDE_WRONG",
        message=f"the order it amends is a {side.value}",
        observed=amend.side.value,
        limit=side.value,
        advice=f"amend it with side={side.value}",
    )


def ownership_objections(command: Command, snapshot: Snapshot, bound: Bound) -> tuple[Breach, ...]:
    """What a cancel meets: whose it is that it would take away."""
    return breaches_of(bound.ownership, command, snapshot, Intent.CANCEL)


def breaches_of(
    rules: Iterable[Rule], command: Command, snapshot: Snapshot, intent: Intent = Intent.ENTRY
) -> tuple[Breach, ...]:
    """What ``rules`` object to, one breach each at most."""
    found = (_check(rule, command, snapshot, intent) for rule in rules)
    return tuple(breach for breach in found if breach is not None)


def _ask(
    rules: Sequence[Asked],
    command: Command,
    intent: Intent,
    snapshot: Snapshot,
    found: list[Breach],
    measures: list[Measure],
) -> None:
    entry = intent is Intent.ENTRY
    for rule, check, measure in rules:
        try:
            breach = check(command, snapshot)
            if breach is not None:
                found.append(breach)
            if measure is not None and entry:
                measures += measure(command, snapshot)
        except Exception as error:  # Law 4: a rule that crashes refuses new risk, never the way out, never the guard.
            # So too where it fails to measure: what an entry must be recorded with and is not, it is not sent without.
            found.append(_failed(rule, error, intent))


def _check(rule: Rule, command: Command, snapshot: Snapshot, intent: Intent) -> Breach | None:
    try:
        return rule.check(command, snapshot)
    except Exception as error:  # Law 4: a rule that crashes refuses new risk, never the way out, never the guard.
        return _failed(rule, error, intent)


def _failed(rule: Rule, error: Exception, intent: Intent) -> Breach:
    return Breach(
        rule_id=rule.rule_id,
        code="RULE_FAILED",
        message=f"the rule could not be evaluated ({type(error).__name__})",
        level=rule.level,
        enforcement=Enforcement.REPORT if intent in _WAYS_OUT else Enforcement.ENFORCE,
    )
