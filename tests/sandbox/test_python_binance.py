"""Unmodified python-binance trades on the practice exchange; only its class attributes are swapped."""

from __future__ import annotations

from typing import Any

import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException

from tests.sandbox.practice import ALICE, PracticeServer


@pytest.fixture
def client(venue: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    for attribute, path in (
        ("API_URL", "/api"),
        ("MARGIN_API_URL", "/sapi"),
        ("FUTURES_URL", "/fapi"),
        ("FUTURES_DATA_URL", "/futures/data"),
    ):
        monkeypatch.setattr(Client, attribute, venue.url + path)
    return Client(*ALICE, ping=False)


def code(action: Any, **params: Any) -> int:
    with pytest.raises(BinanceAPIException) as caught:
        action(**params)
    return int(caught.value.code)


def amount(client: Any) -> float:
    return sum(float(row["positionAmt"]) for row in client.futures_position_information())


def test_place_query_and_cancel(client: Any) -> None:
    client.ping()
    order = client.futures_create_order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.010", price="88000"
    )
    assert (order["status"], order["origQty"]) == ("NEW", "0.010")
    assert client.futures_get_open_orders(symbol="BTCUSDT")[0]["orderId"] == order["orderId"]
    client.futures_modify_order(symbol="BTCUSDT", orderId=order["orderId"], side="BUY", quantity="0.02", price="88000")
    assert client.futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
    assert client.futures_get_all_orders(symbol="BTCUSDT")[0]["origQty"] == "0.020"
    assert code(client.futures_get_order, symbol="BTCUSDT", orderId=1) == -2013


def test_a_market_order_is_acknowledged_first_and_filled_on_the_record(client: Any) -> None:
    order = client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.1)
    assert (order["status"], order["executedQty"]) == ("NEW", "0.000")
    assert client.futures_get_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "FILLED"
    client.futures_create_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.1, reduceOnly=True)
    assert amount(client) == 0
    assert len(client.futures_account_trades(symbol="BTCUSDT")) == 2
    assert {row["incomeType"] for row in client.futures_income_history()} == {"COMMISSION", "REALIZED_PNL"}


def test_batches_place_and_cancel(client: Any) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    placed = client.futures_place_batch_order(batchOrders=[order | {"price": "88000"}, order | {"price": "88000.05"}])
    assert placed[1]["code"] == -1111
    gone = client.futures_cancel_orders(symbol="BTCUSDT", orderidlist=[placed[0]["orderId"], 1])
    assert gone[0]["status"] == "CANCELED"
    assert gone[1]["code"] == -2011


def test_stops_are_routed_to_the_algo_service(client: Any, venue: PracticeServer) -> None:
    client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.1)
    stop = client.futures_create_order(
        symbol="BTCUSDT", side="SELL", type="STOP_MARKET", stopPrice=85000, closePosition=True, workingType="MARK_PRICE"
    )
    client.futures_cancel_all_open_orders(symbol="BTCUSDT")
    assert client.futures_get_open_algo_orders()[0]["algoId"] == stop["algoId"]
    venue.price("BTCUSDT", "84000")
    fired = client.futures_get_algo_order(algoId=stop["algoId"])
    assert fired["algoStatus"] == "FINISHED"
    assert client.futures_get_order(symbol="BTCUSDT", orderId=fired["actualOrderId"])["closePosition"]
    assert amount(client) == 0


def test_settings(client: Any) -> None:
    assert client.futures_change_leverage(symbol="BTCUSDT", leverage=50)["maxNotionalValue"] == "12000000"
    assert client.futures_change_margin_type(symbol="BTCUSDT", marginType="ISOLATED")["code"] == 200
    assert code(client.futures_change_margin_type, symbol="BTCUSDT", marginType="ISOLATED") == -4046
    assert code(client.futures_change_position_mode, dualSidePosition=False) == -4059
    client.futures_change_position_mode(dualSidePosition=True)
    assert client.futures_get_position_mode() == {"dualSidePosition": True}
    assert code(client.futures_change_leverage, symbol="BTCUSDT", leverage=126) == -4028
    assert client.futures_symbol_config(symbol="BTCUSDT")[0]["marginType"] == "ISOLATED"
    assert client.futures_account_config()["dualSidePosition"]


def test_account_reads(client: Any) -> None:
    assert client.futures_account_balance()[0]["balance"] == "10000.00000000"
    account = client.futures_account()
    assert (account["totalWalletBalance"], len(account["positions"])) == ("10000.00000000", 6)
    assert client.futures_leverage_bracket(symbol="BTCUSDT")[0]["brackets"][0]["maintMarginRatio"] == 0.004
    assert client.futures_commission_rate(symbol="BTCUSDT")["makerCommissionRate"] == "0.0002"
    assert client.futures_api_trading_status()["indicators"] == {}
    assert client.futures_adl_quantile_estimate() == []
    assert len(client.futures_stream_get_listen_key()) == 64


def test_the_dead_mans_switch_counts_engine_time(client: Any, venue: PracticeServer) -> None:
    client.futures_create_order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.010", price="88000"
    )
    client.futures_countdown_cancel_all(symbol="BTCUSDT", countdownTime=1000)
    venue.step(3)
    assert len(client.futures_get_open_orders()) == 1
    venue.step(1)
    assert client.futures_get_open_orders() == []


def test_market_data(client: Any) -> None:
    assert len(client.futures_klines(symbol="BTCUSDT", interval="1m", limit=10)) == 10
    assert client.futures_mark_price(symbol="BTCUSDT")["markPrice"] == "90000.00000000"
    assert len(client.futures_exchange_info()["symbols"]) == 6
    assert client.futures_orderbook_ticker(symbol="BTCUSDT")["askPrice"] == "90004.5"
    assert len(client.futures_order_book(symbol="BTCUSDT", limit=5)["asks"]) == 5
    assert client.futures_funding_rate(symbol="BTCUSDT")[-1]["fundingRate"] == "0.00010000"
    assert client.futures_index_price_klines(pair="BTCUSDT", interval="1h", limit=2)
