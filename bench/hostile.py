"""Clients that hold connections and never finish anything: idle, slow headers, slow or half bodies, slow readers.

One process of its own. What the gate closes is opened again at once, so that there are always as many.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import uvloop

from bench.failure import BenchFailed

OPENED_AT_ONCE: Final = 64
"""Handshakes under way at a time while the crowd gathers; more would only wait in the kernel's queue."""

UNFINISHED: Final = ("idle", "slow headers", "half a body")
"""What never becomes a request; in turn, where nothing else is said."""

MET_SHARE: Final = 0.1
"""Of a crowd: when the gate has answered or cut off so many, it is the gate that the crowd stands at."""

_SLOW_BYTE_EVERY_S: Final = 1.0
_SLOW_READER_BUFFER: Final = 2_048
_SPAWN: Final = multiprocessing.get_context("spawn")


class Hostile:
    """So many connections to the gate at ``url``, from entering the context to leaving it; ``kinds`` take turns."""

    def __init__(self, url: str, connections: int, kinds: Sequence[str] = UNFINISHED) -> None:
        self._held: Any = _SPAWN.Value("i", 0)
        self._opened: Any = _SPAWN.Value("i", 0)
        self._met: Any = _SPAWN.Value("i", 0)
        told = _Told(self._held, self._opened, self._met)
        self._wanted = connections
        self._process = _SPAWN.Process(target=_run, args=(url, connections, tuple(kinds), told), daemon=True)

    def __enter__(self) -> Hostile:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    @property
    def held(self) -> int:
        """Connections that are open now, as this side knows: the kernel opens them before the gate takes them.

        How many it has taken is seen in ``met``.
        """
        return int(self._held.value)

    @property
    def opened(self) -> int:
        """Connections that were ever opened, those that the gate closed among them."""
        return int(self._opened.value)

    @property
    def met(self) -> int:
        """Connections that the gate has ever answered or cut off."""
        return int(self._met.value)

    def gather(self, within_s: float) -> None:
        """Wait until nine tenths of the crowd stand at the gate, at most so long; the rest are on their way back to it.

        A busy machine gathers no more than the gates close meanwhile. Raises ``BenchFailed`` for less than half.
        """
        deadline = time.monotonic() + within_s
        while self.held < self._wanted * 9 // 10 and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.held < self._wanted // 2:
            raise BenchFailed(f"only {self.held} of {self._wanted} hostile connections could be opened")

    def stands(self) -> bool:
        """Whether it is the gate at which the crowd stands, and not the kernel's queue in front of it."""
        return self.met > 0 and self.met >= self.held * MET_SHARE


class _Told(NamedTuple):
    """What the crowd's process counts, where the other can see it."""

    held: Any
    opened: Any
    met: Any


def _run(url: str, connections: int, kinds: tuple[str, ...], told: _Told) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_crowd(url, connections, kinds, told))  # The less of the machine it takes itself, the better.


async def _crowd(url: str, connections: int, kinds: tuple[str, ...], told: _Told) -> None:
    turnstile = asyncio.Semaphore(OPENED_AT_ONCE)
    behaviours = [BEHAVIOURS[kind] for kind in kinds]
    async with asyncio.TaskGroup() as tasks:
        for number in range(connections):
            tasks.create_task(_one(url, behaviours[number % len(behaviours)], turnstile, told))


async def _one(url: str, behave: Behaviour, turnstile: asyncio.Semaphore, told: _Told) -> None:
    parts = urlsplit(url)
    while True:
        try:
            async with turnstile:
                reader, writer = await _opened(await _connected(str(parts.hostname), parts.port), told)
        except OSError:
            await asyncio.sleep(0.5)
            continue
        told.held.value += 1
        told.opened.value += 1
        try:
            await behave(reader, writer, parts.path)
        except OSError:
            pass  # The gate has had enough.
        finally:
            told.held.value -= 1
            writer.close()


async def _connected(host: str, port: int | None) -> socket.socket:
    """A connection whose kernel keeps next to nothing for a client that does not read."""
    connection = socket.socket()
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_READER_BUFFER)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (host, port or 80))
    except OSError:
        connection.close()
        raise
    return connection


async def _opened(connection: socket.socket, told: _Told) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_SLOW_READER_BUFFER)
    protocol = _Ears(reader, told)
    transport, _ = await loop.create_connection(lambda: protocol, sock=connection)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class _Ears(asyncio.StreamReaderProtocol):
    """Notes the first thing that the gate does on a connection: it answers, or ends it."""

    def __init__(self, reader: asyncio.StreamReader, told: _Told) -> None:
        super().__init__(reader)
        self._told: _Told | None = told

    def data_received(self, data: bytes) -> None:
        self._hear()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hear()
        super().connection_lost(exc)

    def _hear(self) -> None:
        if self._told is not None:
            self._told.met.value += 1
            self._told = None


async def _idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    await reader.read()


async def _slow_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"POST {path}/fapi/v1/order HTTP/1.1\r\nHost: guard\r\nX-Slow: ".encode())
    await _drip(reader, writer)


async def _half_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(
        f"POST {path}/fapi/v1/order HTTP/1.1\r\nHost: guard\r\nContent-Length: 1000\r\n\r\nsymbol=BTC".encode()
    )
    await reader.read()


async def _slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"POST {path}/fapi/v1/order HTTP/1.1\r\nHost: guard\r\nContent-Length: 1000\r\n\r\n".encode())
    await _drip(reader, writer)


async def _slow_reader(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    """Asks for the largest answers there are, and takes a few bytes of them a second."""
    writer.write(f"GET {path}/fapi/v1/exchangeInfo HTTP/1.1\r\nHost: guard\r\n\r\n".encode() * 4)
    while True:
        part = await reader.read(64)
        if not part:
            return
        await asyncio.sleep(_SLOW_BYTE_EVERY_S)


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte a second, until the gate closes."""
    closed = asyncio.ensure_future(reader.read())
    while not closed.done():
        writer.write(b"x")
        await asyncio.wait({closed}, timeout=_SLOW_BYTE_EVERY_S)
    await closed


Behaviour: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "idle": _idle,
    "slow headers": _slow_headers,
    "half a body": _half_request,
    "slow body": _slow_body,
    "slow reader": _slow_reader,
}
