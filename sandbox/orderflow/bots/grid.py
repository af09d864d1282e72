"""A grid: resting orders at equal steps; each that fills is answered one step away; it follows a price that leaves."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from sandbox.orderflow.habits import Action, Habits, Side, spread_out


class Grid:
    """Busy exactly when the price moves: it sends what the marks' crossings of its steps make it send."""

    def __init__(self, habits: Habits, draw: random.Random) -> None:
        self._habits = habits
        self._step_bps = draw.uniform(12, 40)
        self._levels = draw.randint(6, 20)
        self._gap_s = draw.uniform(0.04, 0.3)
        self._centre: dict[str, int] = {}
        self._at: dict[str, int] = {}

    def minute(self, at: int) -> Iterator[Action]:
        """An order for each step that was crossed; all of them anew when the price has left the grid."""
        habits, rng = self._habits, self._habits.rng
        for symbol in habits.symbols:
            step = self._step_bps * habits.width
            now = math.floor(math.log(habits.market.tapes[symbol].marks[at - 1 if at else 0]) * 1e4 / step)
            if symbol not in self._centre:
                self._centre[symbol] = self._at[symbol] = now
                yield from self._laid_out(symbol, habits.second(at) + 5 * rng.random())
            before, self._at[symbol] = self._at[symbol], now
            side: Side = "sell" if now < before else "buy"
            begin = habits.second(at)
            for ts in sorted(begin + 60 * rng.random() for _ in range(min(abs(now - before), self._levels))):
                yield Action(ts, "new", symbol, side, habits.size(symbol), -step * rng.uniform(0.75, 1.25))
            if abs(now - self._centre[symbol]) > self._levels:
                self._centre[symbol] = now
                yield from self._laid_out(symbol, begin + 60 + 20 * rng.random(), first_cancel=True)

    def restarted(self, at: int) -> Iterator[Action]:
        """The grid anew around the price of the moment."""
        for symbol in self._habits.symbols:
            yield from self._laid_out(
                symbol, self._habits.second(at) + 20 * self._habits.rng.random(), first_cancel=True
            )

    def _laid_out(self, symbol: str, ts: float, *, first_cancel: bool = False) -> Iterator[Action]:
        habits, rng = self._habits, self._habits.rng
        sides: tuple[Side, Side] = ("buy", "sell")
        places = [(side, level) for level in range(1, self._levels + 1) for side in sides]
        step = self._step_bps * habits.width
        gap = self._gap_s * rng.uniform(0.8, 1.4)
        if first_cancel:
            left = [place for place in places if rng.random() < 0.6]
            yield from spread_out(
                (("cancel", symbol, side, habits.size(symbol), -step * level) for side, level in left), ts, gap
            )
            ts += len(left) * gap + rng.uniform(0.2, 2)
        yield from spread_out(
            (("new", symbol, side, habits.size(symbol), -step * (level - rng.random())) for side, level in places),
            ts,
            gap,
        )
