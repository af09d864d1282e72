"""What the signals have stated for a symbol: the forecasts that may be relied on, and those that are too old.

A forecast is an aid: it can only refuse, never allow, and where there is none the other limits stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from rules.ages import seconds
from rules.decision import Measure
from rules.facts import Forecast
from rules.rule import as_written, plain
from rules.snapshot import Snapshot


class Stated(NamedTuple):
    """The forecasts a rule asked for, split by age; ``age_s`` is that of the oldest, ``None`` when there is none."""

    fresh: Sequence[Forecast]
    stale: Sequence[Forecast]
    age_s: int | None

    @property
    def is_complete(self) -> bool:
        """Whether there are forecasts and none of them is too old."""
        return bool(self.fresh) and not self.stale

    @property
    def highest(self) -> Forecast | None:
        """The fresh forecast of the highest probability."""
        if len(self.fresh) == 1:
            return self.fresh[0]
        return max(self.fresh, key=lambda each: each.probability, default=None)

    @property
    def lack(self) -> str:
        """What is missing, in words: nobody states a forecast, or it is so and so old."""
        return "no forecast is known" if self.age_s is None else f"the forecast is {self.age_s} s old"

    def measures(self, rule_id: str) -> tuple[Measure, ...]:
        """What the audit keeps: the highest probability, the age, and whether it could be relied on."""
        if self.age_s is None:
            return (Measure(rule_id, "forecast", "absent"),)
        state = Measure(rule_id, "forecast", "fresh" if self.is_complete else "stale")
        age = Measure(rule_id, "forecast_age", str(self.age_s), "s")
        if self.highest is None:
            return state, age
        return state, age, Measure(rule_id, "probability", plain(probability(self.highest)))


def stated(name: str, symbol: str, snapshot: Snapshot, age_max_s: int, wanted: Callable[[Forecast], bool]) -> Stated:
    """The forecasts called ``name`` for ``symbol`` and for the whole account that are ``wanted``."""
    fresh: list[Forecast] = []
    stale: list[Forecast] = []
    oldest = None
    age_max = seconds(age_max_s)
    for forecast in snapshot.record.forecasts_of(name, symbol) if snapshot.record is not None else ():
        if not wanted(forecast):
            continue
        age = abs(snapshot.now - forecast.as_of)
        (fresh if age <= age_max else stale).append(forecast)
        if oldest is None or age > oldest:
            oldest = age
    return Stated(fresh, stale, int(oldest.total_seconds()) if oldest is not None else None)


def probability(forecast: Forecast) -> Decimal:
    """The stated probability as it is written, so that a limit of 0.05 and a forecast of 0.05 are equal."""
    return as_written(forecast.probability)
