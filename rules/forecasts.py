"""What the signals have stated for a symbol: the forecasts that may be relied on, and those that are too old.

A forecast is an aid: it can only refuse, never allow, and where there is none the other limits stand alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from rules.decision import Measure
from rules.facts import Forecast
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The forecasts a rule asked for, split by age; ``age_s`` is that of the oldest, ``None`` when there is none."""

    fresh: tuple[Forecast, ...]
    stale: tuple[Forecast, ...]
    age_s: int | None

    @property
    def is_complete(self) -> bool:
        """Whether there are forecasts and none of them is too old."""
        return bool(self.fresh) and not self.stale

    @property
    def highest(self) -> Forecast | None:
        """The fresh forecast of the highest probability."""
        return max(self.fresh, key=lambda each: each.probability, default=None)

    @property
    def lack(self) -> str:
        """What is missing, in words: nobody states a forecast, or it is so and so old."""
        return "no forecast is known" if self.age_s is None else f"the forecast is {self.age_s} s old"

    def measures(self, rule_id: str) -> tuple[Measure, ...]:
        """What the audit keeps: the highest probability, the age, and whether it could be relied on."""
        if self.age_s is None:
            return (Measure(rule_id=rule_id, name="forecast", value="absent"),)
        state = "fresh" if self.is_complete else "stale"
        kept = [
            Measure(rule_id=rule_id, name="forecast", value=state),
            Measure(rule_id=rule_id, name="forecast_age", value=str(self.age_s), unit="s"),
        ]
        if self.highest is not None:
            kept.append(Measure(rule_id=rule_id, name="probability", value=f"{probability(self.highest):f}"))
        return tuple(kept)


def stated(name: str, symbol: str, snapshot: Snapshot, age_max_s: int, wanted: Callable[[Forecast], bool]) -> Stated:
    """The forecasts called ``name`` for ``symbol`` and for the whole account that are ``wanted``."""
    found = snapshot.once(f"forecasts: {name} {symbol}", lambda known: _found(name, symbol, known))
    all_of_them = [forecast for forecast in found if wanted(forecast)]
    ages = [abs(snapshot.now - forecast.as_of) for forecast in all_of_them]
    age_max = timedelta(seconds=age_max_s)
    return Stated(
        fresh=tuple(each for each, age in zip(all_of_them, ages, strict=True) if age <= age_max),
        stale=tuple(each for each, age in zip(all_of_them, ages, strict=True) if age > age_max),
        age_s=int(max(ages).total_seconds()) if ages else None,
    )


def _found(name: str, symbol: str, snapshot: Snapshot) -> tuple[Forecast, ...]:
    return tuple(snapshot.record.forecasts_of(name, symbol)) if snapshot.record is not None else ()


def probability(forecast: Forecast) -> Decimal:
    """The stated probability as it is written, so that a limit of 0.05 and a forecast of 0.05 are equal."""
    return Decimal(str(forecast.probability))
