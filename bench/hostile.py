"""Clients that hold connections and never finish anything: idle, slow headers, slow or half bodies, slow readers.

One process of its own. What the gate closes is opened again at once, so that there are always as many.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import uvloop

OPENED_AT_ONCE: Final = 64
"""Handshakes under way at a time while the crowd gathers; more would only wait in the kernel's queue."""

UNFINISHED: Final = ("idle", "slow headers", "half a body")
"""What never becomes a request; in turn, where nothing else is said."""

_SLOW_BYTE_EVERY_S: Final = 1.0
_SLOW_READER_BUFFER: Final = 2_048
_SPAWN: Final = multiprocessing.get_context("spawn")


class Hostile:
    """So many connections to the gate at ``url``, from entering the context to leaving it; ``kinds`` take turns."""

    def __init__(self, url: str, connections: int, kinds: Sequence[str] = UNFINISHED) -> None:
        self._held: Any = _SPAWN.Value("i", 0)
        self._opened: Any = _SPAWN.Value("i", 0)
        arguments = (url, connections, tuple(kinds), self._held, self._opened)
        self._process = _SPAWN.Process(target=_run, args=arguments, daemon=True)

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
        """Connections that are open now."""
        return int(self._held.value)

    @property
    def opened(self) -> int:
        """Connections that were ever opened, those that the gate closed among them."""
        return int(self._opened.value)


def _run(url: str, connections: int, kinds: tuple[str, ...], held: Any, opened: Any) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_crowd(url, connections, kinds, held, opened))  # The less of the machine it takes itself, the better.


async def _crowd(url: str, connections: int, kinds: tuple[str, ...], held: Any, opened: Any) -> None:
    turnstile = asyncio.Semaphore(OPENED_AT_ONCE)
    behaviours = [BEHAVIOURS[kind] for kind in kinds]
    async with asyncio.TaskGroup() as tasks:
        for number in range(connections):
            tasks.create_task(_one(url, behaviours[number % len(behaviours)], turnstile, held, opened))


async def _one(url: str, behave: Behaviour, turnstile: asyncio.Semaphore, held: Any, opened: Any) -> None:
    parts = urlsplit(url)
    while True:
        try:
            async with turnstile:
                reader, writer = await asyncio.open_connection(
                    sock=await _connected(str(parts.hostname), parts.port), limit=_SLOW_READER_BUFFER
                )
        except OSError:
            await asyncio.sleep(0.5)
            continue
        held.value += 1
        opened.value += 1
        try:
            await behave(reader, writer, parts.path)
        except OSError:
            pass  # The gate has had enough.
        finally:
            held.value -= 1
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
