"""Every WebSocket of the practice exchange: who may come in, what each hears, and the clock that sends it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import assert_never

from sandbox.asgi import Receive, Scope, Send
from sandbox.binance.dialect import BinanceDialect
from sandbox.binance.stream_names import STREAMS_MAX, may_be_listen_key, read_stream
from sandbox.engine.exchange import Exchange
from sandbox.stream_faults import StreamFaults
from sandbox.streams.commands import answer
from sandbox.streams.endpoints import StreamDoor, TradingDoor, read_door
from sandbox.streams.listener import Listener
from sandbox.streams.market_streams import MarketStreams
from sandbox.streams.socket import Socket
from sandbox.streams.trading_socket import Answer, TradingSocket
from sandbox.streams.user_streams import UserStreams

TICK_S = 0.05
# Binance USD-M "WebSocket market streams": ten incoming messages a second, beyond which a connection is closed.
COMMANDS_PER_SECOND = 10
# Open at one time, stream and trading sockets together.
SOCKETS_MAX = 1_000
_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001


class StreamHub:
    """Serves stream and trading sockets; `answer_request` is the way every request takes, REST or not."""

    def __init__(
        self,
        exchange: Exchange,
        dialect: BinanceDialect,
        faults: StreamFaults,
        answer_request: Answer,
    ) -> None:
        self._dialect = dialect
        self._faults = faults
        self._answer_request = answer_request
        self._markets = MarketStreams(exchange, faults)
        self._users = UserStreams(exchange, dialect.listen_keys, faults)
        self._listeners: set[Listener] = set()
        self._sockets = 0

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            self._markets.tick(now_s)
            self._users.tick(now_s, _now_ms())

    async def serve(self, scope: Scope, receive: Receive, send: Send, abort: Callable[[], object]) -> None:
        """Answer one WebSocket from its handshake to its end. `abort` drops its connection."""
        await receive()
        door = read_door(scope["path"], scope["query_string"].decode("latin-1"))
        if door is None:
            await _refuse(send, 404)
        elif self._faults.refuse or self._sockets >= SOCKETS_MAX:
            await _refuse(send, 503)
        else:
            self._sockets += 1
            try:
                await send({"type": "websocket.accept"})
                client = scope["client"]
                await self._listen(door, Socket(receive, send, abort), client[0] if client else "in-process")
            finally:
                self._sockets -= 1

    async def _listen(self, door: StreamDoor | TradingDoor, socket: Socket, caller: str) -> None:
        match door:
            case TradingDoor():
                await TradingSocket(socket, door, caller, self._dialect, self._answer_request).serve()
            case StreamDoor():
                await self._stream(door, socket)
            case _:
                assert_never(door)

    async def _stream(self, door: StreamDoor, socket: Socket) -> None:
        listener = Listener(socket, combined=door.combined)
        self._listeners.add(listener)
        recent: deque[float] = deque(maxlen=COMMANDS_PER_SECOND)
        try:
            async with socket.open():
                self._open(door, listener)
                async for text in socket.frames():
                    now_s = time.monotonic()
                    if len(recent) == COMMANDS_PER_SECOND and now_s - recent[0] < 1:
                        socket.close(_POLICY_VIOLATION, "Too many requests")
                        continue
                    recent.append(now_s)
                    socket.post(answer(text, listener, self))
        finally:
            self._listeners.discard(listener)
            for name in list(listener.names):
                self.unsubscribe(listener, name)

    def _open(self, door: StreamDoor, listener: Listener) -> None:
        if len(door.names) + len(door.keys) > STREAMS_MAX:
            listener.socket.close(_POLICY_VIOLATION, "Too many streams")
            return
        for key, events in door.keys:
            self.subscribe(listener, key, events)
        for name in door.names:
            self.subscribe(listener, name)

    def known(self, name: str) -> bool:
        """True for names of the venue's grammar, whether anything will ever be said there or not."""
        return may_be_listen_key(name) or read_stream(name) is not None

    def subscribe(self, listener: Listener, name: str, events: frozenset[str] | None = None) -> None:
        """Start hearing a stream or a listen key; what is neither stays silent, as on the venue."""
        if name in listener.names:
            return
        listener.names[name] = None
        account = self._dialect.listen_keys.owner(name, _now_ms())
        if account is not None:
            self._users.add(listener, account, name, events)
        elif (meaning := read_stream(name)) is not None:
            self._markets.add(listener, name, meaning)

    def unsubscribe(self, listener: Listener, name: str) -> None:
        """Stop hearing a stream; nothing changes for one that is not heard."""
        if name in listener.names:
            del listener.names[name]
            self._markets.remove(listener, name)
            self._users.remove(listener, name)

    def disconnect_users(self, accounts: frozenset[str] | None) -> None:
        """Close the sockets that hear these accounts (None: any account)."""
        for listener in self._users.listeners(accounts):
            listener.socket.close(_GOING_AWAY)

    def disconnect_markets(self) -> None:
        """Close the sockets that hear only markets."""
        for listener in self._listeners - self._users.listeners(None):
            listener.socket.close(_GOING_AWAY)

    def settle(self) -> None:
        """Say on the market streams what has happened so far, before the faults change."""
        self._markets.settle(time.monotonic())

    def expire_keys(self) -> None:
        """End every listen key as if its sixty minutes were over."""
        self._dialect.listen_keys.expire_all()

    def release(self) -> None:
        """Deliver the events that `reorder` holds back."""
        self._users.release()

    def listening(self) -> dict[str, object]:
        """How many sockets hear each account, and how many only markets."""
        only_markets = len(self._listeners - self._users.listeners(None))
        return {"user_sockets": self._users.counts(), "market_sockets": only_markets}


async def _refuse(send: Send, status: int) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
