"""Funding arbitrage: large orders around the funding times, worked passively; little in between."""

from __future__ import annotations

import random
from collections.abc import Iterator

from sandbox.orderflow.habits import Action, Habits, Side, opposite, poisson

_FUNDING_EVERY_MIN = 480


class FundingArbitrage:
    """Before a funding time it puts positions on where funding pays, after it takes some of them off."""

    def __init__(self, habits: Habits, draw: random.Random) -> None:
        self._habits = habits
        self._before_min = draw.randint(12, 45)
        self._takes_part = draw.uniform(0.35, 0.85)
        self._children = draw.uniform(1.5, 6)
        self._patience_s = draw.uniform(6, 40)
        self._rebalances_per_day = draw.uniform(1, 8)

    def minute(self, at: int) -> Iterator[Action]:
        """Its turn before each funding time, its turn after, and rebalancing at any moment."""
        habits, rng = self._habits, self._habits.rng
        into = at % _FUNDING_EVERY_MIN
        if into == _FUNDING_EVERY_MIN - self._before_min:
            yield from self._campaign(at, self._takes_part * habits.pace * habits.week(at), self._before_min * 45.0)
        if into == 2:
            yield from self._campaign(at, 0.4 * self._takes_part * habits.pace * habits.week(at), 600.0)
        for ts in habits.moments(at, self._rebalances_per_day * habits.pace / 1440):
            yield from self._worked(rng.choice(habits.symbols), self._side(), ts, 0.4)

    def restarted(self, at: int) -> Iterator[Action]:
        """Nothing: it waits for its next time."""
        return iter(())

    def _campaign(self, at: int, share: float, within_s: float) -> Iterator[Action]:
        habits, rng = self._habits, self._habits.rng
        for symbol in habits.symbols:
            if rng.random() >= share:
                continue
            side = self._side()
            for _ in range(1 + poisson(rng, self._children)):
                yield from self._worked(symbol, side, habits.second(at) + within_s * rng.random(), 1.0)

    def _worked(self, symbol: str, side: Side, ts: float, part: float) -> Iterator[Action]:
        """Placed at the touch, moved along while it does not fill, crossed or taken away in the end."""
        habits, rng = self._habits, self._habits.rng
        size = habits.size(symbol) * part
        yield Action(ts, "new", symbol, side, size, -rng.uniform(0.1, 3) * habits.width)
        for _ in range(poisson(rng, 1.2)):
            ts += self._patience_s * rng.uniform(0.5, 1.6)
            yield Action(ts, "amend", symbol, side, size, -rng.uniform(0.1, 2) * habits.width)
        last = rng.random()
        if last < 0.2:
            ts += self._patience_s * rng.uniform(0.5, 1.6)
            yield Action(ts, "cancel", symbol, side, size, -rng.uniform(0.1, 4))
        elif last < 0.45:
            ts += self._patience_s * rng.uniform(0.5, 1.6)
            yield Action(ts, "new", symbol, side, size * rng.uniform(0.3, 1), rng.uniform(0.5, 6))
        if last > 0.9:
            yield Action(ts + 1, "new", symbol, opposite(side), size * rng.uniform(0.05, 0.3), rng.uniform(0.5, 6))

    def _side(self) -> Side:
        return "buy" if self._habits.rng.random() < 0.5 else "sell"
