"""drawdown: too far below the highest equity there ever was, nothing new is opened."""

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
class Drawdown(Rule):
    """Refuse entries while equity is below its highest value by more than ``limit``, a fraction of that value.

    Equity is the margin balance, its highest value the peak since the guard began to count; money moved in or out
    changes both in the same proportion and is neither a gain nor a drawdown. No day and no restart resets the peak:
    only a recovery does away with a drawdown. ``of = "bot"`` measures the account's capital as if the bot alone had
    traded it, without the clearance fee of a liquidation, which the exchange books on the account. Exits and cancels
    pass; it closes no position.
    """

    rule_id: ClassVar[str] = "drawdown"
    codes: ClassVar[Mapping[str, str]] = {
        "DRAWDOWN_ABOVE_LIMIT": "equity is too far below its peak",
        FACTS_UNKNOWN: "equity and its peak are not known now",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 17(2)",
    )
    example: ClassVar[str] = """
[desk.drawdown]
enforcement = "enforce"
limit = 0.2
"""

    limit: Annotated[Decimal, Setting("fraction of the peak, below 1", Looser.HIGHER)]
    of: Annotated[Whose, Setting("`account` or `bot`: whose equity counts", Looser.NEITHER)] = Whose.ACCOUNT
    facts_age_max_s: Annotated[int, Setting("seconds; older facts refuse", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if self.limit >= 1:
            raise ValueError("drawdown: limit is a fraction of the peak, below 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse new risk while equity is too far below its peak."""
        if held_order(command, snapshot) is None:
            return None
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        if performance is None:
            return self.unknown(f"the equity of the {self.of}")
        return performance.found(self._judged)

    def _judged(self, performance: Performance) -> Breach | None:
        least = (1 - self.limit) * performance.equity_peak
        if performance.equity >= least:
            return None
        return self.breach(
            "DRAWDOWN_ABOVE_LIMIT",
            f"equity of the {self.of} is {show(performance.equity)}, its peak was {show(performance.equity_peak)}",
            observed=show(performance.equity),
            limit=show(least),
            advice="reduce-only orders and cancels pass",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """How far equity is below its peak, in quote currency; nothing while it is not known."""
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        return performance.found(self._measures) if performance is not None else ()

    def _measures(self, performance: Performance) -> tuple[Measure, ...]:
        below = show(performance.equity_peak - performance.equity)
        return (self.measured("below_peak", below, "quote"),)
