"""Unmodified ccxt.pro watches and trades on the practice exchange; only its URLs are swapped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.sandbox.practice import ALICE, BOB, PracticeServer, start, stop

BTC = "BTC/USDT:USDT"
PATIENCE_S = 15


@pytest.fixture
def running() -> Iterator[PracticeServer]:
    """A calm market on a clock as fast as the wall's."""
    process, server = start("--scenario", "calm")
    yield server
    server.control.close()
    stop(process)


@pytest.fixture
async def client(running: PracticeServer) -> AsyncIterator[Any]:
    exchange = await connected(running, ALICE)
    yield exchange
    await exchange.close()


async def connected(venue: PracticeServer, credential: tuple[str, str]) -> Any:
    """A binanceusdm client whose every URL, REST and WebSocket, points at the practice exchange."""
    exchange = ccxt.pro.binanceusdm({"apiKey": credential[0], "secret": credential[1], "enableRateLimit": False})

    def repoint(urls: dict[str, Any]) -> None:
        for name, url in urls.items():
            if isinstance(url, dict):
                repoint(url)
            elif isinstance(url, str):
                urls[name] = re.sub(r"^wss?://[^/]+", venue.ws, re.sub(r"^https?://[^/]+", venue.url, url))

    repoint(exchange.urls["api"])
    await exchange.load_markets()
    return exchange


async def within(waiting: Any) -> Any:
    return await asyncio.wait_for(waiting, PATIENCE_S)


async def test_market_data_is_watched(client: Any) -> None:
    updates: set[int] = set()
    while len(updates) < 4:
        book = await within(client.watch_order_book(BTC))
        updates.add(book["nonce"])
        assert book["bids"][0][0] < book["asks"][0][0]
    assert (await within(client.watch_trades(BTC)))[-1]["symbol"] == BTC
    assert (await within(client.watch_trades(BTC, params={"name": "aggTrade"})))[-1]["symbol"] == BTC
    candle = (await within(client.watch_ohlcv(BTC, "1m")))[-1]
    assert candle[3] <= candle[4] <= candle[2]
    assert (await within(client.watch_ticker(BTC)))["last"] > 0
    assert len(await within(client.watch_tickers())) == 6
    assert (await within(client.watch_bids_asks([BTC])))[BTC]["bid"] > 0
    assert (await within(client.watch_mark_price(BTC)))["markPrice"] > 0


async def test_the_book_kept_by_ccxt_is_the_book(venue: PracticeServer) -> None:
    exchange = await connected(venue, ALICE)
    try:
        await within(exchange.watch_order_book(BTC))
        for price in (88000, 88010, 88020):
            await exchange.create_order(BTC, "limit", "buy", 0.01, price)
        await exchange.create_order(BTC, "market", "buy", 1)
        kept = await within(exchange.watch_order_book(BTC))
        real = await exchange.fetch_order_book(BTC, 1000)
        while [88000, 0.01] not in kept["bids"]:
            kept = await within(exchange.watch_order_book(BTC))
        assert (list(kept["bids"]), list(kept["asks"])) == (real["bids"], real["asks"])
    finally:
        await exchange.close()


async def test_the_account_is_watched_while_it_trades(client: Any) -> None:
    # The first answer is ccxt's own snapshot over REST.
    assert await within(client.watch_positions([BTC])) == []
    async with watched(client, client.watch_orders(BTC)) as orders:
        resting = await client.create_order(BTC, "limit", "buy", 0.01, 80000)
    assert statuses(orders.result()) == [(resting["id"], "open")]
    async with watched(client, client.watch_orders(BTC)) as orders:
        await client.cancel_order(resting["id"], BTC)
    assert statuses(orders.result()) == [(resting["id"], "canceled")]

    async with (
        watched(client, client.watch_positions([BTC])) as positions,
        watched(client, client.watch_balance()) as balance,
        watched(client, client.watch_my_trades(BTC)) as trades,
    ):
        bought = await client.create_order(BTC, "market", "buy", 0.01)
    assert [(row["side"], row["contracts"]) for row in positions.result()] == [("long", 0.01)]
    assert [(row["order"], row["takerOrMaker"]) for row in trades.result()] == [(bought["id"], "taker")]
    wallet = (await client.fetch_balance())["info"]["assets"][0]["walletBalance"]
    assert balance.result()["USDT"]["total"] == float(wallet)


async def test_a_stop_is_watched(client: Any) -> None:
    async with watched(client, client.watch_orders(BTC)) as orders:
        stop_loss = await client.create_order(BTC, "STOP_MARKET", "sell", 0.01, None, {"stopPrice": 50000})
    assert statuses(orders.result()) == [(stop_loss["id"], "open")]
    async with watched(client, client.watch_orders(BTC)) as orders:
        await client.cancel_order(stop_loss["id"], BTC, {"trigger": True})
    assert statuses(orders.result()) == [(stop_loss["id"], "canceled")]


async def test_orders_over_the_socket(client: Any) -> None:
    order = await within(client.create_order_ws(BTC, "limit", "buy", 0.01, 80000))
    assert (order["status"], order["price"]) == ("open", 80000)
    edited = await within(client.edit_order_ws(order["id"], BTC, "limit", "buy", 0.02, 80100))
    assert edited["amount"] == 0.02
    assert (await within(client.fetch_order_ws(order["id"], BTC)))["price"] == 80100
    assert (await within(client.cancel_order_ws(order["id"], BTC)))["status"] == "canceled"
    stop_loss = await within(client.create_order_ws(BTC, "STOP_MARKET", "sell", 0.01, None, {"stopPrice": 50000}))
    await within(client.cancel_order_ws(stop_loss["id"], BTC, {"trigger": True}))
    await within(client.create_order_ws(BTC, "market", "buy", 0.01))
    assert [position["contracts"] for position in await within(client.fetch_positions_ws())] == [0.01]
    assert (await within(client.fetch_balance_ws()))["USDT"]["total"] < 10_000
    assert (await within(client.fetch_order_book_ws(BTC)))["bids"]
    with pytest.raises(ccxt.BaseError, match="-2019"):
        await within(client.create_order_ws(BTC, "limit", "buy", 50, 85000))


async def test_a_resting_order_filled_by_another_is_heard(running: PracticeServer) -> None:
    alice, bob = await connected(running, ALICE), await connected(running, BOB)
    try:
        async with watched(alice, alice.watch_my_trades(BTC)) as trades:
            best = (await alice.fetch_order_book(BTC))["bids"][0][0]
            resting = await alice.create_order(BTC, "limit", "buy", 0.01, best)
            await bob.create_order(BTC, "market", "sell", 0.01)
        assert [(row["order"], row["takerOrMaker"]) for row in trades.result()] == [(resting["id"], "maker")]
    finally:
        await alice.close()
        await bob.close()


@asynccontextmanager
async def watched(client: Any, watching: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Do something while `watching` really waits on an open user-data socket; its answer is there afterwards."""
    before = waiting_futures(client)
    task = asyncio.create_task(within(watching))
    async with asyncio.timeout(PATIENCE_S):
        while waiting_futures(client) <= before:
            await asyncio.sleep(0.01)
    yield task
    await task


def waiting_futures(client: Any) -> int:
    sockets = [socket for url, socket in client.clients.items() if "listenKey" in url]
    return sum(len(socket.futures) for socket in sockets if socket.isConnected)


def statuses(orders: list[Any]) -> list[tuple[str, str]]:
    return [(order["id"], order["status"]) for order in orders]
