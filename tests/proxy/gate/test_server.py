"""A gate's server on a real socket: how it ends, and that a crowd keeps nobody waiting behind it for long."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop

from proxy.gate.bot_socket import BotSocket
from proxy.gate.protocol import StrictHttpProtocol
from proxy.gate.server import ACCEPTED_AT_ONCE, GateServer
from tests.proxy.gate.conftest import Desk
from tests.proxy.gate.socket_worlds import a_world, frame
from tests.support.gates import Gate, Keys, a_frame, an_exchange
from tests.support.waiting import until

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


class Echo:
    """A trading API that answers with what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def serve(self, socket: BotSocket, client: str) -> None:
        while True:
            self.heard.append(await socket.receive())
            socket.send(self.heard[-1].encode())


def _ending(config: uvicorn.Config) -> uvicorn.Server:
    return GateServer(config, NoOrders())


async def test_a_gate_that_ends_hears_out_a_burst_and_keeps_no_other_bot_waiting_for_it() -> None:
    trading = Echo()
    burst = [f"cancel {number}" for number in range(150)]
    async with (
        a_world(trading=trading, server=_ending) as (_, gate),
        gate.raw("/ws-fapi/v1") as bot,
        gate.raw("/ws-fapi/v1") as quiet,
    ):
        bot.write(*(frame(text.ljust(250)) for text in burst))
        await until(lambda: len(trading.heard) >= 50)
        stopping = asyncio.create_task(gate.stop())
        assert await quiet.closed() == 1012
        assert len(trading.heard) < len(burst)
        assert [(await bot.frame())[1].decode().strip() for _ in burst] == burst
        assert await bot.closed() == 1012
        await stopping


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.in_directory(tmp_path / "vault")


async def test_a_gate_that_ends_lets_each_bot_go_as_soon_as_it_waits_for_nothing(desk: Desk, keys: Keys) -> None:
    async with an_exchange() as exchange:
        gate = Gate(desk, keys, exchange)
        exchange.gate.clear()
        async with (
            a_world(trading=gate.trading_door, server=lambda config: GateServer(config, _OrdersOf(gate))) as (_, door),
            door.raw("/ws-fapi/v1") as bot,
            door.raw("/ws-fapi/v1") as quiet,
        ):
            bot.write(frame(a_frame(keys, "order.cancel", {"symbol": "BTCUSDT", "orderId": "7"})))
            await exchange.received(1)
            stopping = asyncio.create_task(door.stop())
            assert await quiet.closed() == 1012
            assert not stopping.done()
            exchange.gate.set()
            assert json.loads((await bot.frame())[1])["status"] == 200
            assert await bot.closed() == 1012
            await stopping
        await gate.aclose()


class _OrdersOf:
    """Those of a gate whose exchange is waited for as long as it takes."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @property
    def under_way(self) -> int:
        return self._gate.rest_door.under_way

    def give_up(self) -> None:
        """The exchange of a test answers when the test says so."""


async def test_a_flood_keeps_a_gate_from_its_end_no_longer_than_a_hanging_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.gate.server.GIVE_UP_AFTER_S", 0.5)
    trading = Echo()
    async with a_world(trading=trading, server=_ending) as (_, gate), gate.raw("/ws-fapi/v1") as flood:
        flood.write(frame("x") * 100_000)
        await until(lambda: len(trading.heard) >= 50)
        async with asyncio.timeout(4):
            await gate.stop()


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
