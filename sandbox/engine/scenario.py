"""The weather: how index prices drift and shake at each step of a scripted scenario.

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

CRASH_STEPS = 10 * 60 * 1000 // STEP_MS
CRASH_RATIO = Decimal("0.7")
TREND_PER_HOUR = Decimal("0.03")


class Scenario(StrEnum):
    """The scripts that can be played."""

    FLAT = "flat"
    CALM = "calm"
    TREND = "trend"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Weather:
    """One step's terms: drift per step, volatility multiplier, and how much of the shock all symbols share."""

    drift: Decimal
    volatility: Decimal
    common: Decimal


# Two symbols correlate by common**2; own**2 = 1 - common**2 keeps each one's volatility the same.
CALM = Weather(ZERO, Decimal(1), Decimal("0.8"))
_AFTERMATH = Weather(ZERO, Decimal(2), Decimal("0.9"))
_CRASH_DRIFT = (CRASH_RATIO.ln() / CRASH_STEPS).exp() - 1
_TREND_DRIFT = ((1 + TREND_PER_HOUR).ln() / (3600 * 1000 // STEP_MS)).exp() - 1


def weather(scenario: Scenario, steps_elapsed: int) -> Weather | None:
    """The terms of a step, `steps_elapsed` steps after the scenario began; None when prices must not move at all."""
    match scenario:
        case Scenario.FLAT:
            return None
        case Scenario.CALM:
            return CALM
        case Scenario.TREND:
            return Weather(_TREND_DRIFT, Decimal(1), Decimal("0.8"))
        case Scenario.CRASH:
            if steps_elapsed < CRASH_STEPS:
                # The fall is scripted to the last digit of its drift; small noise keeps -30 % recognisable.
                return Weather(_CRASH_DRIFT, Decimal("0.5"), Decimal(1))
            return _AFTERMATH


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
