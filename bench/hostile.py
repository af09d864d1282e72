"""Clients that hold connections and never finish a request: slow headers, half requests, idle sockets, in turn.

One process of its own. What the gate closes is opened again at once, so that there are always as many.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

OPENED_AT_ONCE: Final = 64
"""Handshakes under way at a time while the crowd gathers; more would only wait in the kernel's queue."""

_SLOW_BYTE_EVERY_S: Final = 1.0
_SPAWN: Final = multiprocessing.get_context("spawn")


class Hostile:
    """So many connections to the gate at ``url``, from entering the context to leaving it."""

    def __init__(self, url: str, connections: int) -> None:
        self._held: Any = _SPAWN.Value("i", 0)
        self._opened: Any = _SPAWN.Value("i", 0)
        self._process = _SPAWN.Process(target=_run, args=(url, connections, self._held, self._opened), daemon=True)

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


def _run(url: str, connections: int, held: Any, opened: Any) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_crowd(url, connections, held, opened))


async def _crowd(url: str, connections: int, held: Any, opened: Any) -> None:
    turnstile = asyncio.Semaphore(OPENED_AT_ONCE)
    await asyncio.gather(*(_one(url, number, turnstile, held, opened) for number in range(connections)))


async def _one(url: str, number: int, turnstile: asyncio.Semaphore, held: Any, opened: Any) -> None:
    parts = urlsplit(url)
    behave = (_idle, _slow_headers, _half_request)[number % 3]
    while True:
        try:
            async with turnstile:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            await asyncio.sleep(0.5)
            continue
        held.value += 1
        opened.value += 1
        try:
            await behave(reader, writer, f"{parts.path}/fapi/v1/order")
        except OSError:
            pass  # The gate has had enough.
        finally:
            held.value -= 1
            writer.close()


async def _idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    await reader.read()


async def _slow_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"POST {path} HTTP/1.1\r\nHost: guard\r\nX-Slow: ".encode())
    closed = asyncio.ensure_future(reader.read())
    while not closed.done():
        writer.write(b"x")
        await asyncio.wait({closed}, timeout=_SLOW_BYTE_EVERY_S)
    await closed


async def _half_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"POST {path} HTTP/1.1\r\nHost: guard\r\nContent-Length: 1000\r\n\r\nsymbol=BTC".encode())
    await reader.read()
