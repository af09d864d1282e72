"""How gates come and go while bots trade: nothing refused, nothing lost, nothing twice, nothing torn."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.accounting import nothing_unaccounted, placed_names
from tests.support.bot_sockets import a_trading_socket, code_and_reason
from tests.support.policies import a_policy
from tests.support.practice_client import fresh_id, order_params
from tests.support.traders import Trader, by_ccxt, by_httpx
from tests.support.worlds import LiveWorld, gone, until

BOTS = ("ada", "bob", "cut")
ENDS_WITHIN_S = 10.0
SERVICE_RESTART = 1012
PRESSES_MAX = 8
REASON = "end-to-end test of gates that come and go"


def a_world(directory: Path, gates: int) -> LiveWorld:
    return LiveWorld(directory / "data", a_policy(), balance=1_000_000, gate_workers=gates, bots=BOTS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with a_world(tmp_path_factory.mktemp("gates"), 2) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> LiveWorld:
    running.door.disarm()
    running.door.clear()
    return running


def test_two_gates_are_relieved_and_no_order_is_refused_lost_or_sent_twice(world: LiveWorld) -> None:
    trade_through_a_rolling_restart(world)


@pytest.mark.full
def test_one_gate_is_relieved_and_no_order_is_refused_lost_or_sent_twice(tmp_path: Path) -> None:
    with a_world(tmp_path, 1) as world:
        trade_through_a_rolling_restart(world)


def trade_through_a_rolling_restart(world: LiveWorld) -> None:
    old = world.processes("gate")
    traders = [
        Trader("ada", by_ccxt(world, "ada")),
        Trader("bob", by_httpx(world, "bob")),
        Trader("cut", by_httpx(world, "cut"), every_s=0.7),
    ]
    with ExitStack() as stack:
        for trader in traders:
            stack.enter_context(trader)
        until(lambda: all(trader.accepted for trader in traders), "every bot has traded")
        done = world.command("restart-gates")
        assert (done.returncode, done.stdout) == (0, f"{len(old)} gates are new\n"), done.stderr
        new = world.processes("gate")
        assert len(new) == len(old)
        assert not set(new) & set(old)
        counts = [len(trader.accepted) for trader in traders]
        until(lambda: all(map(_trades_on, traders, counts)), "every bot trades on")
    assert [trader.troubles for trader in traders] == [{}, {}, {}]
    at_the_exchange = Counter(placed_names(world))
    assert set(at_the_exchange.values()) == {1}
    assert set(at_the_exchange) == {
        world.upstream_id(name, trader.bot) for trader in traders for name in trader.accepted
    }
    nothing_unaccounted(world)


@pytest.mark.full
async def test_orders_at_a_slow_exchange_are_answered_before_a_gate_goes(world: LiveWorld) -> None:
    gates = world.processes("gate")
    async with a_trading_socket(world.bot_named("ada")) as socket_of_ada:
        await socket_of_ada.ask("session.status")
        world.door.arm(latency_ms=1_500)
        by_socket = asyncio.create_task(socket_of_ada.ask("order.place", **a_far_order()))
        by_rest = asyncio.create_task(asyncio.to_thread(send, world, "bob"))
        await asyncio.to_thread(until, lambda: len(placed_names(world)) == 2, "both orders are at the exchange")
        stop(gates)
        assert (await by_socket)["status"] == 200
        status, closes, _ = await by_rest
        assert (status, closes) == (200, True)  # Asked for before the gate was told, and the connection's last answer.
        assert await code_and_reason(socket_of_ada.connection) == (SERVICE_RESTART, "the gate is stopping")
    world.door.disarm()
    await asyncio.to_thread(nothing_unaccounted, world)


@pytest.mark.full
async def test_nobody_keeps_a_gate_from_ending_and_an_order_without_an_answer_is_unknown(world: LiveWorld) -> None:
    await asyncio.to_thread(until, lambda: serves(world), "the gates are back")
    gates = world.processes("gate")
    with ExitStack() as stack:
        for payload in (b"", SLOW_HEADER, HALF_A_BODY, MANY_READS * 200):
            for _ in range(6):
                slow = stack.enter_context(closing(a_connection(world)))
                slow.setblocking(False)
                slow.send(payload)
        world.door.arm(latency_ms=60_000)
        lost = asyncio.create_task(asyncio.to_thread(send, world, "bob"))
        await asyncio.to_thread(until, lambda: len(placed_names(world)) == 1, "the order is at the exchange")
        began = time.monotonic()
        stop(gates)
        status, _, code = await lost
        assert (status, code) == (503, -1007)
        await asyncio.to_thread(until, lambda: all(map(gone, gates)), "the gates are gone", ENDS_WITHIN_S)
        assert time.monotonic() - began < ENDS_WITHIN_S
    world.door.disarm()
    records = await asyncio.to_thread(nothing_unaccounted, world)
    assert [record["result"] for record in records if record["kind"] == "outcome"][-1] == "UNKNOWN"


SLOW_HEADER = b"POST /binanceusdm/fapi/v1/order HTTP/1.1\r\nHost: a\r\nX-Slow: "
HALF_A_BODY = b"POST /binanceusdm/fapi/v1/order HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsymbol=BTC"
MANY_READS = b"GET /binanceusdm/fapi/v1/exchangeInfo HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.full
def test_a_press_while_gates_change_waits_for_all_of_them(world: LiveWorld) -> None:
    until(lambda: serves(world), "the gates are back")
    with ExitStack() as stack:
        for _ in range(12):  # Kept alive and silent: old gates listen to them a while longer.
            kept = stack.enter_context(closing(a_connection(world)))
            kept.sendall(MANY_READS.replace(b"exchangeInfo", b"ping"))
            assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        before = let_go(world)
        os.kill(world.guard_pid, signal.SIGHUP)
        until(lambda: let_go(world) > before, "a gate is let go")
        presses = [press(world)]
        while presses[-1]["silent"] and len(presses) < PRESSES_MAX:
            presses.append(press(world))
        assert len(world.processes("gate")) == 3, "the old one was gone too soon to tell"
    assert [each["gates"] for each in presses] == [3] * len(presses)
    assert (presses[-1]["acknowledged"], presses[-1]["silent"]) == (3, [])


def press(world: LiveWorld) -> dict[str, Any]:
    """What the gates said. A busy machine may keep one from the quarter of a second that it has: whoever presses again
    asks again, and changes nothing else."""
    said: dict[str, Any] = world.ask("POST", "/control/kill", {"scope": "desk", "reason": REASON, "by": "ann"})["gates"]
    return said


def let_go(world: LiveWorld) -> int:
    return world.guard_log().count("is let go")


def serves(world: LiveWorld) -> bool:
    return len(world.processes("gate")) == 2 and world.bot.send("GET", "/fapi/v1/ping").status_code == 200


def stop(gates: list[int]) -> None:
    for pid in gates:
        os.kill(pid, signal.SIGTERM)


def a_connection(world: LiveWorld) -> socket.socket:
    place = urlsplit(world.places.gate)
    return socket.create_connection((place.hostname, place.port), timeout=20)


def a_far_order() -> dict[str, str]:
    return order_params("BTCUSDT", "BUY", "0.002", 81_000, timeInForce="IOC", newClientOrderId=fresh_id("far"))


def send(world: LiveWorld, bot: str) -> tuple[int, bool, int]:
    """Status, whether the connection closes with it, and the code in the answer to an order."""
    answer = world.bot_named(bot).send("POST", "/fapi/v1/order", **a_far_order())
    return answer.status_code, answer.headers.get("connection") == "close", answer.json().get("code", 0)


def _trades_on(trader: Trader, before: int) -> bool:
    return len(trader.accepted) > before
