"""Unmodified python-binance listens and trades on the practice exchange; only its class attributes are swapped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from binance.async_client import AsyncClient
from binance.exceptions import BinanceAPIException
from binance.ws.reconnecting_websocket import ReconnectingWebsocket
from binance.ws.streams import BinanceSocketManager
from binance.ws.websocket_api import WebsocketAPI

from tests.sandbox.practice import ALICE, PracticeServer

BTC = "BTCUSDT"
PATIENCE_S = 15


@pytest.fixture
async def client(venue: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    for attribute, path in (("API_URL", "/api"), ("MARGIN_API_URL", "/sapi"), ("FUTURES_URL", "/fapi")):
        monkeypatch.setattr(AsyncClient, attribute, venue.url + path)
    monkeypatch.setattr(AsyncClient, "WS_FUTURES_URL", f"{venue.ws}/ws-fapi/v1")
    monkeypatch.setattr(BinanceSocketManager, "FSTREAM_URL", f"{venue.ws}/")
    # A socket notices that it is to end only between two messages or after this many seconds without one.
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.5)
    # The trading socket, a sister class, waits that long for its answers.
    monkeypatch.setattr(WebsocketAPI, "TIMEOUT", PATIENCE_S, raising=False)
    connected = await AsyncClient.create(*ALICE)
    yield connected
    await connected.close_connection()


async def heard(socket: Any) -> Any:
    return await asyncio.wait_for(socket.recv(), PATIENCE_S)


async def test_the_user_socket_hears_the_account(client: Any) -> None:
    async with BinanceSocketManager(client).futures_user_socket() as socket:
        await client.futures_create_order(symbol=BTC, side="BUY", type="MARKET", quantity=0.1)
        events = [await heard(socket) for _ in range(4)]
    assert [event["e"] for event in events] == [
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "TRADE_LITE",
        "ORDER_TRADE_UPDATE",
    ]
    assert events[-1]["o"]["X"] == "FILLED"


async def test_market_sockets_hear_the_markets(client: Any, venue: PracticeServer) -> None:
    manager = BinanceSocketManager(client)
    async with manager.kline_futures_socket(BTC) as socket:
        assert (await heard(socket))["ps"] == BTC
    async with manager.symbol_ticker_futures_socket(BTC) as socket:
        assert (await heard(socket))["data"]["b"] == "89995.5"
    async with manager.individual_symbol_ticker_futures_socket(BTC) as socket:
        assert (await heard(socket))["data"]["e"] == "24hrTicker"
    async with manager.symbol_mark_price_socket(BTC) as socket:
        assert (await heard(socket))["data"]["p"] == "90000.00000000"
    async with manager.all_mark_price_socket() as socket:
        assert len((await heard(socket))["data"]) == 6
    async with manager.futures_depth_socket(BTC, depth="5") as socket:
        assert len((await heard(socket))["data"]["b"]) == 5
    async with manager.futures_multiplex_socket(["btcusdt@bookTicker", "ethusdt@bookTicker"]) as socket:
        assert {(await heard(socket))["stream"] for _ in range(2)} == {"btcusdt@bookTicker", "ethusdt@bookTicker"}
    async with manager.aggtrade_futures_socket(BTC) as socket:
        await client.futures_create_order(symbol=BTC, side="BUY", type="MARKET", quantity=0.1)
        assert (await heard(socket))["data"]["q"] == "0.100"


async def test_orders_over_the_trading_socket(client: Any) -> None:
    order = await client.ws_futures_create_order(
        symbol=BTC, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price="88000"
    )
    assert order["status"] == "NEW"
    name = {"symbol": BTC, "orderId": order["orderId"]}
    await client.ws_futures_edit_order(**name, side="BUY", quantity=0.02, price="88100")
    assert (await client.ws_futures_get_order(**name))["origQty"] == "0.020"
    assert (await client.ws_futures_cancel_order(**name))["status"] == "CANCELED"
    stop = await client.ws_futures_create_order(
        symbol=BTC, side="SELL", type="STOP_MARKET", quantity=0.01, stopPrice="85000"
    )
    assert (await client.ws_futures_cancel_order(algoId=stop["algoId"]))["msg"] == "success"
    assert (await client.ws_futures_v2_account_balance())[0]["balance"] == "10000.00000000"
    assert await client.ws_futures_v2_account_position() == []
    assert (await client.ws_futures_get_order_book_ticker(symbol=BTC))["askPrice"] == "90004.5"
    with pytest.raises(BinanceAPIException) as refused:
        await client.ws_futures_create_order(symbol=BTC, side="BUY", type="MARKET", quantity=50)
    assert refused.value.code == -2019
