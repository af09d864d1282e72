"""Which WebSockets are let in, and who talks to them. What is in no table is refused at the handshake."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from proxy.gate.streams.admission import Admission, FrameSocket, Handshake, Session
from proxy.gate.streams.hooks import TradingApi, UserStreams
from proxy.gate.streams.keys import KeyedSockets
from proxy.gate.streams.outbox import Outbox
from proxy.gate.streams.relay import Relay
from proxy.gate.streams.session import StreamSession
from proxy.venues.binance.rejections import Rejection, unknown_route, venue_unreachable
from proxy.venues.binance.stream_paths import StreamTarget, TradingTarget, UnknownTarget, read_target

PREFIX: Final = "/binanceusdm"
SOCKETS_MAX: Final = 512
"""Sockets of one gate process; with ``outbox.SOCKET_BYTES_MAX`` it bounds what bots can make it keep."""

STREAM_CALLS_PER_S: Final = 10.0
"""Binance: "WebSocket connections have a limit of 10 incoming messages per second"."""

TRADING_CALLS_PER_S: Final = 50.0
"""Above what the venue takes of an account (300 orders in 10 s); what is an order is counted by ``message_rate``."""


class SocketDoor:
    """The ``Door`` of a gate. ``names`` are hosts, besides addresses and localhost, that an ``Origin`` may name."""

    def __init__(
        self,
        *,
        relay: Relay,
        trading: TradingApi,
        users: UserStreams,
        keys: KeyedSockets,
        names: tuple[str, ...],
    ) -> None:
        self._relay = relay
        self._trading = trading
        self._users = users
        self._keys = keys
        self._names = frozenset(names)
        self._open = 0
        self.outbox = Outbox()

    def admit(self, handshake: Handshake) -> Admission | Rejection:
        """See ``Door.admit``."""
        place = handshake.path.partition("?")[0]
        if not handshake.path.startswith(f"{PREFIX}/"):
            return unknown_route("WS", place)
        if not self._same_site(handshake):
            return Rejection(403, -1002, "GUARD CROSS_SITE: a page of another site may not open sockets here")
        if self._open >= SOCKETS_MAX:
            return Rejection(503, -1008, "GUARD TOO_MANY_SOCKETS: this gate has no room for another socket")
        try:
            target = read_target(handshake.path.removeprefix(PREFIX))
        except UnknownTarget as unknown:
            return unknown_route("WS", place.removeprefix(PREFIX), str(unknown))
        match target:
            case TradingTarget():
                return Admission(self._counted(self._trade(handshake.client)), TRADING_CALLS_PER_S)
            case StreamTarget():
                serve = self._counted(self._stream(target))
                ready = self._ready(target.stream_keys) if target.stream_keys else None
                return Admission(serve, STREAM_CALLS_PER_S, ready)

    def _same_site(self, handshake: Handshake) -> bool:
        """Bots send no ``Origin``, or one made of the very address they dial (websocket-client); pages send their own.

        A name that an attacker's DNS points here would be both, so only addresses, localhost and our own names count.
        """
        origin = handshake.headers.get("origin")
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
            host = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            return False
        return parts.netloc == handshake.headers.get("host") and (host in self._names or _is_no_foreign_name(host))

    def _counted(self, serve: Session) -> Session:
        async def counted(socket: FrameSocket) -> None:
            try:
                await serve(socket)
            finally:
                self._open -= 1

        self._open += 1
        return counted

    def _ready(self, stream_keys: tuple[str, ...]) -> Callable[[], Awaitable[Rejection | None]]:
        """A bot's private stream begins with its handshake, so the venue's must be there before."""

        async def ready() -> Rejection | None:
            try:
                up = [await self._users.ready(stream_key) for stream_key in stream_keys]
            except BaseException:
                self._open -= 1
                raise
            if all(up):
                return None
            self._open -= 1
            return venue_unreachable()

        return ready

    def _trade(self, client: str) -> Session:
        async def trade(socket: FrameSocket) -> None:
            await self._trading.serve(socket, client)

        return trade

    def _stream(self, target: StreamTarget) -> Session:
        async def stream(socket: FrameSocket) -> None:
            session = StreamSession(
                socket, combined=target.combined, relay=self._relay, users=self._users, keys=self._keys
            )
            await session.serve(target)

        return stream


def _is_no_foreign_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
