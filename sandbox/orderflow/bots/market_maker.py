"""A market maker: quotes on both sides, moved all day long, wider and more often when the market moves."""

from __future__ import annotations

import random
from collections.abc import Iterator

from sandbox.orderflow.habits import Action, Habits, MessageType, Side, poisson, spread_out

SIDES: tuple[Side, Side] = ("buy", "sell")
# A move within a minute at which quotes are pulled, in halves of the spread that is quoted then.
_PULL_HALF_SPREADS = 9.0


class MarketMaker:
    """Some amend their quotes, some cancel and place anew; each has its spread, its levels and its temper."""

    def __init__(self, habits: Habits, draw: random.Random) -> None:
        self._habits = habits
        self._half_spread_bps = draw.uniform(2, 9)
        self._step_bps = draw.uniform(1, 5)
        self._levels = draw.choice((1, 2, 2, 3))
        self._rounds_per_min = draw.uniform(0.15, 0.45)
        self._amends = draw.random() < 0.5
        self._gap_s = draw.uniform(0.008, 0.06)
        self._hedges = draw.uniform(0.02, 0.15)
        self._lean = dict.fromkeys((*habits.symbols, *habits.spare), 0.0)
        self._away_until: dict[str, int] = {}

    def minute(self, at: int) -> Iterator[Action]:
        """Rounds of quotes, orders in place of filled ones, hedges, and no quotes at all after a jump."""
        habits, rng = self._habits, self._habits.rng
        for symbol in habits.symbols:
            if at < self._away_until.get(symbol, 0):
                continue
            unrest = habits.unrest(symbol, at)
            wide = self._half_spread_bps * habits.width * max(unrest, 0.6) ** 0.6
            if abs(habits.market.move(symbol, at)) * 1e4 > _PULL_HALF_SPREADS * max(wide, 5.0):
                self._away_until[symbol] = at + rng.randint(1, 4)
                yield from self._all("cancel", symbol, habits.second(at) + rng.random(), wide)
                yield from self._all("new", symbol, habits.second(self._away_until[symbol]) + 3 * rng.random(), wide)
                continue
            rounds = self._rounds_per_min * habits.pace * habits.week(at) * unrest**0.7
            for ts in habits.moments(at, min(rounds, 12)):
                self._lean[symbol] = 0.8 * self._lean[symbol] + rng.gauss(0, 0.25)
                if self._amends:
                    yield from self._all("amend", symbol, ts, wide)
                else:
                    yield from self._all("cancel", symbol, ts, wide)
                    yield from self._all("new", symbol, ts + 2.5 * self._levels * self._gap_s, wide)
            for ts in habits.moments(at, 0.12 * habits.pace * min(unrest, 4)):
                yield from self._filled(symbol, ts, wide)

    def restarted(self, at: int) -> Iterator[Action]:
        """All quotes anew."""
        for symbol in self._habits.symbols:
            yield from self._all(
                "new", symbol, self._habits.second(at) + self._habits.rng.random(), self._half_spread_bps
            )

    def _all(self, what: MessageType, symbol: str, ts: float, wide: float) -> Iterator[Action]:
        rng = self._habits.rng
        lean = self._lean[symbol] * 0.3 * wide
        quotes = [
            (
                what,
                symbol,
                side,
                self._habits.size(symbol) * (1 + 0.3 * level),
                -max(
                    0.1,
                    (wide + level * self._step_bps) * (1 + 0.08 * rng.gauss(0, 1)) + (lean if side == "buy" else -lean),
                ),
            )
            for level in range(self._levels)
            for side in SIDES
        ]
        return spread_out(quotes, ts, self._gap_s * rng.uniform(0.7, 1.5))

    def _filled(self, symbol: str, ts: float, wide: float) -> Iterator[Action]:
        rng = self._habits.rng
        side = rng.choice(SIDES)
        yield Action(ts, "new", symbol, side, self._habits.size(symbol), -wide * rng.uniform(0.8, 1.3))
        if rng.random() < self._hedges:
            size = self._habits.size(symbol) * (1 + poisson(rng, 0.7))
            yield Action(ts + rng.uniform(0.05, 2), "new", symbol, side, size, rng.uniform(0.5, 5))
