"""Slow clients of every kind stand at a gate: each is cut at its deadline, and a bot is served all the while.

How much they cost it is measured by ``bench.slow_attacks``, whose crowd this is, smaller.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bench.hostile import BEHAVIOURS, Hostile
from tests.support.policies import a_policy
from tests.support.worlds import LiveWorld, until

DEADLINE_S = 5.0
"""The gate's bound on a request, and on a connection that says nothing."""

CROWD = 200
STARTS = {
    "idle": b"",
    "half a request line": b"POST /binanceusdm/fapi/v1/ord",
    "half the headers": b"POST /binanceusdm/fapi/v1/order HTTP/1.1\r\nHost: guard\r\nX-Slow: ",
    "half a body": b"POST /binanceusdm/fapi/v1/order HTTP/1.1\r\nHost: guard\r\nContent-Length: 9000\r\n\r\nsymbol=BTC",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    path = tmp_path_factory.mktemp("slow") / "data"
    with LiveWorld(path, a_policy(), balance=100_000, bots=("bot", "other")) as running:
        yield running


@pytest.mark.full
def test_each_kind_is_cut_at_its_deadline_while_a_bot_is_served(world: LiveWorld) -> None:
    place = urlsplit(world.places.gate)
    slow = {name: socket.create_connection((place.hostname, place.port), timeout=1) for name in STARTS}
    began = time.monotonic()
    try:
        for name, connection in slow.items():
            connection.sendall(STARTS[name])
        closed: dict[str, float] = {}
        while len(closed) < len(slow) and time.monotonic() < began + DEADLINE_S + 20:
            assert world.bot.order("BTCUSDT", "BUY", "0.002", 81_000, timeInForce="IOC").status_code == 200
            for name in slow.keys() - closed.keys():
                if is_closed(slow[name], drip=bool(STARTS[name])):
                    closed[name] = time.monotonic() - began
        assert closed.keys() == slow.keys()
        assert min(closed.values()) > DEADLINE_S - 1, closed
    finally:
        for connection in slow.values():
            connection.close()


@pytest.mark.full
def test_in_a_crowd_of_every_kind_a_bot_gets_in_and_out(world: LiveWorld) -> None:
    with Hostile(world.places.gate, CROWD, list(BEHAVIOURS)) as crowd:
        until(lambda: crowd.held > CROWD // 2, "the crowd stands at the gate", 120)
        for bot in (world.bot_named("other"), world.bot_named("bot")):
            assert bot.order("BTCUSDT", "BUY", "0.01").status_code == 200
            assert bot.order("BTCUSDT", "SELL", "0.01", reduceOnly="true").status_code == 200
            assert bot.cancel_all("BTCUSDT").status_code == 200
        assert crowd.held > CROWD // 2
    assert world.direct.positions() == {}
    assert "Traceback" not in world.guard_log()


def is_closed(connection: socket.socket, *, drip: bool) -> bool:
    """Whether the gate has closed; a byte more for those that are merely slow."""
    connection.settimeout(0.01)
    try:
        if drip:
            connection.sendall(b"x")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
