"""Know the open sockets, so that one can be closed without an answer: the fault no HTTP status can express."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class Connections:
    """Open client connections by remote address."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""
        self._transports[_remote(transport)] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._transports.pop(_remote(transport), None)

    def drop(self, client: tuple[str, int] | None) -> bool:
        """Close a client's connection at once; False when it is not known (a transport without sockets)."""
        transport = self._transports.get(client) if client else None
        if transport is None:
            return False
        transport.abort()
        return True

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP protocol, reporting its connections here."""
        connections = self

        class TrackedProtocol(HttpToolsProtocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                connections.opened(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.closed(self.transport)
                super().connection_lost(exc)

        return TrackedProtocol

    def websocket_protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's WebSocket protocol, which takes a connection over from HTTP, reporting its end here."""
        connections = self

        class TrackedWebSocket(WebSocketsSansIOProtocol):
            def connection_lost(self, exc: Exception | None) -> None:
                connections.closed(self.transport)
                super().connection_lost(exc)

        return TrackedWebSocket


def _remote(transport: asyncio.Transport) -> tuple[str, int]:
    # A connection reset before it was accepted has no peer name any more.
    address = transport.get_extra_info("peername") or ("", 0)
    return str(address[0]), int(address[1])
