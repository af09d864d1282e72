"""A connection of the gate without a socket: a transport in memory, and a venue's door that the test opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from proxy.gate.answers import Answer
from proxy.gate.caller import Caller
from proxy.gate.framing import Head
from proxy.gate.protocol import StrictHttpProtocol


class MemoryTransport(asyncio.Transport):
    """What was written, in the writes it was written in, and what became of the connection."""

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        super().__init__(extra)
        self.writes: list[bytes] = []
        self.reading = True
        self.backlog = 0
        self.ended: str | None = None
        self.lost: Callable[[Exception | None], None]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.ended is None, "a write on a closed connection"
        self.writes.append(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = "half"

    def close(self) -> None:
        self.ended = "closed"
        if not self.backlog:
            asyncio.get_running_loop().call_soon(self.lost, None)

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return self.ended in ("closed", "aborted")

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.backlog

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Door:
    """Remembers what it was asked and by whom; answers when it is opened. The key header's letter is the bot."""

    prefix: Final = b"/binanceusdm/"

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, bytes]] = []
        self.done: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    def knows(self, key: bytes) -> bool:
        return key != b"unknown"

    async def answer(self, head: Head, body: bytes, caller: Caller) -> Answer:
        self.asked.append((head.method, head.path, body))
        key = head.fields.get(b"x-mbx-apikey")
        if key is not None and not caller.may_speak_for("demo", key.decode()):
            return Answer(status=400, body=b"another's")
        await self.open.wait()
        self.done.append(head.path)
        return Answer(status=200, body=head.path.rpartition(b"/")[2] + b" " + body)


class Line:
    """One connection of a gate."""

    def __init__(
        self,
        door: Door | None = None,
        *,
        extra: dict[str, Any] | None = None,
        idle_s: int = 30,
        state: ServerState | None = None,
    ) -> None:
        self.door = door or Door()
        self.state = state or ServerState()
        config = uvicorn.Config(
            _elsewhere, ws="none", lifespan="off", interface="asgi3", log_config=None, timeout_keep_alive=idle_s
        )
        self.transport = MemoryTransport(extra)
        self.protocol = StrictHttpProtocol(config, self.state, {"venue": self.door})
        self.transport.lost = self.protocol.connection_lost
        self.protocol.connection_made(self.transport)

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            if self.transport.ended is None:
                self.protocol.data_received(part)
            await settled()

    def hang_up(self) -> None:
        self.transport.ended = "closed"
        self.protocol.connection_lost(None)

    @property
    def answers(self) -> list[bytes]:
        """Status and body of each answer."""
        found = []
        rest = b"".join(each for each in self.transport.writes if not each.startswith(b"HTTP/1.1 100"))
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            found.append(head[9:12] + b" " + rest[:length])
            rest = rest[length:]
        return found


def a_get(name: str, *headers: bytes) -> bytes:
    return b"\r\n".join((b"GET /binanceusdm/%s HTTP/1.1" % name.encode(), b"Host: guard", *headers, b"", b""))


def a_post(name: str, body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    lines = (b"POST /binanceusdm/%s HTTP/1.1" % name.encode(), b"Host: guard", length, *headers, b"", b"")
    return b"\r\n".join(lines) + body


async def settled() -> None:
    """Until everything that can run has run."""
    for _ in range(6):
        await asyncio.sleep(0)


async def _elsewhere(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"elsewhere"})
