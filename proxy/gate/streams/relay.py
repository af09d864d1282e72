"""Who follows which market stream. The venue is asked for each stream once, however many bots want it.

A message is passed on with the bytes it came with, and encoded at most twice: wrapped and bare.

A bot that builds an order book from differences cannot go on after a lost one, and not every bot checks: when the
connection to the venue breaks, those bots are closed at once and start anew. The others keep their sockets, as they
would through a lag of the venue, until ``feed.DOWN_MAX_S`` have passed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from websockets.frames import CloseCode

from proxy.gate.streams.admission import FrameSocket
from proxy.gate.streams.feed import ANSWER_TIMEOUT_S, DOWN_MAX_S, Feed, FeedListener
from proxy.gate.streams.frames import text_frame
from proxy.venues.binance.streams import Category, Stream

log = logging.getLogger("perpguard.gate")

FEEDS_PER_CATEGORY_MAX: Final = 8
"""Connections to one endpoint of the venue, of 200 streams each."""

_CONFIRM_MAX_S: Final = DOWN_MAX_S + ANSWER_TIMEOUT_S + 1
"""By then a follower of a stream that is not confirmed has been closed."""


class NoRoom(Exception):
    """All connections to that endpoint of the venue are full."""


@dataclass(slots=True, eq=False)
class Follower:
    """A bot on the market streams, and whether it wants messages wrapped."""

    socket: FrameSocket
    combined: bool


@dataclass(slots=True)
class _Topic:
    stream: Stream
    feed: Feed
    confirmed: asyncio.Event
    followers: dict[Follower, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    feed: Feed
    task: asyncio.Task[None]


class Relay:
    """The market streams of one gate process. ``base_url`` has the scheme ``ws`` or ``wss`` and no path of a stream."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._topics: dict[str, _Topic] = {}
        self._feeds: dict[Category, list[_Running]] = {category: [] for category in Category}
        self._listener = FeedListener(event=self._pass_on, lost=self._lost, down=self._silent, refused=self._refused)

    def follow(self, stream: Stream, follower: Follower) -> None:
        """Pass on a stream from now on. Raises ``NoRoom``."""
        topic = self._topics.get(stream.name)
        if topic is None:
            feed = self._feed_with_room(stream.category)
            topic = self._topics[stream.name] = _Topic(stream, feed, feed.add(stream.name))
        topic.followers[follower] = None

    def unfollow(self, stream: Stream, follower: Follower) -> None:
        """Pass it on no more."""
        topic = self._topics.get(stream.name)
        if topic is None or follower not in topic.followers:
            return
        del topic.followers[follower]
        if not topic.followers:
            del self._topics[stream.name]
            topic.feed.remove(stream.name)

    async def confirmed(self, streams: Iterable[Stream]) -> bool:
        """Whether the venue has said, or says soon, that it sends all these streams, which are followed."""
        try:
            async with asyncio.timeout(_CONFIRM_MAX_S):
                for stream in streams:
                    if (topic := self._topics.get(stream.name)) is None:
                        return False
                    await topic.confirmed.wait()
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Close the connections to the venue."""
        tasks = [running.task for feeds in self._feeds.values() for running in feeds]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _feed_with_room(self, category: Category) -> Feed:
        feeds = self._feeds[category]
        for running in feeds:
            if not running.feed.full:
                return running.feed
        if len(feeds) >= FEEDS_PER_CATEGORY_MAX:
            raise NoRoom
        feed = Feed(f"{self._base_url}/{category}/stream", self._listener)
        running = _Running(feed, asyncio.create_task(feed.run()))
        running.task.add_done_callback(self._died(running, feeds))
        feeds.append(running)
        return feed

    def _died(self, running: _Running, feeds: list[_Running]) -> Callable[[asyncio.Task[None]], None]:
        def died(task: asyncio.Task[None]) -> None:
            if task.cancelled() or (bug := task.exception()) is None:
                return
            log.error("a market stream connection ended with a bug in the guard", exc_info=bug)
            feeds.remove(running)
            names = [name for name, topic in self._topics.items() if topic.feed is running.feed]
            self._close(names, CloseCode.INTERNAL_ERROR, "GUARD INTERNAL")
            for name in names:
                del self._topics[name]

        return died

    # What the feeds tell.

    def _pass_on(self, name: str, message: bytes, data: bytes) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return  # Still on its way when the last follower left.
        wrapped = bare = b""
        for follower in topic.followers:
            if follower.combined:
                wrapped = wrapped or text_frame(message)
                follower.socket.send_frame(wrapped)
            else:
                bare = bare or text_frame(data)
                follower.socket.send_frame(bare)

    def _lost(self, names: Iterable[str]) -> None:
        incremental = [name for name in names if self._topics[name].stream.incremental]
        self._close(incremental, CloseCode.SERVICE_RESTART, "messages of the venue were lost: take a new snapshot")

    def _silent(self, names: Iterable[str]) -> None:
        self._close(names, CloseCode.SERVICE_RESTART, "GUARD VENUE_UNREACHABLE: the venue sends nothing")

    def _refused(self, name: str) -> None:
        self._close([name], CloseCode.POLICY_VIOLATION, "GUARD UNKNOWN_STREAM: the venue refuses a stream")
        for follower in tuple(self._topics[name].followers):
            self.unfollow(self._topics[name].stream, follower)

    def _close(self, names: Iterable[str], code: CloseCode, reason: str) -> None:
        for name in names:
            for follower in self._topics[name].followers:
                follower.socket.close(code, reason)
