"""profit_lock: a good day is not given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.facts import Performance
from rules.model import Command
from rules.performance import Whose, performance_of
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitLock(Rule):
    """Refuse entries when too much of the day's highest profit has been given back.

    It is armed once the profit of the UTC day (realised and unrealised, after fees, with funding) has reached
    ``arm_at``; then at most ``give_back`` of the day's highest profit may be lost again. It opens when the profit
    recovers, and at 00:00 UTC. Exits and cancels pass; it closes no position and places no stop.
    """

    rule_id: ClassVar[str] = "profit_lock"
    codes: ClassVar[Mapping[str, str]] = {
        "PROFIT_GIVEN_BACK_ABOVE_LIMIT": "too much of the day's profit has been given back",
        FACTS_UNKNOWN: "the day's profit and its peak are not known now",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.profit_lock]
enforcement = "enforce"
arm_at = 500
give_back = 0.4
"""

    arm_at: Annotated[Decimal, Setting("quote currency; profit that arms it", Looser.HIGHER)]
    give_back: Annotated[Decimal, Setting("fraction of the day's highest profit, at most 1", Looser.HIGHER)]
    of: Annotated[Whose, Setting("`account` or `bot`: whose profit counts", Looser.NEITHER)] = Whose.ACCOUNT
    facts_age_max_s: Annotated[int, Setting("seconds; older facts refuse", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if self.give_back > 1:
            raise ValueError("profit_lock: give_back is a fraction of the day's highest profit, at most 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse new risk once armed and given back too much."""
        if held_order(command, snapshot) is None:
            return None
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        if performance is None:
            return self.unknown(f"the day's profit of the {self.of}")
        return performance.found(self._judged)

    def _judged(self, performance: Performance) -> Breach | None:
        peak = performance.day_peak
        given_back = peak - performance.day_pnl - performance.day_funding
        if peak < self.arm_at or given_back <= self.give_back * peak:
            return None
        return self.breach(
            "PROFIT_GIVEN_BACK_ABOVE_LIMIT",
            f"the {self.of} has given back {show(given_back)} of the day's highest profit of {show(peak)}",
            observed=show(given_back),
            limit=show(self.give_back * peak),
            advice="reduce-only orders and cancels pass",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The day's highest profit and what was given back of it; nothing while it is not known."""
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        return performance.found(self._measures) if performance is not None else ()

    def _measures(self, performance: Performance) -> tuple[Measure, ...]:
        given_back = performance.day_peak - performance.day_pnl - performance.day_funding
        named = (("day_peak", performance.day_peak), ("given_back", given_back))
        return tuple(self.measured(name, show(value), unit="quote") for name, value in named)
