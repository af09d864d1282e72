"""How the venue answers: round trips with noise, slow times that all accounts share, refusals alone and in runs."""

from __future__ import annotations

import math
import random
from typing import Any, Final

from sandbox.orderflow.habits import Action, log_uniform, poisson
from sandbox.orderflow.market import MINUTES_A_DAY, Market

_SLOW_PER_DAY: Final = 0.35
_OVERLOADED_FROM: Final = 5.0
"""Unrest at which the venue starts to refuse and to be slow ("system overloaded", as in every crash)."""
_CANCELS: Final = 0.3


class Weather:
    """The venue's state, minute by minute: the same for every account, whatever it does."""

    def __init__(self, seed: int, market: Market) -> None:
        rng = random.Random(f"{seed} venue")
        lead = next(iter(market.tapes.values()))
        self.slowness = [1 + 0.12 * max(0.0, unrest - 1) for unrest in lead.unrest]
        self.refusing = [min(0.15, 0.02 * max(0.0, unrest - _OVERLOADED_FROM)) for unrest in lead.unrest]
        for _ in range(poisson(rng, _SLOW_PER_DAY * market.minutes / MINUTES_A_DAY)):
            begin, factor = rng.randrange(market.minutes), log_uniform(rng, 1.5, 4)
            for minute in range(begin, min(begin + rng.randint(1, 10), market.minutes)):
                self.slowness[minute] *= factor


class Connection:
    """One account's way to the venue."""

    def __init__(self, weather: Weather, market: Market, rng: random.Random, draw: random.Random) -> None:
        self._weather, self._market, self._rng = weather, market, rng
        self._usual_ms = log_uniform(draw, 4, 90)
        self._noise = draw.uniform(0.12, 0.4)
        self._spikes = draw.uniform(0.001, 0.008)
        self._refused = log_uniform(draw, 0.0005, 0.02)
        self._runs_per_day = draw.uniform(0, 0.4)
        self._refusing_until = 0.0

    def minute(self, at: int) -> None:
        """Now and then margin is short, or a filter was changed: orders are refused for some seconds."""
        if self._rng.random() < self._runs_per_day / MINUTES_A_DAY:
            self._refusing_until = self._market.start + 60 * at + self._rng.uniform(1, 8)

    def sent(self, action: Action) -> list[tuple[Any, ...]]:
        """The records of one action: itself as it was answered, and itself again when it was refused and retried."""
        first = self._answered(action)
        if not first[-1] or action.type != "new" or self._rng.random() < 0.4:
            return [first]
        again = action._replace(ts=action.ts + self._rng.uniform(0.1, 2.5))
        return [first, self._answered(again)]

    def _answered(self, action: Action) -> tuple[Any, ...]:
        rng = self._rng
        minute = min(int((action.ts - self._market.start) / 60), self._market.minutes - 1)
        took = self._usual_ms * self._weather.slowness[minute] * math.exp(self._noise * rng.gauss(0, 1))
        if rng.random() < self._spikes:
            took *= log_uniform(rng, 2, 8)
        chance = self._refused + self._weather.refusing[minute]
        if action.type == "cancel":
            chance *= _CANCELS  # Refused only when the order has just filled.
        elif action.ts < self._refusing_until:
            chance = 0.6
        return (*action, took, rng.random() < chance)
