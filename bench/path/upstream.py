"""The upstream of every way: it answers orders itself, at once, and passes all else to the practice exchange.

So what is measured is the way to the exchange and not the exchange, and still a guard behind it has a real account to
survey and to follow: on the account's stream each order answered here is told of in the exchange's own frames, put
between those that come from the exchange. Only what bears the account's own key is told of there: what other ways bring
is nothing of this account's. Every order is counted. A process of its own: ``python -m bench.path.upstream``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final, cast

import uvloop

from bench.path.frames import Frames, text_frame
from bench.path.templates import Templates

ORDER: Final = b"POST /fapi/v1/order HTTP/1.1\r\n"
IOC: Final = b"&timeInForce=IOC&"
"""What the load's orders have and no other: a kill's, say, are the exchange's to answer."""

COUNT: Final = b"GET /bench/count HTTP/1.1\r\n"

_LENGTH: Final = b"\r\ncontent-length:"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_FIRST_NUMBER: Final = 10_000_000
"""Far above what the practice exchange gives out in a run."""

_HEAD_BYTES_MAX: Final = 65_536


class Upstream:
    """What the connections share. ``backend`` is where everything but orders goes, ``key`` the account's API key."""

    def __init__(self, templates: Templates, backend: tuple[str, int], key: str) -> None:
        self.templates = templates
        self.backend = backend
        self._key = b"\r\nx-mbx-apikey: %s\r\n" % key.lower().encode()
        self.orders = 0
        self.streams: set[Passage] = set()

    def take(self, head: bytes, body: bytes) -> bytes:
        """Answer one order, and tell the account's stream of it if it is the account's. ``head`` is in lower case."""
        self.orders += 1
        answer, frames = self.templates.filled(body, _FIRST_NUMBER + self.orders, time.time_ns() // 1_000_000)
        if self._key in head:
            for stream in self.streams:
                for frame in frames:
                    stream.tell(frame)
        return _HEAD % len(answer) + answer


class Client(asyncio.Protocol):
    """A connection from a proxy, a guard or the generator."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._buffer = b""
        self._passage: Passage | None = None
        self.upgraded = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, trouble: Exception | None) -> None:
        """What was opened for it is closed."""
        if self._passage is not None:
            self._passage.close()

    def data_received(self, data: bytes) -> None:
        """Whole requests are answered or passed on; after an upgrade everything is."""
        if self.upgraded:
            cast(Passage, self._passage).send(data)
            return
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer and self._one():
            pass

    def _one(self) -> bool:
        """Deal with the first request of the buffer, if it is whole."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(buffer) > _HEAD_BYTES_MAX:
                self.transport.abort()
            return False
        head = buffer[:end].lower()
        at = head.find(_LENGTH)
        size = end + (int(head[at + len(_LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0)
        if len(buffer) < size:
            return False
        self._buffer = buffer[size:]
        if buffer.startswith(ORDER) and IOC in buffer:
            self.transport.write(self._upstream.take(head, buffer[end:size]))
        elif buffer.startswith(COUNT):
            body = json.dumps({"orders": self._upstream.orders}).encode()
            self.transport.write(_HEAD % len(body) + body)
        else:
            if self._passage is None:
                self._passage = Passage(self._upstream, self)
            if b"\r\nupgrade: websocket" in head:
                self.upgraded = True
                # The account's stream is the one that is asked for by a listen key.
                if b"listenkey=" in head.partition(b"\r\n")[0]:
                    self._passage.follow()
                self._buffer = b""
                self._passage.send(buffer)
                return False
            self._passage.send(buffer[:size])
        return True


class Passage(asyncio.Protocol):
    """The way of one client to the practice exchange, there and back."""

    def __init__(self, upstream: Upstream, client: Client) -> None:
        self._upstream = upstream
        self._client = client
        self._waiting: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._follows = False
        self._frames: Frames | None = None
        self._told: list[bytes] = []
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *self._upstream.backend)
        except OSError:
            self._client.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """What was asked meanwhile goes out."""
        self._transport = cast(asyncio.Transport, transport)
        for data in self._waiting:
            self._transport.write(data)
        self._waiting.clear()

    def connection_lost(self, trouble: Exception | None) -> None:
        """The client learns it the same way."""
        self._upstream.streams.discard(self)
        self._client.transport.close()

    def send(self, data: bytes) -> None:
        """To the exchange."""
        if self._transport is None:
            self._waiting.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """The client is gone."""
        self._upstream.streams.discard(self)
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def follow(self) -> None:
        """From the answer to the upgrade on, frames may be put in."""
        self._follows = True

    def data_received(self, data: bytes) -> None:
        """From the exchange to the client."""
        self._client.transport.write(data)
        if not self._follows:
            return
        if self._frames is None:
            # The practice exchange sends the answer to an upgrade whole.
            end = data.find(b"\r\n\r\n") + 4
            self._frames = Frames()
            self._upstream.streams.add(self)
            data = data[end:]
        self._frames.passed(data)
        if self._told and self._frames.between:
            self._client.transport.writelines(self._told)
            self._told.clear()

    def tell(self, content: bytes) -> None:
        """Put a text frame in as soon as no other is half sent."""
        frame = text_frame(content)
        if self._frames is not None and self._frames.between:
            self._client.transport.write(frame)
        else:
            self._told.append(frame)


async def serve(upstream: Upstream, told: Callable[[int], None]) -> None:
    """For ever; ``told`` is called with the port."""
    server = await asyncio.get_running_loop().create_server(lambda: Client(upstream), "127.0.0.1", 0)
    told(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main() -> None:
    """Its task, in one line of JSON on standard input; its port, on standard output."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    templates = Templates(task["answer"], tuple(task["frames"]))
    upstream = Upstream(templates, tuple(task["backend"]), task["key"])
    uvloop.run(serve(upstream, lambda port: print(port, flush=True)))


if __name__ == "__main__":
    main()
