"""What refused orders would have come to, summed by rule: the audit's refusals against the marks that were kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from proxy.ledger.counterfactual import NEAR, Fees, Horizon, Mark, Outcome, Stamp, State, between, mark_near, outcomes
from proxy.ledger.history import MarkHistory
from proxy.ledger.refusals import Refusals, Unsent

FUNDING_WITHIN: Final = timedelta(hours=25)
"""No funding interval is longer than a day; further ahead no stamp is looked for."""

STAMP_LISTED_WITHIN: Final = timedelta(minutes=2)
"""How far the venue's list may put a stamp from the time it had announced."""


@dataclass(slots=True, kw_only=True)
class HorizonSum:
    """Intents by what can be said of them at a horizon, and what those that would have filled came to."""

    result: Decimal = Decimal(0)
    filled: int = 0
    not_filled: int = 0
    unknown: int = 0
    not_yet: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        match outcome.state:
            case State.FILLED:
                self.filled += 1
                self.result += outcome.result or 0
            case State.NOT_FILLED:
                self.not_filled += 1
            case State.UNKNOWN:
                self.unknown += 1
            case State.NOT_YET:
                self.not_yet += 1


@dataclass(slots=True, kw_only=True)
class RuleSum:
    """One rule: how many intents it kept back, refused how many times in all, and what they would have come to."""

    intents: int = 0
    times: int = 0
    horizons: dict[Horizon, HorizonSum] = field(default_factory=lambda: {each: HorizonSum() for each in Horizon})

    def add(self, unsent: Unsent, found: Mapping[Horizon, Outcome]) -> None:
        """Count one more."""
        self.intents += 1
        self.times += unsent.times
        for horizon, outcome in found.items():
            self.horizons[horizon].add(outcome)


@dataclass(slots=True, kw_only=True)
class Counterfactual:
    """``refused`` by rule: each order under the rule its bot was told, so that the rows add up to ``total``.

    ``reported`` by rule: orders that passed and that a rule in report mode objected to, each under every such rule.
    ``unknown`` says why what is not known is not, ``left_out`` which refused commands are no intents.
    """

    total: RuleSum = field(default_factory=RuleSum)
    refused: dict[str, RuleSum] = field(default_factory=dict)
    reported: dict[str, RuleSum] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, unsent: Unsent, found: Mapping[Horizon, Outcome]) -> None:
        """Count one more."""
        sums = self.reported if unsent.reported else self.refused
        sums.setdefault(unsent.rule, RuleSum()).add(unsent, found)
        if not unsent.reported:
            self.total.add(unsent, found)
        self.unknown.update(each.why for each in found.values() if each.state is State.UNKNOWN)


def counterfactual(
    records: Iterable[dict[str, Any]], marks: MarkHistory, fees: Fees, now: datetime, *, rule: str | None = None
) -> Counterfactual:
    """What the entries refused in ``records``, which are in order of time, would have come to; with ``rule``, its own.

    Raises ``MarksUnavailable``.
    """
    report, refusals = Counterfactual(), Refusals(rule)
    for unsent in refusals.read(records):
        report.add(unsent, value(unsent, marks, fees, now))
    report.left_out = refusals.left_out
    return report


def value(unsent: Unsent, marks: MarkHistory, fees: Fees, now: datetime) -> Mapping[Horizon, Outcome]:
    """What one order that was not sent would have come to. Raises ``MarksUnavailable``."""
    venue, symbol, at = unsent.venue, unsent.order.symbol, unsent.at
    stamp = _stamp(unsent, marks)
    end = max(at + timedelta(hours=1), stamp.at if stamp is not None else at)
    kept = marks.marks(venue, symbol, at - NEAR, end + NEAR)
    decided = unsent.mark if unsent.mark is not None else mark_near(kept, at)
    first = [Mark(at, decided)] if decided is not None else []
    # Those before the decision have served; the decision's own stands first.
    later = [mark for mark in between(kept, at, end + NEAR) if mark.at > at]
    return outcomes(unsent.order, at, [*first, *later], stamp, fees, now)


def _stamp(unsent: Unsent, marks: MarkHistory) -> Stamp | None:
    """The funding time after the decision: the one announced then, or the first the venue has listed since."""
    announced = unsent.next_funding_at
    if announced is not None and not unsent.at < announced <= unsent.at + FUNDING_WITHIN:
        announced = None
    until = unsent.at + FUNDING_WITHIN if announced is None else announced + STAMP_LISTED_WITHIN
    charged = marks.fundings(unsent.venue, unsent.order.symbol, unsent.at, until)
    if announced is None:
        return Stamp(charged[0].at, charged[0].rate) if charged else None
    listed = [each for each in charged if abs(each.at - announced) <= STAMP_LISTED_WITHIN]
    return Stamp(listed[0].at, listed[0].rate) if listed else Stamp(announced, None)
