"""One accepted WebSocket: text frames in, a bounded queue of text frames out, and a cut for readers too slow for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sandbox.asgi import Receive, Send

# Some seconds of every stream of the practice exchange at once. The kernel and the server buffer some more.
FRAMES_WAITING_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class Socket:
    """`post` never waits: a peer that lets `FRAMES_WAITING_MAX` frames pile up loses its connection."""

    def __init__(self, receive: Receive, send: Send, abort: Callable[[], object]) -> None:
        self._receive = receive
        self._send = send
        self._abort = abort
        self._waiting: asyncio.Queue[str | _Close] = asyncio.Queue(FRAMES_WAITING_MAX)
        self._closing = False

    def post(self, text: str) -> None:
        """Send a text frame after those posted before it; nothing is sent after `close`."""
        self._put(text)

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection once everything posted before has been sent."""
        self._put(_Close(code, reason))
        self._closing = True

    def cut(self) -> None:
        """End the connection at once, without a closing handshake."""
        self._closing = True
        self._abort()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Send posted frames as long as the block runs."""
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            try:
                yield
            finally:
                writer.cancel()

    async def frames(self) -> AsyncIterator[str]:
        """The text frames that arrive, until the peer or we close. A binary frame closes (1003): nobody sends any."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                self.close(1003, "text frames only")
            elif not self._closing:
                yield text

    def _put(self, frame: str | _Close) -> None:
        if self._closing:
            return
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.cut()

    async def _write(self) -> None:
        while True:
            frame = await self._waiting.get()
            try:
                if isinstance(frame, _Close):
                    await self._send({"type": "websocket.close", "code": frame.code, "reason": frame.reason})
                    return
                await self._send({"type": "websocket.send", "text": frame})
            except OSError:
                # The peer has gone (ASGI servers raise OSError then); the reading side hears of it too.
                return
