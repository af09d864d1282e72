"""What became of an order is said to the store before its bot hears of it, and the bot does not wait for the store."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import redis.asyncio

from proxy.store.embedded import EmbeddedStore
from rules.account import HoldStatus
from tests.proxy.gate.conftest import Desk
from tests.support.gates import NOW_MS, Exchange, Gate, Keys, an_exchange

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.1",
    "price": "49000",
    "timeInForce": "GTC",
}


@asynccontextmanager
async def a_gate(desk: Desk, directory: Path) -> AsyncIterator[tuple[Gate, Exchange]]:
    async with an_exchange() as exchange:
        gate = Gate(desk, Keys.in_directory(directory), exchange)
        try:
            yield gate, exchange
        finally:
            await gate.aclose()


async def order(gate: Gate, number: int = 0) -> httpx.Response:
    """One that differs from the others: the same one twice is a replay."""
    return await gate.rest("POST", "/fapi/v1/order", {**ORDER, "timestamp": str(NOW_MS + number)})


async def sent(gate: Gate, exchange: Exchange) -> asyncio.Task[httpx.Response]:
    """An order that is at the exchange and waits for its answer."""
    exchange.gate.clear()
    asked = asyncio.create_task(order(gate))
    await exchange.received(1)
    return asked


async def test_the_answer_does_not_wait_for_a_store_that_stands_still(
    own_desk: Desk, own_server: EmbeddedStore, tmp_path: Path
) -> None:
    async with a_gate(own_desk, tmp_path) as (gate, exchange):
        asked = await sent(gate, exchange)
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            exchange.gate.set()
            assert (await asked).status_code == 200
            assert gate.rest_door.under_way == 1, "a gate that stops waits for it"
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
        await gate.rest_door.drain()
        assert gate.rest_door.under_way == 0
        assert [hold.status for hold in (await own_desk.holds()).values()] == [HoldStatus.ACCEPTED]
        assert [record["kind"] for record in await own_desk.audit()] == ["intent", "decision", "outcome"]


async def test_an_outcome_that_the_store_does_not_hear_is_in_the_journal(
    own_desk: Desk, own_server: EmbeddedStore, tmp_path: Path
) -> None:
    async with a_gate(own_desk, tmp_path) as (gate, exchange):
        asked = await sent(gate, exchange)
        os.kill(own_server.pid, signal.SIGKILL)
        exchange.gate.set()
        assert (await asked).status_code == 200
        await gate.rest_door.drain()
        assert [(each["kind"], each.get("result")) for each in own_desk.journaled()] == [
            ("decision", None),
            ("outcome", "ACCEPTED"),
        ]


@pytest.mark.parametrize(
    ("status", "body", "left"),
    [(200, b"", [HoldStatus.ACCEPTED]), (400, b'{"code":-2019,"msg":"Margin is insufficient."}', [])],
)
async def test_what_the_exchange_answered_while_the_store_took_nothing_is_told_when_it_does(
    own_desk: Desk, own_server: EmbeddedStore, tmp_path: Path, status: int, body: bytes, left: list[HoldStatus]
) -> None:
    """Else the warden finds a hold of which nobody knows, and the bot is stopped for an order it has the answer of."""
    async with a_gate(own_desk, tmp_path) as (gate, exchange):
        asked = await sent(gate, exchange)
        exchange.status, exchange.body = status, body or exchange.body
        async with redis.asyncio.Redis.from_url(own_server.url) as client:
            await client.replicaof("127.0.0.1", "1")
            exchange.gate.set()
            assert (await asked).status_code == status
            await gate.rest_door.drain()
            assert [each["kind"] for each in own_desk.journaled()] == ["decision", "outcome"]
            assert [aged.hold.status for aged in await own_desk.warden.holds("demo")] == [HoldStatus.PENDING]
            await client.replicaof("NO", "ONE")
        await own_desk.store._settling_again.done()
        assert [aged.hold.status for aged in await own_desk.warden.holds("demo")] == left
        assert [record["kind"] for record in await own_desk.audit()] == ["intent"], "the rest is in the journal"


async def test_who_has_an_answer_finds_the_order_settled_by_whatever_is_asked_next(desk: Desk, tmp_path: Path) -> None:
    async with a_gate(desk, tmp_path) as (gate, exchange):
        exchange.status, exchange.body = 400, b'{"code":-2019,"msg":"Margin is insufficient."}'
        for number in range(50):
            assert (await order(gate, number)).status_code == 400
            assert not await desk.holds(), "the refused order's hold still stands"
