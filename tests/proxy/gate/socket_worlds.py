"""A gate's WebSocket door on loopback, and a venue's stream endpoint behind it. Both are real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from proxy.gate.bot_socket import BotSocket
from proxy.gate.protocol import StrictHttpProtocol
from proxy.gate.streams.door import SocketDoor
from proxy.gate.streams.hooks import Attached, TradingApi, UserStreams
from proxy.gate.streams.keys import KeyedSockets
from proxy.gate.streams.relay import Relay
from proxy.gate.streams.socket import BotConnection
from tests.support.waiting import until

WAIT_S: Final = 5.0


class Venue:
    """A combined-stream endpoint: answers calls, and sends what a test tells it to."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.paths: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.subscribed: Counter[str] = Counter()
        self.refuses: set[str] = set()
        self.silent = False
        self.redirect: str | None = None
        self._port = 0
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen; after a ``stop`` on the same port again."""
        self._server = await serve(
            self._serve, "127.0.0.1", self._port, process_request=self._process, compression=None
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection without a word."""
        assert self._server is not None
        for connection in self.connections:
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    async def publish(self, stream: str, data: str) -> None:
        """One event, on whichever connections are open."""
        for connection in self.connections:
            await connection.send(f'{{"stream":"{stream}","data":{data}}}')

    def _process(self, connection: ServerConnection, request: Any) -> Any:
        if self.redirect is not None:
            response = connection.respond(302, "")
            response.headers["Location"] = self.redirect
            return response
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        self.paths.append(connection.request.path)
        try:
            async for text in connection:
                await self._answer(connection, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            self.connections.remove(connection)
            self.subscribed.clear()

    async def _answer(self, connection: ServerConnection, call: dict[str, Any]) -> None:
        self.calls.append(call)
        if self.silent:
            return
        if self.refuses & set(call["params"]):
            await connection.send(json.dumps({"error": {"code": 2, "msg": "no"}, "id": call["id"]}))
            return
        for name in call["params"]:
            self.subscribed[name] += 1 if call["method"] == "SUBSCRIBE" else -1
        await connection.send(json.dumps({"result": None, "id": call["id"]}))


class NoTrading:
    """A trading API that hangs up at once."""

    async def serve(self, socket: BotSocket, client: str) -> None:
        return


class NoStreams:
    """User streams of which no key was ever given out."""

    async def ready(self, stream_key: str) -> bool:
        return True

    def open(
        self, stream_key: str, socket: BotSocket, *, combined: bool, events: frozenset[str] | None = None
    ) -> Attached | None:
        return None


class Gate:
    """uvicorn with the two protocols of a gate, in the test's own event loop."""

    def __init__(
        self,
        venue_url: str,
        *,
        trading: TradingApi | None = None,
        users: UserStreams | None = None,
        names: tuple[str, ...] = (),
        active: Callable[[str], bool] = lambda _: True,
        disabled: Callable[[], Awaitable[frozenset[str]]] | None = None,
        server: Callable[[uvicorn.Config], uvicorn.Server] = uvicorn.Server,
    ) -> None:
        async def nothing_disabled() -> frozenset[str]:
            return frozenset()

        self.relay = Relay(venue_url)
        self.keys = KeyedSockets(active, disabled or nothing_disabled)
        self.door = SocketDoor(
            relay=self.relay,
            trading=trading or NoTrading(),
            users=users or NoStreams(),
            keys=self.keys,
            names=names,
        )
        # Named as TCP, or asyncio leaves Nagle on for what it accepts.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._server = server(
            uvicorn.Config(
                self._application,
                http=StrictHttpProtocol,
                ws=BotConnection,
                lifespan="on",
                interface="asgi3",
                log_config=None,
            )
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Gate:
        self._listener.listen(256)
        self._tasks.append(asyncio.create_task(self._server._serve([self._listener])))
        await until(lambda: self._server.started)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """As on SIGTERM."""
        self._server.should_exit = True
        await asyncio.gather(*self._tasks)
        self._listener.close()

    @property
    def bots(self) -> list[BotConnection]:
        """The gate's ends of all sockets."""
        connections: set[Any] = self._server.server_state.connections
        return [each for each in connections if isinstance(each, BotConnection)]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()
        return host, port

    def url(self, path: str) -> str:
        host, port = self.address
        return f"ws://{host}:{port}/binanceusdm{path}"

    def connect(self, path: str, **options: Any) -> connect:
        """A bot's socket at ``path`` under the venue's prefix."""
        return connect(self.url(path), proxy=None, **({"compression": None, "open_timeout": WAIT_S} | options))

    def raw(self, path: str = "/ws", *headers: bytes) -> RawBot:
        """A bot that writes its own bytes, already let in."""
        return RawBot(self.address, path, headers)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["sockets"] = self.door
        watching = asyncio.create_task(self.keys.watch())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watching.cancel()
        await self.relay.aclose()
        await send({"type": "lifespan.shutdown.complete"})


class RawBot:
    """A socket below any library: bytes out, frames in."""

    def __init__(self, address: tuple[str, int], path: str, headers: tuple[bytes, ...]) -> None:
        self._address = address
        self.request = (
            b"GET /binanceusdm%s HTTP/1.1\r\nHost: %s:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n"
            % (path.encode(), address[0].encode(), address[1], b"".join(line + b"\r\n" for line in headers))
        )

    async def __aenter__(self) -> RawBot:
        self.reader, self.writer = await asyncio.open_connection(*self._address)
        self.writer.write(self.request)
        self.answer = await self.reader.readuntil(b"\r\n\r\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def write(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(WAIT_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2))
            elif length == 127:
                length = int.from_bytes(await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(length)

    async def closed(self) -> int | None:
        """The code of the close frame, and nothing but the end of the connection behind it."""
        try:
            opcode, payload = await self.frame()
            while opcode != 8:
                opcode, payload = await self.frame()
            async with asyncio.timeout(WAIT_S):
                assert await self.reader.read() == b""
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return int.from_bytes(payload[:2])


def frame(
    payload: bytes | str, opcode: int = 1, *, fin: bool = True, reserved: int = 0, masked: bool = True, length: int = -1
) -> bytes:
    """A client's frame, well-formed or not. ``length`` is the one declared."""
    body = payload.encode() if isinstance(payload, str) else payload
    size = len(body) if length < 0 else length
    mask = os.urandom(4) if masked else b""
    head = bytes([(0x80 if fin else 0) | reserved | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += bytes([bit | 126]) + size.to_bytes(2)
    else:
        head += bytes([bit | 127]) + size.to_bytes(8)
    if masked:
        body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))
    return head + mask + body


async def asked(bot: ClientConnection, method: str, *params: Any, call_id: int = 1) -> dict[str, Any]:
    """The answer to a call; what is no answer is skipped."""
    await bot.send(json.dumps({"method": method, "params": list(params), "id": call_id}))
    while True:
        async with asyncio.timeout(WAIT_S):
            message = json.loads(await bot.recv())
        if "id" in message:
            return message


async def received(bot: ClientConnection) -> str:
    """The next message."""
    async with asyncio.timeout(WAIT_S):
        return str(await bot.recv())


async def close_code(bot: ClientConnection) -> int | None:
    """The code the gate closed with."""
    async with asyncio.timeout(WAIT_S):
        await bot.wait_closed()
    return bot.close_code


@contextlib.asynccontextmanager
async def a_world(**options: Any) -> AsyncIterator[tuple[Venue, Gate]]:
    """A venue and a gate in front of it."""
    venue = Venue()
    await venue.start()
    async with Gate(venue.url, **options) as gate:
        yield venue, gate
    await venue.stop()
