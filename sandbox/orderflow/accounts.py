"""The cast: two or more accounts of each way to trade, each drawn from the seed, and its orders without incidents.

What happens to every real bot happens here: deploys that change settings a little and start with orders placed anew,
pauses, a symbol more now and then, sizes that follow equity and step with a deposit or a withdrawal.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.orderflow.bots.dca import CostAveraging
from sandbox.orderflow.bots.funding_arbitrage import FundingArbitrage
from sandbox.orderflow.bots.grid import Grid
from sandbox.orderflow.bots.market_maker import MarketMaker
from sandbox.orderflow.bots.scalper import Scalper
from sandbox.orderflow.bots.trend import TrendFollower
from sandbox.orderflow.habits import Bot, Habits, log_uniform
from sandbox.orderflow.market import MINUTES_A_DAY, Market
from sandbox.orderflow.rows import Rows, to_rows
from sandbox.orderflow.venue import Connection, Weather


@dataclass(frozen=True, slots=True)
class Style:
    """A way to trade: who does it, how many symbols, sizes and their dispersion, weekends (each from, to)."""

    bot: Callable[[Habits, random.Random], Bot]
    symbols: tuple[int, int]
    notional: tuple[float, float]
    dispersion: tuple[float, float]
    weekend: tuple[float, float]


STYLES: Final[Mapping[str, Style]] = {
    "market-maker": Style(MarketMaker, (1, 3), (500, 8_000), (0.03, 0.25), (0.6, 1.0)),
    "grid": Style(Grid, (1, 4), (50, 1_500), (0.005, 0.15), (0.9, 1.0)),
    "trend": Style(TrendFollower, (3, 8), (3_000, 40_000), (0.1, 0.35), (0.8, 1.0)),
    "funding": Style(FundingArbitrage, (4, 8), (5_000, 50_000), (0.2, 0.5), (0.7, 1.0)),
    "dca": Style(CostAveraging, (1, 4), (20, 1_000), (0.005, 0.08), (0.0, 1.0)),
    "scalper": Style(Scalper, (1, 3), (300, 5_000), (0.15, 0.5), (0.0, 0.5)),
}
SPARE: Final = 3
"""Symbols that an account may take up later."""
_DEPLOYS_PER_DAY: Final = 1 / 8
_PAUSES_PER_DAY: Final = 1 / 12
_NEW_SYMBOLS_PER_DAY: Final = 1 / 25
_TRANSFERS_PER_DAY: Final = 1 / 45


def account_names(each: int = 2) -> list[str]:
    """`each` accounts of every style: market-maker-1 and on."""
    return [f"{style}-{number}" for style in STYLES for number in range(1, each + 1)]


def clean_rows(account: str, seed: int, market: Market, weather: Weather) -> Rows:
    """All orders of the account over the whole market, nothing wrong with it; the same seed, the same orders."""
    draw, rng = random.Random(f"{seed} {account} settings"), random.Random(f"{seed} {account} orders")
    style = STYLES[account.rpartition("-")[0]]
    habits = _habits(style, draw, rng, market)
    bot, connection = style.bot(habits, draw), Connection(weather, market, rng, draw)
    records: list[tuple[Any, ...]] = []
    for at, silent in _life(habits, rng, market.minutes):
        connection.minute(at)
        for action in bot.minute(at) if silent is None else bot.restarted(at) if silent else ():
            records += connection.sent(action)
    rows = to_rows(records)
    end = market.start + 60.0 * market.minutes
    return rows[rows["ts"] < end]


def _habits(style: Style, draw: random.Random, rng: random.Random, market: Market) -> Habits:
    names = list(market.tapes)
    count = min(draw.randint(*style.symbols), len(names) - SPARE)
    chosen = draw.sample(names, count + SPARE)
    return Habits(
        rng=rng,
        market=market,
        symbols=chosen[:count],
        spare=chosen[count:],
        notional=log_uniform(draw, *style.notional),
        dispersion=log_uniform(draw, *style.dispersion),
        weekend=draw.uniform(*style.weekend),
    )


def _life(habits: Habits, rng: random.Random, minutes: int) -> Iterator[tuple[int, bool | None]]:
    """Every minute, with None when the bot runs, False when it is away, True when it has just come back."""
    away_until = 0
    for at in range(minutes):
        if at and at % MINUTES_A_DAY == 0:
            habits.next_day()
        if _happens(rng, _DEPLOYS_PER_DAY):
            habits.deploy()
            away_until = at + rng.randint(1, 6)
        if _happens(rng, _PAUSES_PER_DAY):
            away_until = at + rng.randint(10, 90)
        if _happens(rng, _NEW_SYMBOLS_PER_DAY):
            habits.take_up_symbol()
        if _happens(rng, _TRANSFERS_PER_DAY):
            habits.notional *= rng.uniform(0.6, 1.8)
        yield at, (None if at > away_until or not away_until else at == away_until)


def _happens(rng: random.Random, per_day: float) -> bool:
    return rng.random() * MINUTES_A_DAY < per_day
