"""liquidation_forecast: no new risk while the signals say that a liquidation has become likely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.facts import AccountRecord
from rules.forecasts import Kept, Stated, kept, probability, stated
from rules.fresh import WithoutFacts
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_percent
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationForecast(Rule):
    """Refuse entries while the forecast says that a liquidation is likelier than `probability_max`.

    It heeds the forecasts for the order's symbol and for the account as a whole that look no further ahead than
    `horizon_s`; the highest counts. It speaks of the positions as they stand, so a smaller order helps nothing. No
    forecast sees a jump coming: this rule adds to the limits on leverage and liquidation distance and replaces none.
    So an absent or old forecast is recorded with its age and lets entries pass, unless `when_stale = "refuse"`. So is
    one that the scoreboard has marked unreliable; above the limit it refuses all the same. An account without positions
    has nothing that could be liquidated and needs no forecast.
    """

    rule_id: ClassVar[str] = "liquidation_forecast"
    codes: ClassVar[Mapping[str, str]] = {
        "LIQUIDATION_PROBABILITY_ABOVE_LIMIT": "a liquidation is likelier than `probability_max`",
        FACTS_UNKNOWN: '`when_stale = "refuse"`, positions are open, and a forecast is absent, too old or unreliable',
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.liquidation_forecast]
enforcement = "enforce"
probability_max = 0.02
horizon_s = 28800
"""

    probability_max: Annotated[Decimal, Setting("probability, above 0 and below 1", Looser.HIGHER)]
    horizon_s: Annotated[int, Setting("seconds; forecasts that look further ahead are not heeded", Looser.NEITHER)] = (
        86_400
    )
    forecast_age_max_s: Annotated[
        int, Setting("seconds since the forecast was stated; an older one counts as absent", Looser.NEITHER)
    ] = 300
    when_stale: Annotated[
        WithoutFacts, Setting('`"pass"` or `"refuse"` when a forecast is absent, too old or unreliable', Looser.LOWER)
    ] = WithoutFacts.PASS

    def __post_init__(self) -> None:
        if not 0 < self.probability_max < 1:
            raise ValueError("liquidation_forecast: probability_max must lie between 0 and 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when a forecast is above the limit, or cannot be had and the policy wants one."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        forecasts = self._stated(order.symbol, snapshot)
        highest = forecasts.highest
        if highest is not None and probability(highest) > self.probability_max:
            return self.breach(
                "LIQUIDATION_PROBABILITY_ABOVE_LIMIT",
                f"a liquidation of {highest.symbol or 'the account'} within {highest.horizon_s} s "
                f"has a probability of {show_percent(probability(highest))}",
                observed=show_percent(probability(highest)),
                limit=show_percent(self.probability_max),
                advice="reduce the position or add margin; reduce-only orders and cancels pass",
            )
        if forecasts.is_complete or self.when_stale is WithoutFacts.PASS:
            return None
        if snapshot.account is not None and not snapshot.account.positions:
            return None
        return self.unknown(f"how likely a liquidation is ({forecasts.lack})")

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The highest probability, the oldest forecast's age, and whether it could be relied on."""
        order = held_order(command, snapshot)
        return self._stated(order.symbol, snapshot).measures(self.rule_id) if order is not None else ()

    def _stated(self, symbol: str, snapshot: Snapshot) -> Stated:
        return snapshot.last(self._find, symbol)

    def _find(self, symbol: str, snapshot: Snapshot) -> Stated:
        record = snapshot.record
        if record is None:
            return stated(Kept(), snapshot.now, self.forecast_age_max_s)
        known = record.once((self._find, symbol), lambda known: self._heeded(symbol, known))
        return stated(known, snapshot.now, self.forecast_age_max_s)

    def _heeded(self, symbol: str, record: AccountRecord) -> Kept:
        forecasts = record.forecasts_of("liquidation", symbol)
        return kept([each for each in forecasts if each.horizon_s <= self.horizon_s])
