"""Which WebSockets are let in, and who talks to them. What is in no table is refused at the handshake."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from proxy.gate.connections import Shares, network
from proxy.gate.streams.admission import Admission, FrameSocket, Handshake, Session
from proxy.gate.streams.hooks import TradingApi, UserStreams
from proxy.gate.streams.keys import KeyedSockets
from proxy.gate.streams.outbox import Outbox
from proxy.gate.streams.relay import Relay
from proxy.gate.streams.session import StreamSession
from proxy.venues.binance.rejections import Rejection, unknown_route, venue_unreachable
from proxy.venues.binance.stream_paths import StreamTarget, TradingTarget, UnknownTarget, read_target
from proxy.venues.binance.venue import VENUE

PREFIX: Final = f"/{VENUE}"
SOCKETS_MAX: Final = 512
"""Sockets of one gate process; with ``outbox.SOCKET_BYTES_MAX`` it bounds what bots can make it keep."""

ADDRESS_SOCKETS_MAX: Final = 384
"""Of them from one client address: three quarters, for a desk's bots often share one; another address finds room."""

STREAM_CALLS_PER_S: Final = 10.0
"""Binance: "WebSocket connections have a limit of 10 incoming messages per second"."""

TRADING_CALLS_PER_S: Final = 50.0
"""Above what the venue takes of an account (300 orders in 10 s); what is an order is counted by ``message_rate``.

As many at once after a pause; those of a bigger burst wait in the bot's kernel, and each is answered in its turn."""


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
        self._of_address = Shares(ADDRESS_SOCKETS_MAX)
        self.outbox = Outbox()

    @property
    def open_sockets(self) -> int:
        """How many there are now."""
        return self._open

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
        address = network(handshake.client)
        if not self._of_address.admitted(address):
            return Rejection(503, -1008, "GUARD TOO_MANY_SOCKETS: your address has no room for another socket here")
        self._open += 1
        match target:
            case TradingTarget():
                serve = self._counted(self._trade(handshake.client), address)
                return Admission(serve, TRADING_CALLS_PER_S, patient=True)
            case StreamTarget():
                serve = self._counted(self._stream(target), address)
                ready = self._ready(target.stream_keys, address) if target.stream_keys else None
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

    def _left(self, address: str) -> None:
        self._open -= 1
        self._of_address.left(address)

    def _counted(self, serve: Session, address: str) -> Session:
        async def counted(socket: FrameSocket) -> None:
            try:
                await serve(socket)
            finally:
                self._left(address)

        return counted

    def _ready(self, stream_keys: tuple[str, ...], address: str) -> Callable[[], Awaitable[Rejection | None]]:
        """A bot's private stream begins with its handshake, so the venue's must be there before."""

        async def ready() -> Rejection | None:
            up = False
            try:
                up = await self._all_ready(stream_keys)
            finally:
                if not up:  # Then nobody serves the socket, and its place is free.
                    self._left(address)
            return None if up else venue_unreachable()

        return ready

    async def _all_ready(self, stream_keys: tuple[str, ...]) -> bool:
        for stream_key in stream_keys:
            if not await self._users.ready(stream_key):
                return False  # Waiting for the others as well would multiply the bound.
        return True

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
