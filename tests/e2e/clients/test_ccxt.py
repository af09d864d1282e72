"""ccxt, synchronous, asynchronous and pro, plays the same session over REST: everything a trading bot does in a day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tests.support.accounting import nothing_unaccounted
from tests.support.clients import CCXT, a_ccxt, answer
from tests.support.practice_client import fresh_id
from tests.support.worlds import LiveWorld

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"

Ask = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture(params=CCXT)
async def ask(request: pytest.FixtureRequest, world: LiveWorld) -> AsyncIterator[Ask]:
    """Call ccxt by the name of a method, whatever its face."""
    exchange = a_ccxt(world, request.param)

    async def call(method: str, *arguments: Any) -> Any:
        return await answer(getattr(exchange, method)(*arguments))

    yield call
    await answer(getattr(exchange, "close", lambda: None)())


async def test_a_day_of_trading(world: LiveWorld, ask: Ask) -> None:
    await ask("load_markets")
    assert int((await ask("set_leverage", 7, BTC))["leverage"]) == 7
    bought = await ask("create_order", BTC, "market", "buy", 0.1)
    assert bought["id"]
    mark = await looks_around(ask)
    await protects(ask, mark)
    await amends(ask, mark)
    await quotes_both_sides(ask)
    await knows_where_it_stands(ask, bought["id"])
    await ask("create_order", BTC, "market", "sell", 0.1, None, {"reduceOnly": True})
    assert world.direct.positions() == {}
    assert world.direct.open_orders() == []
    nothing_unaccounted(world)


async def looks_around(ask: Ask) -> float:
    """Market data; the last price."""
    book = await ask("fetch_order_book", BTC, 5)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert await ask("fetch_ohlcv", BTC, "1m", None, 5)
    assert (await ask("fetch_funding_rate", BTC))["symbol"] == BTC
    assert await ask("fetch_time")
    return float((await ask("fetch_ticker", BTC))["last"])


async def protects(ask: Ask, mark: float) -> None:
    """A stop and a target, listed and one of them cancelled."""
    terms = {"stopLossPrice": round(mark * 0.95), "reduceOnly": True}
    stop = await ask("create_order", BTC, "market", "sell", 0.1, None, terms)
    terms = {"takeProfitPrice": round(mark * 1.05), "reduceOnly": True}
    target = await ask("create_order", BTC, "market", "sell", 0.1, None, terms)
    resting = await ask("fetch_open_orders", BTC, None, None, {"trigger": True})
    assert {order["id"] for order in resting} == {stop["id"], target["id"]}
    await ask("cancel_order", target["id"], BTC, {"trigger": True})
    await ask("cancel_order", stop["id"], BTC, {"trigger": True})
    assert await ask("fetch_open_orders", BTC, None, None, {"trigger": True}) == []


async def amends(ask: Ask, mark: float) -> None:
    """A limit order under the bot's own name is changed, read by that name, and cancelled by it."""
    name = fresh_id("mine")
    placed = await ask("create_order", BTC, "limit", "buy", 0.01, round(mark * 0.97), {"clientOrderId": name})
    assert placed["clientOrderId"] == name
    await ask("edit_order", placed["id"], BTC, "limit", "buy", 0.02, round(mark * 0.96))
    changed = await ask("fetch_order", None, BTC, {"clientOrderId": name})
    assert (changed["amount"], changed["price"]) == (0.02, round(mark * 0.96))
    cancelled = await ask("cancel_order", None, BTC, {"clientOrderId": name})
    assert (cancelled["clientOrderId"], cancelled["status"]) == (name, "canceled")


async def quotes_both_sides(ask: Ask) -> None:
    """A batch, cancelled in two ways."""
    mark = (await ask("fetch_ticker", ETH))["last"]
    pair = [
        {"symbol": ETH, "type": "limit", "side": side, "amount": 0.1, "price": round(mark * share)}
        for side, share in (("buy", 0.97), ("buy", 0.96), ("sell", 1.03))
    ]
    placed = await ask("create_orders", pair)
    assert len({order["id"] for order in placed}) == 3
    await ask("cancel_orders", [placed[0]["id"]], ETH)
    assert len(await ask("fetch_open_orders", ETH)) == 2
    await ask("cancel_all_orders", ETH)
    assert await ask("fetch_open_orders", ETH) == []


async def knows_where_it_stands(ask: Ask, bought_id: str) -> None:
    """Positions, fills, orders and money, as the exchange tells them."""
    positions = {each["symbol"]: each for each in await ask("fetch_positions") if each["contracts"]}
    assert list(positions) == [BTC]
    assert positions[BTC]["contracts"] == pytest.approx(0.1)
    fills = [fill for fill in await ask("fetch_my_trades", BTC) if fill["order"] == bought_id]
    assert sum(fill["amount"] for fill in fills) == pytest.approx(0.1)
    assert bought_id in {order["id"] for order in await ask("fetch_orders", BTC)}
    assert (await ask("fetch_balance"))["USDT"]["total"] > 90_000
