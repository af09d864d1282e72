"""python-binance, synchronous and asynchronous, plays the same session over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tests.support.accounting import nothing_unaccounted
from tests.support.clients import a_python_binance, an_async_python_binance, answer
from tests.support.practice_client import fresh_id
from tests.support.worlds import LiveWorld

Ask = Callable[..., Coroutine[Any, Any, Any]]

LIMIT = {"type": "LIMIT", "timeInForce": "GTC"}


@pytest.fixture(params=["sync", "async"])
async def ask(request: pytest.FixtureRequest, world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ask]:
    """Call python-binance by the name of a futures method, whatever its face."""
    if request.param == "sync":
        client = a_python_binance(world, monkeypatch)
    else:
        client = await an_async_python_binance(world, monkeypatch)

    async def call(method: str, **params: Any) -> Any:
        return await answer(getattr(client, f"futures_{method}")(**params))

    yield call
    await answer(client.close_connection())


async def test_a_day_of_trading(world: LiveWorld, ask: Ask) -> None:
    assert {"BTCUSDT", "ETHUSDT"} <= {each["symbol"] for each in (await ask("exchange_info"))["symbols"]}
    assert (await ask("change_leverage", symbol="BTCUSDT", leverage=6))["leverage"] == 6
    bought = await ask("create_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.1)
    mark = round(float((await ask("mark_price", symbol="BTCUSDT"))["markPrice"]))
    await protects(ask, mark)
    await amends(ask, mark)
    await quotes(ask)
    await knows_where_it_stands(ask, bought["orderId"])
    await ask("create_order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.1, reduceOnly=True)
    assert world.direct.positions() == {}
    assert world.direct.open_orders() == []
    nothing_unaccounted(world)


async def protects(ask: Ask, mark: int) -> None:
    """A stop of the position's size and one that closes it whole; both cancelled."""
    sell = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    sized = await ask("create_order", **sell, quantity=0.1, triggerPrice=round(mark * 0.95), reduceOnly=True)
    await ask("create_order", **sell, triggerPrice=round(mark * 0.9), closePosition=True)
    assert len(await ask("get_open_algo_orders", symbol="BTCUSDT")) == 2
    await ask("cancel_algo_order", symbol="BTCUSDT", algoId=sized["algoId"])
    await ask("cancel_all_algo_open_orders", symbol="BTCUSDT")
    assert await ask("get_open_algo_orders", symbol="BTCUSDT") == []


async def amends(ask: Ask, mark: int) -> None:
    """A limit order under the bot's own name is changed, read by that name, and cancelled by it."""
    name, buy = fresh_id("mine"), {"symbol": "BTCUSDT", "side": "BUY"}
    price = round(mark * 0.97)
    await ask("create_order", **buy, **LIMIT, quantity=0.01, price=price, newClientOrderId=name)
    await ask("modify_order", **buy, origClientOrderId=name, quantity=0.02, price=price - 10)
    changed = await ask("get_order", symbol="BTCUSDT", origClientOrderId=name)
    assert (float(changed["origQty"]), float(changed["price"])) == (0.02, price - 10)
    cancelled = await ask("cancel_order", symbol="BTCUSDT", origClientOrderId=name)
    assert (cancelled["clientOrderId"], cancelled["status"]) == (name, "CANCELED")


async def quotes(ask: Ask) -> None:
    """A batch, cancelled in two ways."""
    order = {"symbol": "ETHUSDT", "side": "BUY", **LIMIT, "quantity": "0.1"}
    pair = [order | {"price": "2900"}, order | {"price": "2901"}, order | {"price": "2902"}]
    placed = await ask("place_batch_order", batchOrders=pair)
    assert len({each["orderId"] for each in placed}) == 3
    await ask("cancel_orders", symbol="ETHUSDT", orderidlist=[placed[0]["orderId"]])
    assert len(await ask("get_open_orders", symbol="ETHUSDT")) == 2
    await ask("cancel_all_open_orders", symbol="ETHUSDT")
    assert await ask("get_open_orders", symbol="ETHUSDT") == []


async def knows_where_it_stands(ask: Ask, bought_id: int) -> None:
    """Positions, fills, orders and money, as the exchange tells them."""
    amounts = {row["symbol"]: float(row["positionAmt"]) for row in await ask("position_information")}
    assert amounts["BTCUSDT"] == pytest.approx(0.1)
    fills = await ask("account_trades", symbol="BTCUSDT", orderId=bought_id)
    assert sum(float(fill["qty"]) for fill in fills) == pytest.approx(0.1)
    assert bought_id in {order["orderId"] for order in await ask("get_all_orders", symbol="BTCUSDT")}
    assert float((await ask("account"))["totalWalletBalance"]) > 90_000
