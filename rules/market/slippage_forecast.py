"""slippage_forecast: no order so large that, by the signals, it would probably cost too much to fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import HeldOrder
from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.facts import AccountRecord, Forecast
from rules.forecasts import Kept, Stated, kept, probability, stated
from rules.fresh import WithoutFacts
from rules.intent import is_post_only
from rules.model import BUY, ZERO, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_exact, show_percent
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class SlippageForecast(Rule):
    """Refuse an entry at least as large as one that is forecast to cost too much, likelier than `probability_max`.

    A forecast says: an order of this quantity, on this side, costs more than this fraction of the mark with this
    probability. It is heeded for orders on its side that are as large or larger; of a smaller order it says nothing.
    With `cost_min` only forecasts of at least that cost are heeded. Post-only orders take nothing and pass. A forecast
    is an aid: where there is none, or an old or unreliable one, that is recorded with the age, and entries pass unless
    `when_stale = "refuse"`. An unreliable one above the limit refuses all the same. Forecasts are of ten symbols, the
    first of those that are measured: positions and open orders, then the last ordered, then the busiest.
    """

    rule_id: ClassVar[str] = "slippage_forecast"
    codes: ClassVar[Mapping[str, str]] = {
        "SLIPPAGE_PROBABILITY_ABOVE_LIMIT": "an order of this size is likelier than `probability_max` to cost too much",
        FACTS_UNKNOWN: '`when_stale = "refuse"`, and a forecast for the symbol is absent, too old or unreliable',
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.slippage_forecast]
enforcement = "enforce"
probability_max = 0.1
cost_min = 0.002
"""
    sized: ClassVar[bool] = True

    probability_max: Annotated[Decimal, Setting("probability, above 0 and below 1", Looser.HIGHER)]
    cost_min: Annotated[
        Decimal | None, Setting("fraction of the mark; forecasts of a smaller cost are not heeded", Looser.NEITHER)
    ] = None
    forecast_age_max_s: Annotated[
        int, Setting("seconds since the forecast was stated; an older one counts as absent", Looser.NEITHER)
    ] = 180
    when_stale: Annotated[
        WithoutFacts, Setting('`"pass"` or `"refuse"` when a forecast is absent, too old or unreliable', Looser.LOWER)
    ] = WithoutFacts.PASS

    def __post_init__(self) -> None:
        if not 0 < self.probability_max < 1:
            raise ValueError("slippage_forecast: probability_max must lie between 0 and 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when a forecast for no larger an order is above the limit, or there is none and one is wanted."""
        order = held_order(command, snapshot)
        if order is None or is_post_only(command):
            return None
        forecasts = self._stated(order, snapshot)
        if forecasts.highest is not None and self._is_above(forecasts.highest):
            for forecast in sorted(forecasts.fresh, key=_quantity):
                if self._is_above(forecast) and order.quantity >= _quantity(forecast):
                    return self._too_dear(order, forecast)
        if forecasts.is_complete or self.when_stale is WithoutFacts.PASS:
            return None
        return self.unknown(f"what an order of {order.symbol} would cost ({forecasts.lack})")

    def _is_above(self, forecast: Forecast) -> bool:
        return probability(forecast) > self.probability_max

    def _too_dear(self, order: HeldOrder, forecast: Forecast) -> Breach:
        cost = "too much" if forecast.threshold is None else f"more than {show_percent(forecast.threshold)}"
        return self.breach(
            "SLIPPAGE_PROBABILITY_ABOVE_LIMIT",
            f"to {order.side.value} {show_exact(_quantity(forecast))} {order.symbol} or more costs {cost} "
            f"with a probability of {show_percent(probability(forecast))}",
            observed=show_percent(probability(forecast)),
            limit=show_percent(self.probability_max),
            advice="send less, or post-only",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The highest probability on the order's side, the oldest forecast's age, and whether it could be relied on."""
        order = held_order(command, snapshot)
        return self._stated(order, snapshot).measures(self.rule_id) if order is not None else ()

    def _stated(self, order: HeldOrder, snapshot: Snapshot) -> Stated:
        return snapshot.last(self._find, order)

    def _find(self, order: HeldOrder, snapshot: Snapshot) -> Stated:
        record = snapshot.record
        if record is None:
            return stated(Kept(), snapshot.now, self.forecast_age_max_s)
        known = record.once((self._find, order.symbol, order.side is BUY), lambda known: self._heeded(order, known))
        return stated(known, snapshot.now, self.forecast_age_max_s)

    def _heeded(self, order: HeldOrder, record: AccountRecord) -> Kept:
        forecasts = record.forecasts_of("slippage", order.symbol)
        return kept([each for each in forecasts if self._concerns(each, order)])

    def _concerns(self, forecast: Forecast, order: HeldOrder) -> bool:
        on_its_side = forecast.side in (None, order.side)
        return on_its_side and (
            self.cost_min is None or forecast.threshold is None or forecast.threshold >= self.cost_min
        )


def _quantity(forecast: Forecast) -> Decimal:
    """The quantity from which on the forecast holds; one that names none is about every order."""
    return ZERO if forecast.quantity is None else forecast.quantity
