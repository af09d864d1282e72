"""Cost averaging: the same small purchase at the same times, more of it after a fall."""

from __future__ import annotations

import random
from collections.abc import Iterator

from sandbox.orderflow.habits import Action, Habits, weekday

_FALL = -0.05


class CostAveraging:
    """A few orders a day to some eighty. One kind buys day and night, the other within its hours of the day."""

    def __init__(self, habits: Habits, draw: random.Random) -> None:
        self._habits = habits
        self._every_min = draw.choice((60, 90, 120, 240, 360))
        self._offset_min = draw.randrange(self._every_min)
        self._from_h, self._hours = (draw.randint(5, 9), draw.randint(8, 13)) if draw.random() < 0.6 else (0, 24)
        self._skips = draw.uniform(0, 0.06)
        self._passive = draw.random() < 0.4
        self._late_s = draw.uniform(0.5, 12)

    def minute(self, at: int) -> Iterator[Action]:
        """One purchase of each symbol when it is time."""
        habits, rng = self._habits, self._habits.rng
        if at % self._every_min != self._offset_min:
            return
        minute_of_day = at % 1440
        if not self._from_h * 60 <= minute_of_day < (self._from_h + self._hours) * 60:
            return
        if weekday(habits.second(at)) >= 5 and rng.random() > habits.weekend:
            return
        for symbol in habits.symbols:
            if rng.random() < self._skips:
                continue
            fallen = habits.market.move(symbol, at, 1440) < _FALL
            size = habits.size(symbol) * (rng.choice((1.5, 2.0)) if fallen else 1.0)
            ts = habits.second(at) + self._late_s * rng.random()
            if self._passive:
                yield Action(ts, "new", symbol, "buy", size, -rng.uniform(1, 8) * habits.width)
                if rng.random() < 0.4:
                    ts += rng.uniform(60, 600)
                    yield Action(ts, "cancel", symbol, "buy", size, -rng.uniform(1, 30))
                    yield Action(ts + 0.4, "new", symbol, "buy", size, rng.uniform(1, 6))
            else:
                yield Action(ts, "new", symbol, "buy", size, rng.uniform(1, 8))

    def restarted(self, at: int) -> Iterator[Action]:
        """Nothing: it waits for its next time."""
        return iter(())
