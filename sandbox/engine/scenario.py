"""The weather: how index prices drift and shake at each step of a scripted scenario, and what the book does meanwhile.

Shocks are sums of integers from a seeded generator and all arithmetic is `Decimal`, so a seed gives the same prices on
every machine (a `float` gaussian would depend on the C library's logarithm).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sandbox.engine.model import ZERO

STEP_MS = 250
STEPS_PER_YEAR = 365 * 24 * 3600 * 1000 // STEP_MS
_MINUTE_STEPS = 60 * 1000 // STEP_MS

CRASH_STEPS = 10 * _MINUTE_STEPS
CRASH_RATIO = Decimal("0.7")
TREND_PER_HOUR = Decimal("0.03")
SQUEEZE_STEPS = 10 * _MINUTE_STEPS
SQUEEZE_RATIO = Decimal("1.3")
OUTAGE_BEGINS = 1 * _MINUTE_STEPS
OUTAGE_ENDS = 3 * _MINUTE_STEPS
OUTAGE_GAP = Decimal("-0.03")


class Scenario(StrEnum):
    """The scripts that can be played."""

    FLAT = "flat"
    CALM = "calm"
    TREND = "trend"
    CRASH = "crash"
    SQUEEZE = "squeeze"
    DELISTING = "delisting"
    OUTAGE = "outage"


@dataclass(frozen=True, slots=True)
class Weather:
    """One step's terms. Fractions are of one.

    `drift` per step, `volatility` as a multiple of the symbol's own, `common` the share of the shock that all symbols
    have in common, `depth` the share of the usual quotes that stands in the book, `premium` of the mark over the index.
    """

    drift: Decimal
    volatility: Decimal
    common: Decimal
    depth: Decimal = Decimal(1)
    premium: Decimal = ZERO


# Two symbols correlate by common**2; own**2 = 1 - common**2 keeps each one's volatility the same.
CALM = Weather(ZERO, Decimal(1), Decimal("0.8"))
_AFTERMATH = Weather(ZERO, Decimal(2), Decimal("0.9"), depth=Decimal("0.6"))
# The fall is scripted to the last digit of its drift; small noise keeps -30 % recognisable.
_CRASH = Weather((CRASH_RATIO.ln() / CRASH_STEPS).exp() - 1, Decimal("0.5"), Decimal(1), depth=Decimal("0.3"))
_TREND = Weather(((1 + TREND_PER_HOUR).ln() / (60 * _MINUTE_STEPS)).exp() - 1, Decimal(1), Decimal("0.8"))
# After the top a third of the rise is given back while the crowd of shorts still weighs on the perpetual.
_SQUEEZE_OVER = Weather(-(SQUEEZE_RATIO.ln() / 3 / SQUEEZE_STEPS), Decimal(2), Decimal("0.9"), Decimal("0.6"))
_SQUEEZE_PREMIUM = Decimal("-0.004")
# What happened elsewhere during the outage arrives with its first step after.
_REOPENING = Weather(OUTAGE_GAP, Decimal(10), Decimal("0.95"), depth=Decimal("0.3"))


def weather(scenario: Scenario, steps_elapsed: int) -> Weather | None:
    """The terms of a step, `steps_elapsed` steps after the scenario began; None when prices must not move at all."""
    match scenario:
        case Scenario.FLAT:
            return None
        case Scenario.CALM | Scenario.DELISTING:
            return CALM
        case Scenario.TREND:
            return _TREND
        case Scenario.CRASH:
            return _CRASH if steps_elapsed < CRASH_STEPS else _AFTERMATH
        case Scenario.SQUEEZE:
            return _squeeze(steps_elapsed)
        case Scenario.OUTAGE:
            if steps_elapsed < OUTAGE_ENDS:
                return CALM
            return _REOPENING if steps_elapsed == OUTAGE_ENDS else _AFTERMATH


def in_outage(scenario: Scenario, steps_elapsed: int) -> bool:
    """True while the script says that the exchange is down."""
    return scenario is Scenario.OUTAGE and OUTAGE_BEGINS <= steps_elapsed < OUTAGE_ENDS


def _squeeze(steps_elapsed: int) -> Weather:
    """Shorts run for the door: the rise feeds on itself, so its second half brings three quarters of it."""
    if steps_elapsed >= SQUEEZE_STEPS:
        return _SQUEEZE_OVER if steps_elapsed < 2 * SQUEEZE_STEPS else _AFTERMATH
    drift = SQUEEZE_RATIO.ln() * (2 * steps_elapsed + 1) / SQUEEZE_STEPS**2
    return Weather(drift, Decimal("0.5"), Decimal("0.9"), depth=Decimal("0.3"), premium=_SQUEEZE_PREMIUM)


def shock(source: random.Random) -> Decimal:
    """One draw, mean 0 and variance 1, bell-shaped: the sum of four uniforms on 0..65535, scaled."""
    total = sum(source.getrandbits(16) for _ in range(4))
    # Four uniforms of width w have standard deviation w / sqrt(3).
    return Decimal(total - 2 * 65535) / Decimal("37836.65")


def moved(price: Decimal, volatility_per_year: Decimal, common: Decimal, own: Decimal, terms: Weather) -> Decimal:
    """The next index price after a common and an own shock, to eight decimals and never below 1e-8."""
    per_step = volatility_per_year * terms.volatility / Decimal(STEPS_PER_YEAR).sqrt()
    own_share = (1 - terms.common * terms.common).sqrt()
    change = terms.drift + per_step * (terms.common * common + own_share * own)
    return max((price * (1 + change)).quantize(Decimal("1e-8")), Decimal("1e-8"))
