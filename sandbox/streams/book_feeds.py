"""Feeds of the order book: its changes, and its top."""

from __future__ import annotations

from itertools import islice

from sandbox.binance.market_events import depth_frame
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market
from sandbox.engine.model import Side
from sandbox.streams.feed import Content, Feed


class DepthFeed(Feed):
    """The levels touched since the last frame. Frames are chained: `pu` is the last one's `u`."""

    def __init__(self, exchange: Exchange, market: Market) -> None:
        self._exchange = exchange
        self._market = market
        market.record.observe(market.levels)
        self._said_id = market.record.update_id

    def due(self) -> list[Content]:
        record = self._market.record
        record.observe(self._market.levels)
        touched = record.since(self._said_id)
        if not any(touched.values()):
            return []
        previous_id, self._said_id = self._said_id, record.update_id
        frame = depth_frame(
            self._market,
            self._exchange.now_ms,
            touched,
            first_id=previous_id + 1,
            final_id=record.update_id,
            previous_id=previous_id,
        )
        return [frame]


class TopFeed(Feed):
    """The best levels of both sides, whenever one of them changed."""

    def __init__(self, exchange: Exchange, market: Market, levels: int) -> None:
        self._exchange = exchange
        self._market = market
        self._levels = levels
        self._said: object = None
        self._said_id = market.record.update_id

    def due(self) -> list[Content]:
        book = self._market.record.observe(self._market.levels)
        top = {side: dict(islice(book[side].items(), self._levels)) for side in Side}
        if top == self._said:
            return []
        previous_id, final_id = self._said_id, self._market.record.update_id
        self._said, self._said_id = top, final_id
        frame = depth_frame(
            self._market,
            self._exchange.now_ms,
            top,
            first_id=min(previous_id + 1, final_id),
            final_id=final_id,
            previous_id=previous_id,
        )
        return [frame]

    def renew(self) -> None:
        self._said = None
