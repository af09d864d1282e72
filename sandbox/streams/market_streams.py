"""Market streams: ask each feed at its interval, and hand what it says to everybody who subscribed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sandbox.binance.stream_names import StreamName
from sandbox.engine.events import Event
from sandbox.engine.exchange import Exchange
from sandbox.stream_faults import StreamFaults
from sandbox.streams.feed import Feed
from sandbox.streams.feeds import open_feed
from sandbox.streams.listener import Listener, Message

# A lag longer than the queue can hold loses the oldest messages, as a venue that sheds load does.
LAGGING_MAX = 10_000


@dataclass(slots=True, eq=False)
class _Stream:
    feed: Feed
    interval_s: float
    due_s: float = 0.0
    listeners: dict[Listener, None] = field(default_factory=dict)


class MarketStreams:
    """Every market stream somebody listens to."""

    def __init__(self, exchange: Exchange, faults: StreamFaults) -> None:
        self._exchange = exchange
        self._faults = faults
        self._streams: dict[str, _Stream] = {}
        self._lagging: deque[tuple[float, Message]] = deque(maxlen=LAGGING_MAX)
        exchange.events.subscribe(self._hear)

    def add(self, listener: Listener, name: str, meaning: StreamName) -> None:
        """Let `listener` hear the stream from now on; a market that is not listed stays silent."""
        stream = self._streams.get(name)
        if stream is None:
            feed = open_feed(self._exchange, meaning)
            if feed is None:
                return
            stream = self._streams[name] = _Stream(feed, meaning.interval_ms / 1000)
        stream.listeners[listener] = None
        stream.feed.renew()

    def remove(self, listener: Listener, name: str) -> None:
        """`listener` hears the stream no more; a stream without listeners forgets."""
        stream = self._streams.get(name)
        if stream is None:
            return
        stream.listeners.pop(listener, None)
        if not stream.listeners:
            del self._streams[name]

    def tick(self, now_s: float) -> None:
        """Send what is due. `now_s` is a monotonic clock; call it at least as often as the fastest stream."""
        for name, stream in self._streams.items():
            if stream.due_s > now_s:
                continue
            stream.due_s = now_s + stream.interval_s
            for content in stream.feed.due():
                self._lagging.append((now_s + self._faults.market_lag_ms / 1000, Message(name, content)))
        while self._lagging and self._lagging[0][0] <= now_s:
            message = self._lagging.popleft()[1]
            # A frozen stream loses what it would have said, so its feed is asked all the same.
            if not self._faults.market_freeze:
                self._deliver(message)

    def settle(self, now_s: float) -> None:
        """Say now what has happened so far, under the faults as they are: the next ones concern only what follows."""
        for stream in self._streams.values():
            stream.due_s = now_s
        self.tick(now_s)

    def _deliver(self, message: Message) -> None:
        stream = self._streams.get(message.stream)
        for listener in list(stream.listeners) if stream else ():
            listener.deliver(message)

    def _hear(self, event: Event) -> None:
        for stream in self._streams.values():
            stream.feed.hear(event)
