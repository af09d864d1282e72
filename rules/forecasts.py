"""What the signals have stated for a symbol: the forecasts that may be relied on, and those that may not.

A forecast is an aid: it can only refuse, never allow, and where there is none the other limits stand alone. One that is
too old says nothing. One whose like has not held (``reliable`` is false) is treated like an absent one, and refuses
besides when it is above a limit: a broken forecast tightens as before and reassures nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from rules.ages import seconds
from rules.decision import Measure
from rules.facts import Forecast
from rules.rule import as_written, plain

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Kept(NamedTuple):
    """The forecasts that concern a rule, as the record has them: when the oldest and the newest were stated, the one of
    the highest probability, and whether all of them are reliable."""

    all: Sequence[Forecast] = ()
    oldest: datetime = _NEVER
    newest: datetime = _NEVER
    highest: Forecast | None = None
    reliable: bool = True


class Stated(NamedTuple):
    """The forecasts a rule asked for, split by age; ``age_s`` is that of the oldest, ``None`` when there is none.

    ``highest`` is the fresh one of the highest probability. ``reliable``: forecasts such as the fresh ones have held.
    """

    fresh: Sequence[Forecast]
    stale: Sequence[Forecast]
    age_s: int | None
    highest: Forecast | None
    reliable: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether there are forecasts, none of them too old and all of them reliable."""
        return bool(self.fresh) and not self.stale and self.reliable

    @property
    def lack(self) -> str:
        """What is missing, in words: nobody states a forecast, it is so and so old, or such forecasts do not hold."""
        if self.age_s is None:
            return "no forecast is known"
        return f"the forecast is {self.age_s} s old" if self.stale else "the forecast is unreliable"

    def measures(self, rule_id: str) -> tuple[Measure, ...]:
        """What the audit keeps: the highest probability, the age, and whether it could be relied on."""
        if self.age_s is None:
            return (Measure(rule_id, "forecast", "absent"),)
        state = _state(rule_id, "stale" if self.stale else "fresh" if self.reliable else "unreliable")
        age = Measure(rule_id, "forecast_age", str(self.age_s), "s")
        if self.highest is None:
            return state, age
        return state, age, _probability(rule_id, self.highest.probability)


@lru_cache(maxsize=16)
def _state(rule_id: str, state: str) -> Measure:
    return Measure(rule_id, "forecast", state)


@lru_cache(maxsize=1024, typed=True)
def _probability(rule_id: str, value: float) -> Measure:
    return Measure(rule_id, "probability", plain(as_written(value)))


def kept(forecasts: Sequence[Forecast]) -> Kept:
    """``forecasts``, of which no more needs to be worked out until there is a new record."""
    if not forecasts:
        return Kept()
    moments = [each.as_of for each in forecasts]
    return Kept(forecasts, min(moments), max(moments), _highest(forecasts), _are_reliable(forecasts))


def stated(known: Kept, now: datetime, age_max_s: int) -> Stated:
    """What may be relied on ``now``. Nothing is further away than the oldest or, in the future, the newest."""
    if not known.all:
        return _NOTHING
    age, ahead, age_max = now - known.oldest, known.newest - now, seconds(age_max_s)
    if ahead > age:
        age = ahead
    if age <= age_max:
        # Past the constructor of named tuples, which is Python code: every entry asks two rules.
        return tuple.__new__(Stated, (known.all, (), int(age.total_seconds()), known.highest, known.reliable))
    fresh = [each for each in known.all if abs(now - each.as_of) <= age_max]
    stale = [each for each in known.all if abs(now - each.as_of) > age_max]
    return Stated(fresh, stale, int(age.total_seconds()), _highest(fresh), _are_reliable(fresh))


_NOTHING: Final = Stated((), (), None, None)


def _highest(forecasts: Sequence[Forecast]) -> Forecast | None:
    return max(forecasts, key=lambda each: each.probability, default=None)


def _are_reliable(forecasts: Sequence[Forecast]) -> bool:
    return all(each.reliable for each in forecasts)


def probability(forecast: Forecast) -> Decimal:
    """The stated probability as it is written, so that a limit of 0.05 and a forecast of 0.05 are equal."""
    return as_written(forecast.probability)
