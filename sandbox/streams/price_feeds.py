"""Feeds that state something: a price, a ticker, a candle."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sandbox.binance.call import Json
from sandbox.binance.klines import INTERVALS_MS
from sandbox.engine.candles import Candle
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market
from sandbox.streams.feed import Content, Feed, timeless


class StateFeed(Feed):
    """A state of one market or of all: said when it is not what was said last, or at every turn with `repeat`."""

    def __init__(
        self,
        exchange: Exchange,
        markets: Iterable[Market],
        frame: Callable[[Market, int], Json],
        *,
        as_list: bool,
        repeat: bool = False,
    ) -> None:
        self._exchange = exchange
        self._markets = list(markets)
        self._frame = frame
        self._as_list = as_list
        self._repeat = repeat
        self._said: dict[str, Json] = {}

    def due(self) -> list[Content]:
        frames = [self._frame(market, self._exchange.now_ms) for market in self._markets]
        new = [frame for frame in frames if self._repeat or timeless(frame) != self._said.get(str(frame["s"]))]
        self._said |= {str(frame["s"]): timeless(frame) for frame in new}
        if self._as_list:
            return [new] if new else []
        return list(new)

    def renew(self) -> None:
        self._said.clear()


class KlineFeed(Feed):
    """The candle in the making whenever it changes, and each candle once more, closed, when its time is over."""

    def __init__(self, exchange: Exchange, market: Market, interval: str, frame: Callable[..., Json]) -> None:
        self._exchange = exchange
        self._market = market
        self._interval = interval
        self._interval_ms = INTERVALS_MS[interval]
        self._frame = frame
        now_ms = market.candles.minutes[-1].open_ms
        self._open_ms = now_ms - now_ms % self._interval_ms
        self._said: Json = {}

    def due(self) -> list[Content]:
        candles = self._market.candles.since(self._open_ms, self._interval_ms)
        *done, making = candles
        frames: list[Content] = [self._say(candle, closed=True) for candle in done]
        self._open_ms = making.open_ms
        current = self._say(making, closed=False)
        if timeless(current) != self._said:
            self._said = timeless(current)
            frames.append(current)
        return frames

    def renew(self) -> None:
        self._said = {}

    def _say(self, candle: Candle, *, closed: bool) -> Json:
        return self._frame(
            self._market, candle, self._interval, self._interval_ms, self._exchange.now_ms, closed=closed
        )
