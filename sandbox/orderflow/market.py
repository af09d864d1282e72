"""The market that the bots trade in: a mark a minute for each symbol, and how restless it has just been.

Generated from a seed (volatility that clusters over hours and over days, jumps of one symbol or of all, busier
afternoons, calmer weekends, fat tails) or made of bars that somebody recorded (`bar_file`). The figures are of the size
seen on perpetual futures: 45 to 120 % volatility a year, correlations of some 0.6, a jump of one to several percent
every second or third day. They are no forecast of anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MINUTES_A_DAY: Final = 1440
FIRST_MONDAY: Final = 1_746_403_200.0  # 2025-05-05 00:00 UTC; seeds begin on this day or one of the six after it.
_BASES: Final = "BTC ETH SOL BNB XRP DOGE ADA LINK AVAX LTC DOT BCH NEAR APT ARB OP SUI FIL ATOM INJ TIA SEI AAVE UNI"
SYMBOLS: Final = tuple(f"{base}USDT" for base in _BASES.split())
_MINUTES_A_YEAR: Final = 525_600
_STEP_MIN: Final = 5  # Volatility changes every five minutes.
_COMMON: Final = 0.6  # Share of variance that all symbols have in common.
_TAIL: Final = 5  # Degrees of freedom of a minute's return.
_UNREST_HALF_LIFE_MIN: Final = 20
_UNREST_RANGE: Final = (0.25, 10.0)


@dataclass(frozen=True, slots=True)
class Tape:
    """One symbol. `marks`: at the end of each minute. `unrest`: the size of recent moves when the minute begins, over
    its usual (1)."""

    marks: list[float]
    unrest: list[float]


@dataclass(frozen=True, slots=True)
class Market:
    """`start`: unix seconds, a midnight; `minutes`: how many there are on every tape."""

    start: float
    minutes: int
    tapes: Mapping[str, Tape]

    def move(self, symbol: str, at: int, minutes: int = 1) -> float:
        """Log return of the mark over the minutes that end with minute `at` - 1; 0 before there are so many."""
        marks = self.tapes[symbol].marks
        if at - 1 - minutes < 0:
            return 0.0
        return float(np.log(marks[at - 1] / marks[at - 1 - minutes]))


def generated_market(seed: int, days: int) -> Market:
    """A market of `days` whole days from its seed; the same seed gives the same market."""
    rng = np.random.default_rng((seed, 1))
    count, minutes = len(SYMBOLS), days * MINUTES_A_DAY
    start = FIRST_MONDAY + 86_400.0 * float(rng.integers(7))
    jumps = _jumps(rng, minutes, count)
    log_volatility = _clusters(rng, minutes // _STEP_MIN, jumps.reshape(-1, _STEP_MIN, count))
    yearly = np.concatenate(([0.45, 0.6], rng.uniform(0.65, 1.2, count - 2)))
    volatility = yearly / np.sqrt(_MINUTES_A_YEAR) * np.repeat(np.exp(log_volatility), _STEP_MIN, axis=0)
    volatility *= _day_pattern(start + 60.0 * np.arange(minutes, dtype=np.float64))[:, None]
    unit = np.sqrt((_TAIL - 2) / _TAIL)
    shared = rng.standard_t(_TAIL, (minutes, 1)) * unit
    own = rng.standard_t(_TAIL, (minutes, count)) * unit
    returns = volatility * (np.sqrt(_COMMON) * shared + np.sqrt(1 - _COMMON) * own) + jumps
    # Fat tails have no end: bounded, so that no mark dies.
    marks = np.exp(rng.uniform(-1, 11, count) + np.cumsum(np.clip(returns, -0.3, 0.3), axis=0))
    return market_of(start, SYMBOLS, marks)


def market_of(start: float, symbols: tuple[str, ...], marks: Floats) -> Market:
    """The market with these marks, one row a minute and one column a symbol."""
    unrest = _unrest(marks)
    tapes = {name: Tape(marks[:, i].tolist(), unrest[:, i].tolist()) for i, name in enumerate(symbols)}
    return Market(start, len(marks), tapes)


def _jumps(rng: np.random.Generator, minutes: int, count: int) -> Floats:
    """Sudden returns: of all symbols 0.3 times a day, of one alone every tenth day."""
    everyone = (rng.random((minutes, 1)) < 0.3 / MINUTES_A_DAY) * _jump_sizes(rng, (minutes, 1))
    alone = (rng.random((minutes, count)) < 0.1 / MINUTES_A_DAY) * _jump_sizes(rng, (minutes, count))
    jumps: Floats = everyone * rng.uniform(0.7, 1.5, count) + alone
    return jumps


def _jump_sizes(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.choice([-1.0, 1.0], shape) * np.minimum(0.006 * (1 + rng.pareto(2.5, shape)), 0.15)


def _clusters(rng: np.random.Generator, steps: int, jumps: npt.NDArray[Any]) -> Floats:
    """Log of volatility over its mean, a row for five minutes: what lasts days, what lasts hours, and after jumps."""
    count = jumps.shape[2]
    kicks = 1.2 * (np.abs(jumps).max(axis=1) > 0)
    log_volatility: Floats = np.zeros((steps, count))
    for half_life_min, spread, added in ((2880, 0.3, 0.0), (180, 0.35, 0.0), (45, 0.0, kicks)):
        stays = 0.5 ** (_STEP_MIN / half_life_min)
        noise = np.sqrt(0.7) * rng.standard_normal((steps, 1)) + np.sqrt(0.3) * rng.standard_normal((steps, count))
        state = spread * noise[0]
        shocks = spread * np.sqrt(1 - stays**2) * noise + added
        for step in range(steps):
            state = stays * state + shocks[step]
            log_volatility[step] += state
        log_volatility -= spread**2  # Half of twice the variance: the mean of the square stays one.
    return log_volatility


def _day_pattern(ts: Floats) -> Floats:
    hour = ts % 86_400 / 3600
    weekend = (ts // 86_400 + 3) % 7 >= 5
    pattern: Floats = (1 + 0.35 * np.cos((hour - 15) * 2 * np.pi / 24)) * np.where(weekend, 0.7, 1.0)
    return pattern


def _unrest(marks: Floats) -> Floats:
    moves = np.abs(np.diff(np.log(marks), axis=0, prepend=np.log(marks[:1])))
    stays = 0.5 ** (1 / _UNREST_HALF_LIFE_MIN)
    seen: Floats = np.empty_like(moves)
    state = moves[: MINUTES_A_DAY // 4].mean(axis=0)
    for minute in range(len(moves)):
        seen[minute] = state  # Before this minute's own move: nobody reacts to what has not happened.
        state = stays * state + (1 - stays) * moves[minute]
    usual = np.median(seen, axis=0)
    return np.clip(seen / np.where(usual > 0, usual, 1.0), *_UNREST_RANGE)
