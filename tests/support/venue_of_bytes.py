"""A venue of bytes: a server on loopback that remembers what it was sent, and answers as told, however wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from proxy.gate.upstream import OutboundRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Mbx-Used-Weight-1m: 7\r\n\r\n{}"
Behaviour = Callable[["Venue", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Venue:
    """A server that remembers every byte and every connection, and behaves as told."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.received = b""
        self.connections = 0
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._behaviour(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The client or the test has had enough.
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader) -> None:
        """Read one whole request."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.received += head
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self.received += await reader.readexactly(int(line.partition(b":")[2]))


@asynccontextmanager
async def a_venue(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Venue]:
    """One that listens as long as the block lasts; under the name ``host`` when it speaks TLS."""
    venue = Venue(behaviour)
    server = await asyncio.start_server(venue, "127.0.0.1", 0, ssl=tls)
    venue.url = f"{'http' if tls is None else 'https'}://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield venue
    finally:
        server.close()


def answering(reply: bytes, *, times: int = 99) -> Behaviour:
    """Answers every request of a connection with ``reply``; closes after ``times``."""

    async def behave(venue: Venue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            await venue.request(reader)
            writer.write(reply)
            await writer.drain()

    return behave


def an_order(venue: Venue, path: str = "/fapi/v1/order") -> OutboundRequest:
    """An order as the desk hands it out."""
    return OutboundRequest(
        method="POST", url=venue.url + path, body="symbol=BTCUSDT&signature=s3cr3t", api_key="realkey", order=True
    )
