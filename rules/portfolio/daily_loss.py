"""daily_loss: who has lost the day's allowance takes no new risk, and midnight does not hand out a second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.facts import Performance
from rules.model import ZERO, Command
from rules.performance import Whose, performance_of
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


class FundingCount(StrEnum):
    """Whether funding is part of the result: APART leaves it out, COUNTED adds what was received less what was paid."""

    APART = "apart"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLoss(Rule):
    """Refuse entries once the loss of the UTC day, or of the last 24 hours, has reached the limit.

    The loss is realised and unrealised, after fees; money moved in or out is none. Both windows are always looked at:
    a loss at 23:59 still counts at 00:01. ``limit`` is in quote currency; ``limit_equity`` is a fraction of the equity
    before that window's result, so the limit does not shrink while the loss grows. ``funding`` says whether funding is
    part of the result; ``funding_limit`` caps the funding paid (less received) in either window by itself.
    ``of`` says whose result counts; a bot's lacks the clearance fee of a liquidation, which the exchange books on the
    account. Exits and cancels pass; entries pass again as soon as the loss is below the limit. It closes no position.
    """

    rule_id: ClassVar[str] = "daily_loss"
    codes: ClassVar[Mapping[str, str]] = {
        "DAILY_LOSS_REACHED": "the loss of the UTC day or of the last 24 hours has reached the limit",
        "FUNDING_PAID_REACHED": "the funding paid in the UTC day or in the last 24 hours has reached its limit",
        FACTS_UNKNOWN: "what was made or lost is not known now",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 17(2)",
    )
    example: ClassVar[str] = """
[desk.daily_loss]
enforcement = "enforce"
limit_equity = 0.05
funding = "counted"

[bot.grid.daily_loss]
enforcement = "enforce"
of = "bot"
limit = 250
funding_limit = 50
"""

    limit: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    limit_equity: Annotated[
        Decimal | None, Setting("fraction of equity before the loss, at most 1", Looser.HIGHER, fraction=True)
    ] = None
    funding: Annotated[FundingCount, Setting("`apart` or `counted`", Looser.NEITHER)] = FundingCount.APART
    funding_limit: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    of: Annotated[Whose, Setting("`account` or `bot`: whose loss counts", Looser.NEITHER)] = Whose.ACCOUNT
    facts_age_max_s: Annotated[int, Setting("seconds; older facts refuse", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if self.limit is None and self.limit_equity is None and self.funding_limit is None:
            raise ValueError("daily_loss needs limit, limit_equity or funding_limit")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse new risk when a limit has been reached in either window."""
        if held_order(command, snapshot) is None:
            return None
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        if performance is None:
            return self.unknown(f"what the {self.of} has made or lost")
        return performance.found(self._judged)

    def _judged(self, performance: Performance) -> Breach | None:
        for window, lost, paid in self._windows(performance):
            limit = self._limit(performance, window)
            if limit is not None and lost >= limit:
                return self._breach("DAILY_LOSS_REACHED", f"the {self.of} has lost", window, lost, limit)
            if self.funding_limit is not None and paid >= self.funding_limit:
                said = f"the {self.of} has paid funding of"
                return self._breach("FUNDING_PAID_REACHED", said, window, paid, self.funding_limit)
        return None

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The loss in both windows (negative: a gain), in quote currency; nothing while it is not known."""
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        return performance.found(self._measures) if performance is not None else ()

    def _measures(self, performance: Performance) -> tuple[Measure, ...]:
        return tuple(
            self.measured(name, show(lost), unit="quote")
            for name, (_, lost, _) in zip(("loss_day", "loss_24h"), self._windows(performance), strict=True)
        )

    def _windows(self, performance: Performance) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Each window: its name, what was lost in it, what funding was paid in it."""
        counted = 1 if self.funding is FundingCount.COUNTED else 0
        return (
            (_DAY, -performance.day_pnl - counted * performance.day_funding, -performance.day_funding),
            (_ROLLING, -performance.rolling_pnl - counted * performance.rolling_funding, -performance.rolling_funding),
        )

    def _limit(self, performance: Performance, window: str) -> Decimal | None:
        if self.limit_equity is None:
            return self.limit
        made = performance.day_pnl + performance.day_funding
        if window == _ROLLING:
            made = performance.rolling_pnl + performance.rolling_funding
        fraction = max(ZERO, self.limit_equity * (performance.equity - made))
        return fraction if self.limit is None else min(self.limit, fraction)

    def _breach(self, code: str, said: str, window: str, observed: Decimal, limit: Decimal) -> Breach:
        return self.breach(
            code,
            f"{said} {show(observed)} {window}",
            observed=show(observed),
            limit=show(limit),
            advice="reduce-only orders and cancels pass",
        )


_DAY = "since 00:00 UTC"
_ROLLING = "in the last 24 hours"
