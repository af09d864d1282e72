"""python-binance's sockets: the multiplexed market streams, the user stream, and orders over the trading socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from binance.exceptions import BinanceAPIException
from binance.ws.streams import BinanceSocketManager

from tests.support.accounting import nothing_unaccounted
from tests.support.clients import an_async_python_binance
from tests.support.worlds import LiveWorld

TOLD_WITHIN_S = 30.0


@pytest.fixture
async def client(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    opened = await an_async_python_binance(world, monkeypatch)
    yield opened
    await opened.close_connection()


async def told(socket: Any, event: str, **fields: Any) -> dict[str, Any]:
    """The next event of this type with these fields in its order; others are passed over."""
    async with asyncio.timeout(TOLD_WITHIN_S):
        while True:
            frame: dict[str, Any] = await socket.recv()
            if frame.get("e") == event and fields.items() <= frame.get("o", {}).items():
                return frame


async def test_it_hears_the_market(client: Any) -> None:
    wanted = {"btcusdt@markPrice@1s", "ethusdt@kline_1m"}
    async with BinanceSocketManager(client).futures_multiplex_socket(sorted(wanted)) as socket:
        heard: dict[str, Any] = {}
        async with asyncio.timeout(TOLD_WITHIN_S):
            while heard.keys() != wanted:
                frame = await socket.recv()
                heard[frame["stream"]] = frame["data"]
    assert float(heard["btcusdt@markPrice@1s"]["p"]) > 0
    assert heard["ethusdt@kline_1m"]["k"]["i"] == "1m"


async def test_it_trades_and_is_told_of_everything(world: LiveWorld, client: Any) -> None:
    async with BinanceSocketManager(client).futures_user_socket() as user:
        buy = {"symbol": "BTCUSDT", "side": "BUY"}
        bought = await client.ws_futures_create_order(**buy, type="MARKET", quantity=0.1)
        await told(user, "ORDER_TRADE_UPDATE", i=bought["orderId"], X="FILLED")

        limit = buy | {"type": "LIMIT", "timeInForce": "GTC", "quantity": 0.01, "price": 85_000}
        placed = await client.ws_futures_create_order(**limit, newClientOrderId="mine-2")
        assert placed["clientOrderId"] == "mine-2"
        await told(user, "ORDER_TRADE_UPDATE", c="mine-2", X="NEW")
        changed = await client.ws_futures_edit_order(**buy, orderId=placed["orderId"], quantity=0.02, price=84_000)
        assert float(changed["origQty"]) == 0.02
        status = await client.ws_futures_get_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert status["clientOrderId"] == "mine-2"
        await client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        await told(user, "ORDER_TRADE_UPDATE", c="mine-2", X="CANCELED")

        sell = {"symbol": "BTCUSDT", "side": "SELL", "quantity": 0.1, "reduceOnly": "true"}
        stop = await client.ws_futures_create_order(**sell, type="STOP_MARKET", triggerPrice=80_000)
        await told(user, "ALGO_UPDATE", aid=stop["algoId"])
        await client.ws_futures_cancel_algo_order(algoId=stop["algoId"])

        positions = await client.ws_futures_v2_account_position(symbol="BTCUSDT")
        assert float(positions[0]["positionAmt"]) == pytest.approx(0.1)
        await client.ws_futures_create_order(**sell, type="MARKET")
        await told(user, "ORDER_TRADE_UPDATE", S="SELL", X="FILLED")
    assert world.direct.positions() == {}
    nothing_unaccounted(world)


async def test_a_refusal_on_the_socket_has_the_code_of_rest(world: LiveWorld, client: Any) -> None:
    before = world.door.total()
    with pytest.raises(BinanceAPIException, match="ORDER_VALUE_ABOVE_LIMIT") as caught:
        await client.ws_futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=5)
    assert caught.value.code == -2010
    assert world.door.total() == before, "an entry reached the exchange"
