"""The dialect without a socket: whatever is sent, the answer is a reply in the venue's format, never an exception."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.binance.dialect import BinanceDialect, Request
from sandbox.binance.errors import _REASONS
from sandbox.binance.limits import RateLimits
from sandbox.binance.routes import ROUTES
from sandbox.binance.signing import Credential
from sandbox.engine.exchange import Exchange
from sandbox.engine.history import invent_history
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.rejection import Reason
from sandbox.engine.scenario import Scenario
from sandbox.engine.stepping import step

NOW_MS = 1_795_478_400_000
NAMES = [
    "symbol",
    "pair",
    "side",
    "type",
    "quantity",
    "price",
    "timeInForce",
    "positionSide",
    "reduceOnly",
    "newClientOrderId",
    "orderId",
    "algoId",
    "origClientOrderId",
    "clientAlgoId",
    "algoType",
    "triggerPrice",
    "callbackRate",
    "activatePrice",
    "closePosition",
    "workingType",
    "leverage",
    "marginType",
    "amount",
    "interval",
    "period",
    "limit",
    "startTime",
    "endTime",
    "fromId",
    "countdownTime",
    "dualSidePosition",
    "multiAssetsMargin",
    "batchOrders",
    "orderidlist",
    "priceMatch",
    "goodTillDate",
    "newOrderRespType",
    "selfTradePreventionMode",
]
VALUES = st.one_of(
    st.sampled_from(
        [
            "BTCUSDT",
            "ETHUSDT",
            "LUNCUSDT",
            "BUY",
            "SELL",
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TRAILING_STOP_MARKET",
            "TAKE_PROFIT",
            "GTC",
            "IOC",
            "FOK",
            "GTX",
            "GTD",
            "GTE_GTC",
            "BOTH",
            "LONG",
            "SHORT",
            "true",
            "False",
            "CONDITIONAL",
            "MARK_PRICE",
            "ISOLATED",
            "CROSSED",
            "1m",
            "5m",
            "1",
            "2",
            "5",
            "0.01",
            "0.5",
            "88000",
            "90000",
            "92000",
            "1e-05",
            "1e28",
            "1e30",
            "99999999999999999999",
            "-1e99",
            "1e-99",
            "-1",
            "0",
            "RESULT",
            "ACK",
            "QUEUE_5",
            "OPPONENT",
            "NONE",
            "[]",
            "[1,2]",
            "[{}]",
            "4000000005",
            "1795478500000",
        ]
    ),
    st.sampled_from(['[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.01}]', "[[[", "NaN", "", "{}"]),
    st.text(max_size=12),
    st.integers(-(10**19), 10**19).map(str),
)


def build() -> tuple[Exchange, BinanceDialect]:
    exchange = Exchange(DEFAULT_INSTRUMENTS, seed=7, scenario=Scenario.FLAT, now_ms=NOW_MS)
    invent_history(exchange)
    exchange.open_account("alice", Decimal(10_000))
    return exchange, BinanceDialect(exchange, [Credential("alice", "key", "secret")], RateLimits(0, 0))


def request(method: str, path: str, params: dict[str, str]) -> Request:
    text = urlencode({"timestamp": str(NOW_MS)} | params)
    signature = hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
    return Request(method, path, f"{text}&signature={signature}", "", "key", "here", NOW_MS)


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "algoType": "CONDITIONAL", "type": "STOP_MARKET"}
calls = st.lists(
    st.tuples(
        st.sampled_from(sorted(ROUTES)),
        st.sampled_from([{}, ORDER, STOP | {"quantity": "0.1", "triggerPrice": "80000"}]),
        st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=50, deadline=None)
@given(calls)
def test_no_parameters_make_the_door_fall_over(
    script: list[tuple[tuple[str, str], dict[str, str], dict[str, str]]],
) -> None:
    exchange, dialect = build()
    for (method, path), usual, odd in script:
        reply = dialect.answer(request(method, path, usual | odd))
        assert reply.status in (200, 400, 401), (method, path, reply)
        assert reply.body
    account = exchange.accounts["alice"]
    assert account.wallet == 10_000 + sum((income.amount for income in account.incomes), Decimal(0))


@pytest.mark.parametrize("price", ["1e28", "1e30", "99999999999999999999", "-1e99"])
@pytest.mark.parametrize(
    ("path", "params", "name"),
    [
        ("/fapi/v1/order", ORDER | {"type": "LIMIT", "timeInForce": "GTC"}, "price"),
        ("/fapi/v1/algoOrder", STOP | {"quantity": "0.1"}, "triggerPrice"),
        ("/sapi/v1/algo/futures/newOrderTwap", ORDER | {"duration": "300"}, "limitPrice"),
    ],
    ids=["order", "stop", "twap"],
)
def test_a_price_of_any_size_is_refused_and_time_goes_on(
    path: str, params: dict[str, str], name: str, price: str
) -> None:
    exchange, dialect = build()
    reply = dialect.answer(request("POST", path, params | {name: price}))
    assert (reply.status, json.loads(reply.body)["code"]) == (400, -4001 if price.startswith("-") else -4002)
    step(exchange)


def test_one_impossible_price_in_a_batch_is_one_error_in_its_answer() -> None:
    exchange, dialect = build()
    limit = ORDER | {"type": "LIMIT", "timeInForce": "GTC", "price": "88000"}
    batch = json.dumps([limit, limit | {"price": "1e30"}])
    reply = dialect.answer(request("POST", "/fapi/v1/batchOrders", {"batchOrders": batch}))
    placed, refused = json.loads(reply.body)
    assert (reply.status, placed["status"], refused["code"]) == (200, "NEW", -4002)
    assert len(exchange.accounts["alice"].open_orders) == 1


def test_every_refusal_of_the_engine_has_a_code() -> None:
    assert set(_REASONS) == set(Reason)


def test_the_binance_signing_example_verifies() -> None:
    # The vector of Binance's own documentation (spot "SIGNED endpoint examples").
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    text = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )
    signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    exchange, _ = build()
    dialect = BinanceDialect(exchange, [Credential("alice", key, secret)], RateLimits(0, 0))
    signed = Request("POST", "/fapi/v1/order", text, f"signature={signature}", key, "here", 1_499_827_319_600)
    assert b"-1121" in dialect.answer(signed).body


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_paths_outside_the_table_are_refused(method: str) -> None:
    _, dialect = build()
    assert dialect.answer(request(method, "/fapi/v1/convert/getQuote", {})).status == 404
