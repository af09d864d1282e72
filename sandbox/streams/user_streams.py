"""User-data streams: each account's events, in order and through the armed faults, to all who hold its listen key."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from sandbox.binance.call import Json
from sandbox.binance.listen_keys import KeyState, ListenKeys
from sandbox.binance.user_events import LISTEN_KEY_EXPIRED, expired_frame, user_frames
from sandbox.engine.events import Event
from sandbox.engine.exchange import Exchange
from sandbox.stream_faults import StreamFaults
from sandbox.streams.listener import Listener, Message

# A lag longer than the queue can hold loses the oldest events, as a venue that sheds load does.
LAGGING_MAX = 10_000
_KEY_GONE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class _Hearing:
    """One listener's use of one key; `events` are the types it wants, None for all."""

    listener: Listener
    key: str = field(repr=False)
    events: frozenset[str] | None

    def deliver(self, frame: Json) -> None:
        message = Message(self.key, frame)
        if self.events is None or message.event in self.events or message.event == LISTEN_KEY_EXPIRED:
            self.listener.deliver(message)


@dataclass(slots=True, eq=False)
class _Stream:
    """One account's stream: who hears it, the event `reorder` holds back, and the events that lag."""

    hearings: list[_Hearing] = field(default_factory=list)
    held: list[Json] | None = None
    lagging: deque[tuple[float, list[Json]]] = field(default_factory=lambda: deque(maxlen=LAGGING_MAX))

    def deliver(self, frames: Iterable[Json]) -> None:
        for frame in frames:
            for hearing in list(self.hearings):
                hearing.deliver(frame)


class UserStreams:
    """Every account somebody listens to. An event nobody hears meets no fault and is gone, as on the venue."""

    def __init__(self, exchange: Exchange, listen_keys: ListenKeys, faults: StreamFaults) -> None:
        self._exchange = exchange
        self._listen_keys = listen_keys
        self._faults = faults
        self._streams: dict[str, _Stream] = {}
        exchange.events.subscribe(self._hear)

    def add(self, listener: Listener, account: str, key: str, events: frozenset[str] | None) -> None:
        """Let `listener` hear `account` from now on, as long as `key` is valid."""
        stream = self._streams.setdefault(account, _Stream())
        stream.hearings.append(_Hearing(listener, key, events))

    def remove(self, listener: Listener, key: str) -> None:
        """`listener` hears nothing more of `key`."""
        for account, stream in list(self._streams.items()):
            stream.hearings = [x for x in stream.hearings if x.listener is not listener or x.key != key]
            if not stream.hearings:
                del self._streams[account]

    def tick(self, now_s: float, now_ms: int) -> None:
        """Deliver what has lagged long enough (monotonic `now_s`) and part with keys that ended (wall `now_ms`)."""
        for account, stream in list(self._streams.items()):
            while stream.lagging and stream.lagging[0][0] <= now_s:
                late = stream.lagging.popleft()[1]
                # A frozen stream is silent: what comes due is lost too.
                if not self._frozen(account):
                    stream.deliver(late)
            for hearing in list(stream.hearings):
                self._part(account, hearing, now_ms)

    def release(self) -> None:
        """Deliver the events that `reorder` holds back."""
        for account, stream in self._streams.items():
            held, stream.held = stream.held, None
            if held is not None and not self._frozen(account):
                self._pass(stream, held)

    def listeners(self, accounts: frozenset[str] | None) -> set[Listener]:
        """Everybody who hears one of these accounts (None: any account)."""
        return {
            hearing.listener
            for account, stream in self._streams.items()
            if accounts is None or account in accounts
            for hearing in stream.hearings
        }

    def counts(self) -> dict[str, int]:
        """How many sockets hear each account."""
        return {account: len({x.listener for x in stream.hearings}) for account, stream in self._streams.items()}

    def _frozen(self, account: str) -> bool:
        return self._faults.freeze and self._faults.concern(account)

    def _hear(self, event: Event) -> None:
        stream = self._streams.get(event.account)
        if stream is None:
            return
        frames = user_frames(self._exchange, event)
        faults = self._faults
        if not faults.concern(event.account):
            self._pass(stream, frames)
        elif faults.freeze:
            return
        elif faults.drop > 0:
            faults.drop -= 1
        elif faults.duplicate > 0:
            faults.duplicate -= 1
            self._pass(stream, frames)
            self._pass(stream, frames)
        elif stream.held is not None:
            held, stream.held = stream.held, None
            self._pass(stream, frames)
            self._pass(stream, held)
        elif faults.reorder > 0:
            faults.reorder -= 1
            stream.held = frames
        else:
            self._pass(stream, frames)

    def _pass(self, stream: _Stream, frames: list[Json]) -> None:
        lag_s = self._faults.lag_ms / 1000
        if lag_s == 0 and not stream.lagging:
            stream.deliver(frames)
            return
        last_s = stream.lagging[-1][0] if stream.lagging else 0.0
        # Never before an event that is already on its way.
        stream.lagging.append((max(time.monotonic() + lag_s, last_s), frames))

    def _part(self, account: str, hearing: _Hearing, now_ms: int) -> None:
        state = self._listen_keys.state(account, hearing.key, now_ms)
        if state is KeyState.LIVE:
            return
        if state is KeyState.EXPIRED:
            hearing.deliver(expired_frame(self._exchange.now_ms, hearing.key))
        listener = hearing.listener
        self.remove(listener, hearing.key)
        listener.names.pop(hearing.key, None)
        if state is KeyState.CLOSED and not listener.names:
            listener.socket.close(_KEY_GONE, "listen key closed")
