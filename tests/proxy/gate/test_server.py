"""A gate's server on a real socket: a crowd that connects at once keeps nobody waiting behind it for long."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn
import uvloop

from proxy.gate.protocol import StrictHttpProtocol
from proxy.gate.server import ACCEPTED_AT_ONCE, GateServer

CROWD = 10 * ACCEPTED_AT_ONCE


class NoOrders:
    """None is under way."""

    under_way = 0

    def give_up(self) -> None:
        """There is nothing to give up."""


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A server sets its own; the next test shall not inherit them."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


class Coming:
    """An order that is on its way from a frame to the desk for some turns, and then under way for one look."""

    def __init__(self, turns: int) -> None:
        self.looks: list[int] = []
        self._turns = turns

    @property
    def under_way(self) -> int:
        self._turns -= 1
        self.looks.append(1 if self._turns == 0 else 0)
        return self.looks[-1]

    def give_up(self) -> None:
        """There is nothing to give up."""


async def test_a_frame_that_was_read_just_before_the_end_is_waited_for() -> None:
    """Between its reading and its being under way lie some turns of the loop."""
    orders = Coming(turns=4)
    server = GateServer(uvicorn.Config(_answer, lifespan="off", interface="asgi3", log_config=None), orders)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0)
        server.should_exit = True
        await serving
    assert 1 in orders.looks


def test_who_connects_behind_a_crowd_is_answered_within_a_few_turns_of_the_loop() -> None:
    config = uvicorn.Config(
        _answer, http=StrictHttpProtocol, ws="none", lifespan="off", interface="asgi3", log_config=None
    )
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2 * CROWD))
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection(listening.getsockname()))
        behind = stack.enter_context(socket.create_connection(listening.getsockname()))
        behind.sendall(b"GET /x HTTP/1.1\r\nHost: guard\r\n\r\n")
        turns = uvloop.run(_turns_until_answered(GateServer(config, NoOrders()), listening, behind))
    assert turns < CROWD / 2


async def _turns_until_answered(server: GateServer, listening: socket.socket, behind: socket.socket) -> int:
    behind.setblocking(False)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0)
    turns = 0
    async with asyncio.timeout(10):
        while not _readable(behind):
            turns += 1
            await asyncio.sleep(0)
    server.should_exit = True
    await serving
    return turns


def _readable(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) == b"H"
    except BlockingIOError:
        return False


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
