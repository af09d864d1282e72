"""A trend follower: in when two averages cross, in slices; a stop behind the price that is moved along."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.orderflow.habits import Action, Habits, Side, opposite

_LOOKS_EVERY_MIN = 5


@dataclass(slots=True)
class _Symbol:
    fast: float
    slow: float
    side: Side | None = None
    notional: float = 0.0
    stop_bps: float = 0.0
    stopped_at: float = 0.0


class TrendFollower:
    """Few orders a day to some hundreds; sizes are larger when the market is calm."""

    def __init__(self, habits: Habits, draw: random.Random) -> None:
        self._habits = habits
        fast_h = draw.uniform(0.4, 2)
        self._fast = 1 - 0.5 ** (_LOOKS_EVERY_MIN / 60 / fast_h)
        self._slow = 1 - 0.5 ** (_LOOKS_EVERY_MIN / 60 / (fast_h * draw.uniform(3, 6)))
        self._slices = draw.randint(2, 9)
        self._slice_gap_s = draw.uniform(4, 45)
        self._stop_bps = draw.uniform(120, 350)
        self._band = draw.uniform(0.0008, 0.003)
        self._symbols: dict[str, _Symbol] = {}

    def minute(self, at: int) -> Iterator[Action]:
        """At every fifth minute it looks: turn round, or move the stop."""
        if at % _LOOKS_EVERY_MIN:
            return
        for symbol in self._habits.symbols:
            mark = self._habits.market.tapes[symbol].marks[at - 1 if at else 0]
            state = self._symbols.setdefault(symbol, _Symbol(mark, mark))
            state.fast += self._fast * (mark - state.fast)
            state.slow += self._slow * (mark - state.slow)
            gap = state.fast / state.slow - 1
            side: Side = "buy" if gap > 0 else "sell"
            if abs(gap) > self._band and side != state.side:
                yield from self._turn(symbol, state, side, at, mark)
            elif state.side is not None:
                yield from self._trail(symbol, state, state.side, at, mark)

    def restarted(self, at: int) -> Iterator[Action]:
        """Nothing: its stops rest at the venue."""
        return iter(())

    def _turn(self, symbol: str, state: _Symbol, side: Side, at: int, mark: float) -> Iterator[Action]:
        habits, rng = self._habits, self._habits.rng
        ts = habits.second(at) + rng.uniform(0.3, 4)
        if state.side is not None:
            yield Action(ts, "cancel", symbol, opposite(state.side), state.notional, state.stop_bps)
            ts += 0.5
        state.side = side
        state.notional = habits.size(symbol) / max(habits.unrest(symbol, at), 0.4) ** 0.7
        slices = max(1, round(self._slices * rng.uniform(0.7, 1.3)))
        for _ in range(slices):
            part = state.notional / slices * rng.uniform(0.85, 1.15)
            distance = rng.uniform(0.5, 6) if rng.random() < 0.7 else -rng.uniform(0.2, 3)
            yield Action(ts, "new", symbol, side, part, distance)
            if distance < 0 and rng.random() < 0.5:
                yield Action(ts + rng.uniform(1, 4), "amend", symbol, side, part, rng.uniform(0.5, 4))
            ts += self._slice_gap_s * rng.uniform(0.6, 1.5)
        state.stop_bps, state.stopped_at = self._stop_bps * habits.width * rng.uniform(0.9, 1.2), mark
        yield Action(ts, "new", symbol, opposite(side), state.notional, state.stop_bps)

    def _trail(self, symbol: str, state: _Symbol, side: Side, at: int, mark: float) -> Iterator[Action]:
        gone = (mark / state.stopped_at - 1) * (1 if side == "buy" else -1)
        if gone > self._stop_bps / 4e4:
            state.stopped_at = mark
            ts = self._habits.second(at) + self._habits.rng.uniform(0.3, 4)
            yield Action(ts, "amend", symbol, opposite(side), state.notional, state.stop_bps)
