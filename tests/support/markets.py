"""Generated markets: seeded bars whose volatility clusters, with jumps. Enough like a perpetual to be forecast."""

from __future__ import annotations

import math

import numpy as np

Bar = tuple[float, float, float, float, float, float]
"""ts (close, unix seconds), open, high, low, close, volume."""

START = 1_600_000_000 // 604_800 * 604_800 + 4 * 86_400
"""A Monday, midnight UTC."""


def clustered_bars(
    hours: int, *, seed: int, bars_an_hour: int = 1, jump_chance: float = 0.0005, start: int = START
) -> list[Bar]:
    """Log volatility is a slow and a fast autoregression; jumps have ten times the hour's scale.

    Within a bar the price takes sixty steps, or eight in bars of a minute: with few, ranges say too little of variance.
    """
    source = np.random.default_rng(seed)
    count, steps = hours * bars_an_hour, max(8, 60 // bars_an_hour)
    slow = _autoregression(source, count, 0.998 ** (1 / bars_an_hour), 0.45)
    fast = _autoregression(source, count, 0.85 ** (1 / bars_an_hour), 0.35)
    scale = 0.007 / math.sqrt(bars_an_hour) * np.exp(slow + fast)
    moves = source.standard_normal((count, steps)) * (scale / math.sqrt(steps))[:, None]
    jumps = source.uniform(size=count) < jump_chance / bars_an_hour
    moves[jumps, 3] += source.choice([-1, 1], jumps.sum()) * 10 * 0.007
    path = np.cumsum(moves.ravel()).reshape(count, steps) + math.log(100)
    opened = np.concatenate([[math.log(100)], path[:-1, -1]])
    prices = np.exp(np.column_stack([opened, path]))
    closes = start + (np.arange(count) + 1) * 3600 / bars_an_hour
    volume = 1000 * np.exp(fast + 0.3 * source.standard_normal(count))
    return list(
        zip(
            closes.tolist(), prices[:, 0].tolist(), prices.max(axis=1).tolist(), prices.min(axis=1).tolist(),
            prices[:, -1].tolist(), volume.tolist(), strict=True,
        )
    )  # fmt: skip


def _autoregression(source: np.random.Generator, count: int, keep: float, spread: float) -> np.ndarray:
    noise = source.standard_normal(count) * spread * math.sqrt(1 - keep * keep)
    values, value = np.empty(count), spread * source.standard_normal()
    for n in range(count):
        value = keep * value + noise[n]
        values[n] = value
    return values
