"""Feeds of things that happen once: trades, forced executions, changes of a contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile

from sandbox.binance.market_events import contract_frame, liquidation_frame
from sandbox.engine.events import Event, Execution, OrderChanged
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market, PublicTrade
from sandbox.streams.feed import Content, Feed


class TradeFeed(Feed):
    """Every trade once. A market keeps the last thousand, so a clock fast enough to print more in a turn loses some."""

    def __init__(
        self, exchange: Exchange, market: Market, frame: Callable[[Market, PublicTrade, int], Content]
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._frame = frame
        self._last_id = market.tape[-1].trade_id if market.tape else 0

    def due(self) -> list[Content]:
        new = list(takewhile(lambda trade: trade.trade_id > self._last_id, reversed(self._market.tape)))
        if new:
            self._last_id = new[0].trade_id
        return [self._frame(self._market, trade, self._exchange.now_ms) for trade in reversed(new)]


class LiquidationFeed(Feed):
    """Forced executions, at most the latest of each symbol a turn, as on the venue."""

    def __init__(self, exchange: Exchange, markets: Iterable[Market]) -> None:
        self._exchange = exchange
        self._symbols = {market.instrument.symbol for market in markets}
        self._latest: dict[str, Content] = {}

    def due(self) -> list[Content]:
        frames = list(self._latest.values())
        self._latest.clear()
        return frames

    def hear(self, event: Event) -> None:
        if (
            isinstance(event, OrderChanged)
            and event.execution is Execution.FORCED
            and event.order.symbol in self._symbols
        ):
            market = self._exchange.market(event.order.symbol)
            self._latest[event.order.symbol] = liquidation_frame(market, event)


class ContractFeed(Feed):
    """Contracts whose trading status has changed."""

    def __init__(self, exchange: Exchange, markets: Iterable[Market]) -> None:
        self._exchange = exchange
        self._markets = list(markets)
        self._statuses = {market.instrument.symbol: market.status for market in self._markets}

    def due(self) -> list[Content]:
        frames: list[Content] = []
        for market in self._markets:
            symbol = market.instrument.symbol
            if self._statuses[symbol] is not market.status:
                self._statuses[symbol] = market.status
                frames.append(contract_frame(market, self._exchange.now_ms))
        return frames
