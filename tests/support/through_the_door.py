"""httpx straight to a gate's REST door: the real framing and the real answer, without a socket."""

from __future__ import annotations

import asyncio

import httpx

from proxy.gate.answers import Answer
from proxy.gate.caller import Caller
from proxy.gate.framing import read_head
from proxy.gate.rest import BinanceDoor


class ThroughTheDoor(httpx.AsyncBaseTransport):
    """Each request on a connection of its own, answered in a task of its own, as the protocol does."""

    def __init__(self, door: BinanceDoor) -> None:
        self._door = door
        self._answering: set[asyncio.Task[Answer]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        lines += [b"%s: %s" % pair for pair in request.headers.raw]
        head = read_head(b"\r\n".join([*lines, b"", b""]))
        task = asyncio.create_task(self._door.answer(head, body, Caller()))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        answer = await asyncio.shield(task)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)
