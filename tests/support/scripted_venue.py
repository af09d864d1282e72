"""A venue that answers by script over a real socket, for tests of the guard's own hands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from proxy.exchange.venue_account import VenueAccount
from proxy.vault.keys import Secret

Answer = tuple[int, dict[str, str], Any]


class Venue:
    """A loopback server that answers by script and remembers every request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.answers: Callable[[str, str], Answer | None] = lambda method, path: (200, {}, [])
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            method, target, _ = lines[0].split(" ")
            lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")]
            body = (await reader.readexactly(sum(lengths))).decode()
            parts = urlsplit(target)
            self.requests.append((method, parts.path, dict(parse_qsl(parts.query + "&" + body))))
            answer = self.answers(method, parts.path)
            if answer is not None:
                status, headers, content = answer
                text = content if isinstance(content, str) else json.dumps(content)
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                reply = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
                writer.write(f"{reply}Connection: close\r\n{head}\r\n{text}".encode())
                await writer.drain()
        finally:
            writer.close()

    def always(self, status: int, content: Any, **headers: str) -> None:
        self.answers = lambda method, path: (
            status,
            {name.replace("_", "-"): v for name, v in headers.items()},
            content,
        )

    def by_path(self, **contents: Any) -> None:
        self.answers = lambda method, path: (200, {}, contents[path.rpartition("/")[2]])


@asynccontextmanager
async def scripted_venue() -> AsyncIterator[Venue]:
    venue = Venue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    venue.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield venue
    finally:
        server.close()


def an_account(base_url: str, *other_urls: str, timeout: float = 0.5) -> VenueAccount:
    return VenueAccount(
        name="main",
        venue="binanceusdm",
        api_key="k" * 64,
        secret=Secret("s" * 64),
        base_url=base_url,
        other_urls=other_urls,
        timeout=timeout,
    )
