"""ccxt.pro on sockets alone: it watches the market and its account, and trades over the trading socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import ccxt.pro
import pytest

from tests.support.accounting import nothing_unaccounted
from tests.support.clients import a_ccxt
from tests.support.worlds import LiveWorld, until_async

BTC = "BTC/USDT:USDT"


class Watcher:
    """Everything ccxt.pro's private streams said, gathered in the background."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange
        self.orders: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.positions: list[dict[str, Any]] = []
        self.balances: list[dict[str, Any]] = []
        self._tasks = [
            asyncio.create_task(self._gather(exchange.watch_orders, self.orders)),
            asyncio.create_task(self._gather(exchange.watch_my_trades, self.trades)),
            asyncio.create_task(self._gather(exchange.watch_positions, self.positions)),
            asyncio.create_task(self._gather(exchange.watch_balance, self.balances)),
        ]

    async def connected(self) -> None:
        """Until the private stream is open: what happens before it does is told to nobody."""

        def is_open() -> bool:
            return any("listenKey" in url and client.connected.done() for url, client in self.exchange.clients.items())

        await until_async(is_open, "the private stream is open")

    async def said(self, heard: list[dict[str, Any]], what: str, **fields: Any) -> dict[str, Any]:
        """The first message of ``heard`` with these fields."""

        def found() -> dict[str, Any] | None:
            return next((each for each in heard if fields.items() <= each.items()), None)

        return await until_async(found, what)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _gather(self, watch: Callable[[], Any], heard: list[dict[str, Any]]) -> None:
        while True:
            said = await watch()
            heard.extend(dict(each) for each in (said if isinstance(said, list) else [said]))


@pytest.fixture
async def exchange(world: LiveWorld) -> AsyncIterator[Any]:
    opened = a_ccxt(world, "pro")
    yield opened
    await opened.close()


async def test_it_watches_the_market(world: LiveWorld, exchange: Any) -> None:
    ticker, book, candles, trades = await asyncio.wait_for(
        asyncio.gather(
            exchange.watch_ticker(BTC),
            exchange.watch_order_book(BTC, 5),
            exchange.watch_ohlcv(BTC, "1m"),
            asyncio.create_task(_a_trade(world, exchange)),
        ),
        30,
    )
    assert ticker["symbol"] == BTC and ticker["last"] > 0
    assert book["bids"][0][0] < book["asks"][0][0]
    assert candles[-1][4] > 0
    assert trades[0]["symbol"] == BTC


async def _a_trade(world: LiveWorld, exchange: Any) -> Any:
    """A trade of the market's; the price is moved so that one happens."""
    watching = asyncio.create_task(exchange.watch_trades(BTC))
    while not watching.done():
        world.direct.order("BTCUSDT", "BUY", "0.002").raise_for_status()
        await asyncio.wait({watching}, timeout=0.5)
    return await watching


async def test_it_trades_and_is_told_of_everything(world: LiveWorld, exchange: Any) -> None:
    await exchange.load_markets()
    watcher = Watcher(exchange)
    await watcher.connected()
    bought = await exchange.create_order_ws(BTC, "market", "buy", 0.1)
    await watcher.said(watcher.orders, "the market order is filled", id=bought["id"], status="closed")
    fill = await watcher.said(watcher.trades, "its fill", order=bought["id"])
    assert fill["amount"] == pytest.approx(0.1)
    await watcher.said(watcher.positions, "the position", symbol=BTC, contracts=0.1)
    assert await until_async(lambda: watcher.balances, "the balance")

    placed = await exchange.create_order_ws(BTC, "limit", "buy", 0.01, 85_000, {"clientOrderId": "mine-1"})
    assert placed["clientOrderId"] == "mine-1"
    await watcher.said(watcher.orders, "it rests", clientOrderId="mine-1", status="open")
    changed = await exchange.edit_order_ws(placed["id"], BTC, "limit", "buy", 0.02, 84_000)
    assert (changed["amount"], changed["price"]) == (0.02, 84_000)
    cancelled = await exchange.cancel_order_ws(placed["id"], BTC)
    assert cancelled["id"] == placed["id"]
    await watcher.said(watcher.orders, "it is cancelled", clientOrderId="mine-1", status="canceled")

    stop = await exchange.create_order_ws(BTC, "market", "sell", 0.1, None, {"stopLossPrice": 80_000})
    assert [row["algoId"] for row in world.direct.send("GET", "/fapi/v1/openAlgoOrders").json()] == [int(stop["id"])]
    await exchange.cancel_order_ws(stop["id"], BTC, {"trigger": True})

    await exchange.create_order_ws(BTC, "market", "sell", 0.1, None, {"reduceOnly": True})
    await until_async(lambda: world.direct.positions() == {}, "the position is closed")
    await watcher.aclose()
    nothing_unaccounted(world)


async def test_a_refusal_on_the_socket_is_the_same_exception(world: LiveWorld, exchange: Any) -> None:
    await exchange.load_markets()
    before = world.door.total()
    with pytest.raises(ccxt.pro.InvalidOrder, match="ORDER_VALUE_ABOVE_LIMIT"):
        await exchange.create_order_ws(BTC, "market", "buy", 5)
    assert world.door.total() == before, "an entry reached the exchange"
