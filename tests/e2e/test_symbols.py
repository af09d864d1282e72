"""A contract whose name is not ASCII, as the exchange lists some: there is a way out of it by every door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.bot_sockets import a_trading_socket
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import order_params
from tests.support.worlds import LiveWorld, until

SYMBOL = "币安人生USDT"
# Listed in TOML's own escapes, which any locale writes alike.
LISTED = """
[[instrument]]
symbol = "\\u5e01\\u5b89\\u4eba\\u751fUSDT"
base = "\\u5e01\\u5b89\\u4eba\\u751f"
start_price = "0.1"
tick = "0.0001"
lot_step = "1"
quantity_max = "5000000"
market_quantity_max = "1000000"
notional_min = "5"
depth_quantity = "20000"
"""
POLICY = a_policy(a_rule(f'symbol."{SYMBOL}".position_limit', limit_quantity=1_000))
KILL_TIMEOUT_S = 120.0


class World(LiveWorld):
    """A world whose exchange lists such a contract."""

    @property
    def exchange_settings(self) -> str:
        return super().exchange_settings + LISTED


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("symbols") / "data", POLICY, balance=100_000) as running:
        until(running.answers, "the warden answers", 60)
        until(lambda: running.bot.order(SYMBOL, "BUY", 200).status_code == 200, "entries pass", 60, every_s=0.2)
        yield running


def rest(world: World) -> str:
    """The number of an order that rests, below the market."""
    answer = world.bot.order(SYMBOL, "BUY", 100, "0.0960")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["orderId"])


def resting(world: World) -> int:
    rows = world.direct.open_orders() + world.direct.send("GET", "/fapi/v1/openAlgoOrders").json()
    return sum(row["symbol"] == SYMBOL for row in rows)


def test_the_rules_of_the_symbol_hold(world: World) -> None:
    refused = world.bot.order(SYMBOL, "BUY", 900)
    assert "POSITION_ABOVE_LIMIT" in refused.text
    until(lambda: SYMBOL in json.dumps(world.account(), ensure_ascii=False), "the desk shows it")


def test_orders_are_amended_and_cancelled_by_every_call(world: World) -> None:
    send = world.bot.send
    number = rest(world)
    until(lambda: world.wait_until_settled(), "it is an order")
    amended = send("PUT", "/fapi/v1/order", symbol=SYMBOL, side="BUY", orderId=number, quantity="100", price="0.0961")
    assert amended.status_code == 200, amended.text
    assert send("DELETE", "/fapi/v1/order", symbol=SYMBOL, orderId=number).status_code == 200
    several = send("DELETE", "/fapi/v1/batchOrders", symbol=SYMBOL, orderIdList=f"[{rest(world)}]")
    assert several.json()[0]["status"] == "CANCELED", several.text
    stop = world.bot.stop(SYMBOL, "SELL", 100, "0.0950")
    assert stop.status_code == 200, stop.text
    assert send("DELETE", "/fapi/v1/algoOpenOrders", symbol=SYMBOL).status_code == 200
    rest(world)
    assert world.bot.cancel_all(SYMBOL).status_code == 200
    until(lambda: resting(world) == 0, "nothing rests")


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "in UTF-8"])
def test_a_frame_closes_and_cancels(world: World, ascii_only: bool) -> None:
    number = rest(world)

    async def leave() -> list[dict[str, Any]]:
        async with a_trading_socket(world.bot) as socket:
            answers = []
            for place, (method, params) in enumerate(
                (
                    ("order.cancel", {"symbol": SYMBOL, "orderId": number}),
                    ("order.place", order_params(SYMBOL, "SELL", 50, reduceOnly="true")),
                )
            ):
                call = {"id": f"f{place}", "method": method, "params": socket.signed(params)}
                answers.append(await socket.tell(json.dumps(call, ensure_ascii=ascii_only), call["id"]))
            return answers

    before = world.direct.positions()[SYMBOL]
    assert [answer["status"] for answer in asyncio.run(leave())] == [200, 200]
    assert world.direct.positions()[SYMBOL] == before - 50


def test_an_exit_closes_a_part_of_it(world: World) -> None:
    before = world.direct.positions()[SYMBOL]
    batch = json.dumps([order_params(SYMBOL, "SELL", 10, reduceOnly="true")], ensure_ascii=False)
    assert world.bot.order(SYMBOL, "SELL", 40, reduceOnly="true").status_code == 200
    assert world.bot.send("POST", "/fapi/v1/batchOrders", batchOrders=batch).json()[0]["symbol"] == SYMBOL
    assert world.direct.positions()[SYMBOL] == before - 50


def test_the_kill_cancels_and_closes_it_and_the_record_tells(world: World) -> None:
    rest(world)
    assert world.bot.stop(SYMBOL, "SELL", 50, "0.0950").status_code == 200
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": "a name of another script", "by": "Ada Lovelace"})

    def done() -> Any:
        progress = world.ask("GET", "/control/kill")["kill"]
        return progress if progress is not None and not progress["running"] else None

    assert until(done, "the kill ends", KILL_TIMEOUT_S, every_s=0.2)["flat"] is True
    assert (world.direct.positions(), resting(world)) == ({}, 0)
    told = [record for record in world.export() if SYMBOL in json.dumps(record, ensure_ascii=False)]
    assert {"decision", "intent"} <= {record["kind"] for record in told}
    assert world.command("audit", "verify").returncode == 0
