"""Which feed speaks for which stream name."""

from __future__ import annotations

from typing import assert_never

from sandbox.binance.call import Json
from sandbox.binance.market_events import (
    aggregate_trade_frame,
    book_ticker_frame,
    continuous_kline_frame,
    kline_frame,
    mark_price_frame,
    mini_ticker_frame,
    ticker_frame,
    trade_frame,
)
from sandbox.binance.stream_names import StreamKind, StreamName
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market
from sandbox.streams.book_feeds import DepthFeed, TopFeed
from sandbox.streams.event_feeds import ContractFeed, LiquidationFeed, TradeFeed
from sandbox.streams.feed import Feed
from sandbox.streams.price_feeds import KlineFeed, StateFeed


def open_feed(exchange: Exchange, name: StreamName) -> Feed | None:
    """The feed of a stream; None when its market is not listed (the venue accepts such names and stays silent)."""
    if name.symbol is not None and name.symbol not in exchange.markets:
        return None
    markets = list(exchange.markets.values()) if name.symbol is None else [exchange.markets[name.symbol]]
    match name.kind:
        case StreamKind.TRADE:
            return TradeFeed(exchange, markets[0], trade_frame)
        case StreamKind.AGGREGATE_TRADE:
            return TradeFeed(exchange, markets[0], aggregate_trade_frame)
        case StreamKind.MARK_PRICE:
            return StateFeed(exchange, markets, mark_price_frame, as_list=name.as_list, repeat=True)
        case StreamKind.KLINE | StreamKind.CONTINUOUS_KLINE:
            frame = kline_frame if name.kind is StreamKind.KLINE else continuous_kline_frame
            return KlineFeed(exchange, markets[0], name.candle, frame)
        case StreamKind.BOOK_TICKER:
            return StateFeed(exchange, markets, _observed_book_ticker, as_list=False)
        case StreamKind.TICKER:
            return StateFeed(exchange, markets, ticker_frame, as_list=name.as_list)
        case StreamKind.MINI_TICKER:
            return StateFeed(exchange, markets, mini_ticker_frame, as_list=name.as_list)
        case StreamKind.DEPTH:
            if name.levels is None:
                return DepthFeed(exchange, markets[0])
            return TopFeed(exchange, markets[0], name.levels)
        case StreamKind.LIQUIDATION:
            return LiquidationFeed(exchange, markets)
        case StreamKind.CONTRACT:
            return ContractFeed(exchange, markets)
        case _:
            assert_never(name.kind)


def _observed_book_ticker(market: Market, now_ms: int) -> Json:
    market.record.observe(market.levels)
    return book_ticker_frame(market, now_ms)
