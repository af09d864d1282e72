"""Real ccxt and real python-binance trade through the guard, with nothing changed but the address and the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ccxt
import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException

from proxy.demo.bot import connect
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(
        a_rule("desk.max_order_value", limit=50_000),
        a_rule("desk.max_leverage", limit=10),
        a_rule("bot.hasty.message_rate", per_second=0.01, burst=2),
    )
    directory = tmp_path_factory.mktemp("clients") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=("bot", "hasty")) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> Iterator[LiveWorld]:
    """An empty book, before and after."""
    yield running
    running.door.disarm()
    if running.account()["fence_engaged"]:
        return
    for symbol, quantity in running.direct.positions().items():
        side = "SELL" if quantity > 0 else "BUY"
        running.direct.order(symbol, side, abs(quantity), reduceOnly="true").raise_for_status()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        running.direct.cancel_all(symbol).raise_for_status()
        running.direct.send("DELETE", "/fapi/v1/algoOpenOrders", symbol=symbol).raise_for_status()

    def empty() -> bool:
        account = running.account()
        resting = account["open_orders"] + account["conditional_orders"]
        return account["holds"] == resting == len(account["positions"]) == 0

    until(empty, "the guard sees an empty book", 60)


def a_ccxt(world: LiveWorld, bot: str = "bot") -> Any:
    key = world.guard_keys[bot]
    return connect(world.places.gate, key.key, key.secret)


def a_python_binance(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> Any:
    for attribute, path in (
        ("API_URL", "/api"),
        ("MARGIN_API_URL", "/sapi"),
        ("FUTURES_URL", "/fapi"),
        ("FUTURES_DATA_URL", "/futures/data"),
    ):
        monkeypatch.setattr(Client, attribute, world.places.gate + path)
    return Client(world.guard_key.key, world.guard_key.secret.reveal(), ping=False)


def test_ccxt_trades(world: LiveWorld) -> None:
    bot = a_ccxt(world)
    assert int(bot.set_leverage(7, BTC)["leverage"]) == 7
    bot.create_order(BTC, "market", "buy", 0.1)
    mark = bot.fetch_ticker(BTC)["last"]
    stop = bot.create_order(BTC, "market", "sell", 0.1, None, {"stopLossPrice": round(mark * 0.95), "reduceOnly": True})
    resting = bot.create_order(BTC, "limit", "buy", 0.01, round(mark * 0.97))
    pair = [
        {"symbol": ETH, "type": "limit", "side": side, "amount": 0.1, "price": round(mark_eth)}
        for side, mark_eth in (("buy", 2_900), ("sell", 3_100))
    ]
    assert len(bot.create_orders(pair)) == 2
    positions = {each["symbol"]: each["contracts"] for each in bot.fetch_positions() if each["contracts"]}
    assert positions == {BTC: pytest.approx(0.1)}
    assert len(bot.fetch_open_orders(ETH)) == 2

    bot.cancel_order(resting["id"], BTC)
    bot.cancel_order(stop["id"], BTC, {"trigger": True})
    bot.cancel_all_orders(ETH)
    assert world.direct.open_orders() == []
    bot.create_order(BTC, "market", "sell", 0.1, None, {"reduceOnly": True})
    assert world.direct.positions() == {}


def test_python_binance_trades(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    client = a_python_binance(world, monkeypatch)
    assert client.futures_change_leverage(symbol="BTCUSDT", leverage=6)["leverage"] == 6
    client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.1)
    stop = client.futures_create_order(
        symbol="BTCUSDT", side="SELL", type="STOP_MARKET", quantity=0.1, triggerPrice="85500", reduceOnly=True
    )
    assert stop["algoId"]
    order = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    placed = client.futures_place_batch_order(batchOrders=[order | {"price": "2900"}, order | {"price": "2901"}])
    assert len({each["orderId"] for each in placed}) == 2
    amounts = {row["symbol"]: float(row["positionAmt"]) for row in client.futures_position_information()}
    assert amounts["BTCUSDT"] == pytest.approx(0.1)

    assert client.futures_cancel_order(symbol="ETHUSDT", orderId=placed[0]["orderId"])["status"] == "CANCELED"
    client.futures_cancel_all_open_orders(symbol="ETHUSDT")
    assert world.direct.open_orders() == []
    client.futures_create_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.1, reduceOnly=True)
    assert world.direct.positions() == {}


def test_a_refusal_of_a_rule_is_an_invalid_order(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.door.total()
    with pytest.raises(ccxt.InvalidOrder, match="ORDER_VALUE_ABOVE_LIMIT"):
        a_ccxt(world).create_order(BTC, "market", "buy", 5)
    with pytest.raises(BinanceAPIException) as caught:
        a_python_binance(world, monkeypatch).futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity=5
        )
    assert caught.value.code == -2010
    assert world.door.total() == before, "an entry reached the exchange"


def test_a_refusal_for_haste_is_a_rate_limit(world: LiveWorld) -> None:
    hasty = a_ccxt(world, "hasty")
    for _ in range(2):
        hasty.create_order(BTC, "limit", "buy", 0.01, 85_000)
    with pytest.raises(ccxt.RateLimitExceeded):
        hasty.create_order(BTC, "limit", "buy", 0.01, 85_000)
    hasty.cancel_all_orders(BTC)  # Cancels spend nothing.
    assert world.direct.open_orders() == []


def test_a_lost_answer_is_a_timeout_and_no_rejection(world: LiveWorld) -> None:
    bot = a_ccxt(world)
    bot.load_markets()
    world.door.arm(drop_reply=1)
    with pytest.raises(ccxt.RequestTimeout):
        bot.create_order(BTC, "limit", "buy", 0.01, 85_000)
    assert len(world.direct.open_orders()) == 1


def test_after_a_kill_permission_is_denied(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": "end-to-end test", "by": "Ada Lovelace"})
    bot = a_ccxt(world)
    with pytest.raises(ccxt.PermissionDenied):
        bot.create_order(BTC, "market", "buy", 0.01)
    bot.cancel_all_orders(BTC)
    with pytest.raises(BinanceAPIException, match="has no operation privilege"):
        a_python_binance(world, monkeypatch).futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01
        )
