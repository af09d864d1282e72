"""A scalper: trades that excite further trades (Hawkes 1971), within its hours, in bursts of several a second."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from sandbox.orderflow.habits import Action, Habits, Side, hour, opposite, poisson

_BURST_MAX = 400


class Scalper:
    """Each trade has `branching` others in its wake on average, the first of them within seconds."""

    def __init__(self, habits: Habits, draw: random.Random) -> None:
        self._habits = habits
        self._from_h = draw.uniform(5, 9)
        self._hours = draw.uniform(9, 14)
        self._per_hour = draw.uniform(15, 70)
        self._branching = draw.uniform(0.45, 0.75)
        self._decay_s = draw.uniform(0.6, 4)
        self._takes = draw.uniform(0.3, 0.8)
        self._side: dict[str, Side] = {}

    def minute(self, at: int) -> Iterator[Action]:
        """First trades as the market moves, with all that follows from each."""
        habits, rng = self._habits, self._habits.rng
        open_ = self._open(habits.second(at))
        if open_ <= 0:
            return
        for symbol in habits.symbols:
            mean = self._per_hour / 60 * open_ * habits.pace * habits.week(at) * habits.unrest(symbol, at) ** 0.8
            for ts in habits.moments(at, min(mean, 12)):
                for trade in self._burst(ts):
                    yield from self._trade(symbol, trade, rng)

    def restarted(self, at: int) -> Iterator[Action]:
        """Nothing: it starts flat."""
        return iter(())

    def _open(self, ts: float) -> float:
        """0 outside its hours, up to 1 in the middle of them."""
        into = (hour(ts) - self._from_h) / self._hours
        return math.sin(math.pi * into) ** 0.5 if 0 < into < 1 else 0.0

    def _burst(self, first: float) -> list[float]:
        """The first trade and all its offspring."""
        rng = self._habits.rng
        moments = [first]
        for moment in moments:
            if len(moments) < _BURST_MAX:
                moments += [moment + rng.expovariate(1 / self._decay_s) for _ in range(poisson(rng, self._branching))]
        return moments

    def _trade(self, symbol: str, ts: float, rng: random.Random) -> Iterator[Action]:
        habits = self._habits
        side = self._side.get(symbol, "buy")
        if rng.random() < 0.35:
            side = self._side[symbol] = opposite(side)
        size = habits.size(symbol)
        if rng.random() < self._takes:
            yield Action(ts, "new", symbol, side, size, rng.uniform(0.2, 4) * habits.width)
            return
        distance = -rng.uniform(0.1, 3) * habits.width
        yield Action(ts, "new", symbol, side, size, distance)
        if rng.random() < 0.55:
            yield Action(
                ts + rng.expovariate(1 / 3) + 0.2, "cancel", symbol, side, size, distance - rng.expovariate(0.5)
            )
        elif rng.random() < 0.4:
            yield Action(ts + rng.expovariate(1 / 2) + 0.2, "amend", symbol, side, size, -rng.uniform(0.1, 2))
