"""One-minute candles of one price, bounded, and their aggregation into longer ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from sandbox.engine.model import ZERO

MINUTE_MS = 60_000
# A day and a bit: enough for the 24 h statistics, small enough to keep for every symbol and price.
MINUTES_KEPT = 1_500


@dataclass(slots=True, kw_only=True)
class Candle:
    """Prices and volumes of one interval starting at `open_ms`; `bought` is the taker-buy share of `volume`."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    turnover: Decimal = ZERO
    bought: Decimal = ZERO
    bought_turnover: Decimal = ZERO
    trades: int = 0


class CandleSeries:
    """The last `MINUTES_KEPT` one-minute candles of a price."""

    def __init__(self) -> None:
        self.minutes: deque[Candle] = deque(maxlen=MINUTES_KEPT)

    def touch(self, time_ms: int, price: Decimal) -> Candle:
        """Record that the price was `price` at `time_ms`; returns the minute's candle."""
        open_ms = time_ms - time_ms % MINUTE_MS
        if not self.minutes or self.minutes[-1].open_ms < open_ms:
            opening = self.minutes[-1].close if self.minutes else price
            self.minutes.append(Candle(open_ms=open_ms, open=opening, high=opening, low=opening, close=opening))
        candle = self.minutes[-1]
        candle.high = max(candle.high, price)
        candle.low = min(candle.low, price)
        candle.close = price
        return candle

    def add_trade(self, time_ms: int, price: Decimal, quantity: Decimal, buyer_is_taker: bool) -> None:
        """Record a trade of `quantity` base units."""
        candle = self.touch(time_ms, price)
        candle.volume += quantity
        candle.turnover += quantity * price
        candle.trades += 1
        if buyer_is_taker:
            candle.bought += quantity
            candle.bought_turnover += quantity * price

    def since(self, open_ms: int, interval_ms: int) -> list[Candle]:
        """Candles of `interval_ms` from the one that opened at `open_ms` on, oldest first."""
        recent = list(takewhile(lambda minute: minute.open_ms >= open_ms, reversed(self.minutes)))
        return _grouped(reversed(recent), interval_ms)

    def every(self, interval_ms: int) -> list[Candle]:
        """Candles of `interval_ms` (a multiple of one minute), oldest first, aligned to the epoch."""
        return _grouped(self.minutes, interval_ms)


def _grouped(minutes: Iterable[Candle], interval_ms: int) -> list[Candle]:
    groups: list[Candle] = []
    for minute in minutes:
        open_ms = minute.open_ms - minute.open_ms % interval_ms
        if not groups or groups[-1].open_ms != open_ms:
            groups.append(
                Candle(open_ms=open_ms, open=minute.open, high=minute.high, low=minute.low, close=minute.close)
            )
        group = groups[-1]
        group.high = max(group.high, minute.high)
        group.low = min(group.low, minute.low)
        group.close = minute.close
        group.volume += minute.volume
        group.turnover += minute.turnover
        group.bought += minute.bought
        group.bought_turnover += minute.bought_turnover
        group.trades += minute.trades
    return groups
