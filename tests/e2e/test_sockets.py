"""Bots' sockets at a real guard with two gates: judged as REST is, each bot's own, gone with their key."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.practice.world import ACCOUNT
from tests.support.accounting import nothing_unaccounted
from tests.support.bot_sockets import (
    WAIT_S,
    TradingSocket,
    UserStream,
    a_socket,
    a_trading_socket,
    a_user_stream,
    base64_signer,
    code_and_reason,
    guard_code,
    server_of,
)
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import fresh_id, order_params
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, freeze, until

BTC = "BTCUSDT"
POLICY = a_policy(a_rule("desk.max_order_value", limit=50_000), a_rule("account.demo.own_share"))
SWITCHED_OFF_WITHIN_S = 1.0
REASON = "end-to-end test of the bots' sockets"
KILL_TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    directory = tmp_path_factory.mktemp("sockets") / "data"
    with LiveWorld(directory, POLICY, balance=100_000, gate_workers=2, bots=("ada", "bob", "cut")) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> Iterator[LiveWorld]:
    """A log that begins with the test, and an empty book behind it."""
    running.door.clear()
    yield running
    for name in ("ada", "bob"):
        bot = running.bot_named(name)
        bot.cancel_all(BTC).raise_for_status()
        for symbol, quantity in bot.positions().items():
            side = "SELL" if quantity > 0 else "BUY"
            bot.order(symbol, side, abs(quantity), reduceOnly="true").raise_for_status()

    def empty() -> bool:
        account = running.account()
        return account["holds"] == account["open_orders"] == len(account["positions"]) == 0

    until(empty, "the guard sees an empty book", 60)


@pytest.fixture
async def trading(world: LiveWorld) -> AsyncIterator[TradingSocket]:
    async with a_trading_socket(world.bot) as opened:
        yield opened


async def test_a_frame_is_judged_as_rest_is_and_written_down(world: LiveWorld, trading: TradingSocket) -> None:
    name = fresh_id("frame")
    placed = await trading.ask("order.place", **order_params(BTC, "BUY", "0.01", 80_000, newClientOrderId=name))
    assert (placed["status"], placed["result"]["clientOrderId"]) == (200, name)
    assert [order["clientOrderId"] for order in world.direct.open_orders()] == [world.upstream_id(name)]
    too_much = order_params(BTC, "BUY", "1", 80_000)
    refused, by_rest = (
        await trading.ask("order.place", **too_much),
        world.bot.send("POST", "/fapi/v1/order", **too_much),
    )
    assert guard_code(refused["error"]) == by_rest.headers["x-guard-code"] == "ORDER_VALUE_ABOVE_LIMIT"
    assert (refused["status"], refused["error"]) == (by_rest.status_code, by_rest.json())
    cancelled = await trading.ask("order.cancel", symbol=BTC, origClientOrderId=name)
    assert (cancelled["status"], cancelled["result"]["clientOrderId"]) == (200, name)
    nothing_unaccounted(world)

    def written_down() -> bool:
        return len([record for record in world.export() if "ORDER_VALUE_ABOVE_LIMIT" in json.dumps(record)]) == 2

    until(written_down, "both refusals are in the audit", 30, every_s=0.5)


async def test_each_of_sixty_cancels_at_once_is_answered_and_nothing_rests(
    world: LiveWorld, trading: TradingSocket
) -> None:
    names = [fresh_id("burst") for _ in range(60)]
    for name in names:
        resting = order_params(BTC, "BUY", "0.01", 80_000, newClientOrderId=name)
        world.bot.send("POST", "/fapi/v1/order", **resting).raise_for_status()
    assert len(world.direct.open_orders()) == len(names)
    cancels = (trading.ask("order.cancel", symbol=BTC, origClientOrderId=name) for name in names)
    answers = await asyncio.gather(*cancels)
    assert [answer["status"] for answer in answers] == [200] * len(names)
    assert world.direct.open_orders() == []


async def test_a_session_signs_once(world: LiveWorld, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    public = tmp_path / "public.pem"
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    issued = world.command("keys", "issue", "--bot", "ada", "--account", ACCOUNT, "--ed25519", str(public), "--json")
    assert issued.returncode == 0, issued.stderr
    key = json.loads(issued.stdout)["key"]
    async with a_trading_socket(world.bot, key, base64_signer(private)) as trading:
        unknown = await trading.ask("order.place", bare=True, **order_params(BTC, "BUY", "0.01", 80_000))
        assert (unknown["status"], unknown["error"]["code"]) == (401, -2014)
        logon = await trading.ask("session.logon")
        assert (logon["status"], logon["result"]["apiKey"]) == (200, key)
        placed = await trading.ask("order.place", bare=True, **order_params(BTC, "BUY", "0.01", 80_000))
        assert placed["status"] == 200, placed
        refused = await trading.ask("order.place", bare=True, **order_params(BTC, "BUY", "1", 80_000))
        assert guard_code(refused["error"]) == "ORDER_VALUE_ABOVE_LIMIT"
    nothing_unaccounted(world)


@asynccontextmanager
async def streams_at_two_gates(world: LiveWorld) -> AsyncIterator[tuple[UserStream, UserStream]]:
    """Private streams of Ada and Bob, each at a gate of its own."""
    gates = world.processes("gate")
    assert len(gates) == 2
    async with AsyncExitStack() as stack:
        ada = await stack.enter_async_context(a_user_stream(world.bot_named("ada")))
        place = server_of(ada.connection, gates)
        for _ in range(64):  # Whoever accepts first has the connection.
            bob = await stack.enter_async_context(a_user_stream(world.bot_named("bob")))
            if server_of(bob.connection, gates) != place:
                yield ada, bob
                return
            await bob.connection.close()
    pytest.fail("one gate accepts everything")


async def test_two_bots_at_two_gates_hear_each_of_its_own(world: LiveWorld) -> None:
    async with streams_at_two_gates(world) as (ada, bob):
        for bot, name in (("bob", "his"), ("ada", "hers")):
            params = order_params(BTC, "BUY", "0.01", newClientOrderId=name)
            async with a_trading_socket(world.bot_named(bot)) as trading:
                assert (await trading.ask("order.place", **params))["status"] == 200
        # The first that each hears of any order is its own, though Bob's came first and both filled.
        hers, his = await ada.told("ORDER_TRADE_UPDATE"), await bob.told("ORDER_TRADE_UPDATE")
        assert (hers["o"]["c"], his["o"]["c"]) == ("hers", "his")
        await ada.told("ORDER_TRADE_UPDATE", c="hers", X="FILLED")
        await bob.told("ORDER_TRADE_UPDATE", c="his", X="FILLED")


async def test_a_key_switched_off_closes_its_sockets_within_a_second(world: LiveWorld) -> None:
    cut = world.bot_named("cut")
    async with (
        a_trading_socket(cut) as trading,
        a_user_stream(cut) as stream,
        a_trading_socket(world.bot_named("ada")) as another,
    ):
        for socket in (trading, another):
            assert (await socket.ask("account.status"))["status"] == 200
        done = await asyncio.to_thread(world.command, "keys", "disable", cut.key)
        assert done.returncode == 0, done.stderr
        for connection in (trading.connection, stream.connection):
            code, reason = await code_and_reason(connection, SWITCHED_OFF_WITHIN_S)
            assert code == 1008 and "KEY_DISABLED" in reason
        assert (await another.ask("account.status"))["status"] == 200


async def test_a_private_stream_may_be_narrowed_to_its_orders(world: LiveWorld) -> None:
    listen_key = world.bot.send("POST", "/fapi/v1/listenKey").raise_for_status().json()["listenKey"]
    path = f"/private/ws?listenKey={listen_key}&events=ORDER_TRADE_UPDATE"
    async with a_socket(world.bot.base_url, path) as narrow, a_user_stream(world.bot) as whole:
        world.bot.order(BTC, "BUY", "0.01").raise_for_status()
        await whole.told("ACCOUNT_UPDATE")
        await whole.told("ORDER_TRADE_UPDATE", X="FILLED")
        heard: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT_S):
            while not heard or heard[-1]["o"]["X"] != "FILLED":
                heard.append(json.loads(await narrow.recv()))
    assert {event["e"] for event in heard} == {"ORDER_TRADE_UPDATE"}


async def test_the_market_is_heard_while_the_warden_is_down(world: LiveWorld) -> None:
    warden = world.process("warden")
    freeze(warden)
    try:
        async with a_socket(world.bot.base_url, "/stream?streams=btcusdt@markPrice@1s") as market:
            async with asyncio.timeout(WAIT_S):
                heard = json.loads(await market.recv())
    finally:
        os.kill(warden, signal.SIGCONT)
    assert (heard["stream"], heard["data"]["s"]) == ("btcusdt@markPrice@1s", BTC)
    until(world.answers, "the warden answers", 60)


@pytest.mark.parametrize(
    ("path", "frame", "reason"),
    [
        ("/ws-fapi/v1", {"id": 1, "method": "order.cancelReplace", "params": {}}, "UNKNOWN_ROUTE"),
        ("/ws-fapi/v1", {"id": 1, "method": "SUBSCRIBE", "params": {}}, "UNKNOWN_ROUTE"),
        ("/ws", {"id": 1, "method": "order.place", "params": []}, "UNKNOWN_OPERATION"),
    ],
)
async def test_an_operation_nobody_serves_closes_the_socket_with_a_reason(
    world: LiveWorld, path: str, frame: dict[str, Any], reason: str
) -> None:
    async with a_socket(world.bot.base_url, path) as connection:
        await connection.send(json.dumps(frame))
        code, told = await code_and_reason(connection)
    assert code == 1008 and reason in told
    assert world.door.log() == []


async def test_after_the_button_nothing_is_placed_and_cancels_pass(world: LiveWorld, trading: TradingSocket) -> None:
    assert (await trading.ask("order.place", **order_params(BTC, "BUY", "0.01", 80_000)))["status"] == 200
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": REASON, "by": "Ada Lovelace"})
    refused = await trading.ask("order.place", **order_params(BTC, "BUY", "0.01", 80_000))
    assert guard_code(refused["error"]) in ("KILL_RUNNING", "TRADING_HALTED")  # As far as the kill is by then.

    def done() -> Any:
        progress = world.ask("GET", "/control/kill")["kill"]
        return progress if not progress["running"] else None

    until(done, "the kill ends", KILL_TIMEOUT_S, every_s=0.2)
    assert world.direct.open_orders() == []
    before = world.door.total()
    # It is the exchange that answers, and there is nothing left to cancel.
    cancelled = await trading.ask("order.cancel", symbol=BTC, origClientOrderId="long-gone")
    assert (cancelled["error"]["code"], guard_code(cancelled["error"])) == (-2011, "")
    refused = await trading.ask("order.place", **order_params(BTC, "BUY", "0.01", 80_000))
    assert guard_code(refused["error"]) == "TRADING_HALTED"
    assert [entry["method"] for entry in world.door.log()[before:]] == ["DELETE"]
    come_back(world, "desk")
