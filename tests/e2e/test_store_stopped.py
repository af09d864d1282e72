"""Law 4 with the store standing still: entries fail closed within 100 ms, exits and cancels stay open."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from proxy.supervision.supervisor import listening_socket
from proxy.venues.binance.venue import VENUE
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import Bot, fresh_id
from tests.support.worlds import LiveWorld, freeze, until

REFUSED_WITHIN_S = 0.1
BREAKER_S = 1.1
"""A gate asks a store that failed again after a second; only then does an answer take its full time."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    directory = tmp_path_factory.mktemp("stopped") / "data"
    with LiveWorld(directory, policy, balance=100_000, store_timeout_s=None) as running:
        yield running


@contextmanager
def stopped_store(world: LiveWorld) -> Iterator[None]:
    store = world.process("store")
    freeze(store)
    try:
        yield
    finally:
        os.kill(store, signal.SIGCONT)


@contextmanager
def another_gate(world: LiveWorld) -> Iterator[str]:
    """A gate of our own, started now; its address."""
    with listening_socket("127.0.0.1", 0) as listener:
        command = [sys.executable, "-m", "proxy", "--data-dir", str(world.data_dir), "gate", "--fd"]
        gate = subprocess.Popen(
            [*command, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            env=world.environment,
            stderr=subprocess.DEVNULL,
        )
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            httpx.get(f"{address}/healthz", timeout=60, trust_env=False).raise_for_status()
            yield f"{address}/{VENUE}"
        finally:
            gate.terminate()
            gate.wait(timeout=30)


def took_s(bot: Bot, quantity: str) -> tuple[float, httpx.Response]:
    began = time.perf_counter()
    answer = bot.order("BTCUSDT", "BUY", quantity)
    return time.perf_counter() - began, answer


def leave(bot: Bot, world: LiveWorld, ids: list[str]) -> None:
    """Sell a part reduce-only and cancel the newest resting order: both must reach the exchange."""
    before = world.direct.positions()["BTCUSDT"]
    resting = bot.open_orders()[-1]["clientOrderId"]
    sold_id = fresh_id("exit")
    sold = bot.order("BTCUSDT", "SELL", "0.02", reduceOnly="true", newClientOrderId=sold_id)
    cancelled = bot.send("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=resting)
    assert (sold.status_code, cancelled.status_code) == (200, 200), (sold.text, cancelled.text)
    assert [entry["status"] for entry in world.door.arrivals(newClientOrderId=world.upstream_id(sold_id))] == [200]
    at_the_venue = world.upstream_id(resting)
    assert [entry["method"] for entry in world.door.arrivals(origClientOrderId=at_the_venue)] == ["DELETE"]
    assert world.direct.positions()["BTCUSDT"] == pytest.approx(before - 0.02)
    assert at_the_venue not in [order["clientOrderId"] for order in world.direct.open_orders()]
    ids += [sold.headers["x-guard-decision"], cancelled.headers["x-guard-decision"]]


def test_entries_close_exits_stay_open_and_the_audit_has_it_all(world: LiveWorld) -> None:
    bot, door = world.bot, world.door
    assert bot.order("BTCUSDT", "BUY", "0.2").status_code == 200
    for price in (80_000, 80_001, 80_002, 80_003):
        assert bot.order("BTCUSDT", "BUY", "0.01", price).status_code == 200
    world.wait_until_settled()
    normal_s = statistics.median(took_s(bot, "5")[0] for _ in range(9))
    door.clear()
    ids: list[str] = []

    with stopped_store(world):
        times_s, codes = [], set()
        for _ in range(5):
            took, answer = took_s(bot, "0.01")
            assert answer.status_code == 400, answer.text
            times_s.append(took)
            codes.add(answer.headers["x-guard-code"])
            ids.append(answer.headers["x-guard-decision"])
            time.sleep(BREAKER_S)
        print(f"refused in {[round(each * 1000) for each in times_s]} ms, normally in {normal_s * 1000:.0f} ms")
        assert statistics.median(times_s) < REFUSED_WITHIN_S + normal_s
        assert codes == {"STORE_UNAVAILABLE"}
        assert door.log() == [], "an entry reached the exchange"

        leave(bot, world, ids)
        leave(Bot(world.places.gate, bot.key, world.guard_key.secret), world, ids)
        with another_gate(world) as address:
            late = Bot(address, bot.key, world.guard_key.secret)
            refused = late.order("BTCUSDT", "BUY", "0.01")
            assert refused.status_code == 400, refused.text
            ids.append(refused.headers["x-guard-decision"])
            leave(late, world, ids)
        assert {entry["params"].get("side") for entry in door.log()} == {"SELL", None}, "an entry reached the exchange"

    until(lambda: bot.order("BTCUSDT", "BUY", "0.01").status_code == 200, "entries pass again", 60, every_s=0.2)
    until(lambda: set(ids) <= decided(world), "the spooled decisions are archived", 60, every_s=0.5)
    verified = world.command("audit", "verify", "--json")
    assert verified.returncode == 0, verified.stdout


def decided(world: LiveWorld) -> set[Any]:
    return {record["id"] for record in world.export() if record["kind"] == "decision"}
