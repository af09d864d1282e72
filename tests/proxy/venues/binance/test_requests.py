"""Each route has one meaning, made of documented parameters only."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.spelling import spell_algo_order
from proxy.venues.binance.wire import read_parameters
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    MarginMode,
    OrderType,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
    TimeInForce,
    TriggerBy,
)

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.01",
    "price": "50000",
    "timeInForce": "GTC",
}
MARKET = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "1",
    "triggerPrice": "40000",
}
TRAILING = {**STOP, "type": "TRAILING_STOP_MARKET", "callbackRate": "1.0", "triggerPrice": ""}
AMEND = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "price": "5", "orderId": "7"}


def ask(target: str, parameters: dict[str, str]) -> VenueRequest:
    method, _, path = target.partition(" ")
    route = find_route(method, path)
    assert route is not None
    query = urlencode({**parameters, "timestamp": "1", "recvWindow": "5000", "signature": "0" * 64}).encode()
    return read_request(route, read_parameters(query, b"", ""))


def refusal(target: str, parameters: dict[str, str]) -> MalformedRequest:
    with pytest.raises(MalformedRequest) as refused:
        ask(target, parameters)
    return refused.value


def test_a_limit_order() -> None:
    sent = {**ORDER, "reduceOnly": "True", "positionSide": "LONG", "newClientOrderId": "a-1", "newOrderRespType": "ACK"}
    assert ask("POST /fapi/v1/order", sent).commands == (
        PlaceOrder(
            symbol="BTCUSDT",
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            quantity=Decimal("0.01"),
            price=Decimal(50000),
            time_in_force=TimeInForce.GTC,
            reduce_only=True,
            position_side=PositionSide.LONG,
            client_order_id="a-1",
            response_type="ACK",
        ),
    )


def test_a_trailing_stop() -> None:
    sent = {**TRAILING, "activatePrice": "52000", "workingType": "MARK_PRICE", "priceProtect": "TRUE"}
    (order,) = ask("POST /fapi/v1/algoOrder", sent).commands
    assert isinstance(order, PlaceOrder)
    assert (order.callback_rate, order.activate_price) == (1, 52000)
    assert (order.trigger_by, order.price_protect, order.trigger_price) == (TriggerBy.MARK, True, None)


def test_closing_all_has_no_quantity() -> None:
    sent = {**STOP, "quantity": "", "closePosition": "True"}
    (order,) = ask("POST /fapi/v1/algoOrder", sent).commands
    assert isinstance(order, PlaceOrder)
    assert order.close_position and order.quantity is None


@pytest.mark.parametrize(
    "name",
    ["trailingAmount", "stopLoss", "takeProfit", "triggerPrice", "stopPrice", "closePosition", "marginMode", "Symbol"],
)
def test_a_parameter_the_venue_would_ignore_is_named_and_refused(name: str) -> None:
    refused = refusal("POST /fapi/v1/order", {**ORDER, name: "1"})
    assert refused.code == -1104
    assert refused.msg.startswith(f"GUARD UNKNOWN_PARAMETER: '{name}'")


def test_the_name_of_an_unknown_parameter_is_cut() -> None:
    refused = refusal("POST /fapi/v1/order", {**ORDER, "x" * 60: "1"})
    assert "x" * 33 not in refused.msg


@pytest.mark.parametrize("order_type", [kind for kind in OrderType if kind.is_conditional])
def test_conditional_types_belong_to_the_algo_service(order_type: OrderType) -> None:
    legacy = {**MARKET, "type": order_type, "stopPrice": "40000"}
    assert refusal("POST /fapi/v1/order", legacy).code == -4120
    assert refusal("POST /fapi/v1/order/test", legacy).code == -4120


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": ""}, -1102),
        ({"quantity": ""}, -1102),
        ({"symbol": ""}, -1102),
        ({"side": ""}, -1102),
        ({"type": ""}, -1102),
        ({"side": "buy"}, -1130),
        ({"side": "LONG"}, -1130),
        ({"type": "limit"}, -1116),
        ({"type": "LIMIT_MAKER"}, -1116),
        ({"timeInForce": "DAY"}, -1130),
        ({"timeInForce": "GTE_GTC", "reduceOnly": "true"}, -1130),
        ({"timeInForce": "GTD"}, -1102),
        ({"goodTillDate": "1999999999000"}, -1106),
        ({"priceMatch": "QUEUE"}, -1106),
        ({"priceMatch": "BEST", "price": ""}, -1130),
        ({"positionSide": "NONE"}, -1130),
        ({"quantity": "0"}, -1130),
        ({"quantity": "-1"}, -1130),
        ({"price": "1e1000000"}, -1130),
        ({"reduceOnly": "1"}, -1130),
        ({"newClientOrderId": "pgk-1"}, -1130),
        ({"selfTradePreventionMode": "MAYBE"}, -1130),
        ({"newOrderRespType": "FULL"}, -1130),
    ],
)
def test_a_limit_order_that_cannot_be_meant(change: dict[str, str], code: int) -> None:
    for target in ("POST /fapi/v1/order", "POST /fapi/v1/order/test"):
        assert refusal(target, {**ORDER, **change}).code == code


@pytest.mark.parametrize(
    "closing",
    [
        {"closePosition": "true", "quantity": ""},
        {"reduceOnly": "true"},
        {"positionSide": "LONG"},
        {"type": "STOP", "price": "39000", "reduceOnly": "true"},
        {"type": "TAKE_PROFIT_MARKET", "triggerPrice": "60000", "closePosition": "true", "quantity": ""},
    ],
)
def test_a_conditional_exit_may_end_with_its_position(closing: dict[str, str]) -> None:
    (order,) = ask("POST /fapi/v1/algoOrder", {**STOP, **closing, "timeInForce": "GTE_GTC"}).commands
    assert isinstance(order, PlaceOrder) and order.time_in_force is TimeInForce.GTE_GTC
    assert ("timeInForce", "GTE_GTC") in spell_algo_order(order)


@pytest.mark.parametrize(
    "opening", [{}, {"reduceOnly": "false"}, {"positionSide": "SHORT"}, {"positionSide": "LONG", "side": "BUY"}]
)
def test_what_may_open_a_position_does_not_end_with_one(opening: dict[str, str]) -> None:
    refused = refusal("POST /fapi/v1/algoOrder", {**STOP, **opening, "timeInForce": "GTE_GTC"})
    assert (refused.code, "GTE_GTC" in refused.msg) == (-1106, True)


@pytest.mark.parametrize("name", ["price", "timeInForce", "priceMatch", "goodTillDate"])
def test_a_market_order_has_no_limit_to_believe_in(name: str) -> None:
    assert refusal("POST /fapi/v1/order", {**MARKET, name: "1"}).code == -1106


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"algoType": ""}, -1102),
        ({"algoType": "TWAP"}, -1130),
        ({"type": "MARKET"}, -1116),
        ({"triggerPrice": ""}, -1102),
        ({"price": "1"}, -1106),
        ({"callbackRate": "1"}, -1106),
        ({"closePosition": "true"}, -1106),
        ({"closePosition": "true", "quantity": "", "reduceOnly": "true"}, -1106),
        ({"type": "STOP", "price": "1", "closePosition": "true", "quantity": ""}, -1106),
        ({"type": "STOP"}, -1102),
        ({"type": "TRAILING_STOP_MARKET"}, -1106),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": ""}, -1102),
        ({"workingType": "INDEX_PRICE"}, -1130),
        ({"clientAlgoId": "PGK-1"}, -1130),
        ({"newClientOrderId": "a"}, -1104),
        ({"activationPrice": "1"}, -1104),
        ({"triggerDirection": "ascending"}, -1104),
    ],
)
def test_a_conditional_order_that_cannot_be_meant(change: dict[str, str], code: int) -> None:
    assert refusal("POST /fapi/v1/algoOrder", {**STOP, **change}).code == code


def test_a_test_order_is_rebuilt_and_carries_no_command() -> None:
    asked = ask("POST /fapi/v1/order/test", {**ORDER, "quantity": "1.50e-2"})
    assert asked.commands == ()
    assert ("quantity", "0.015") in asked.reads


def test_the_order_id_prevails_where_both_are_sent() -> None:
    both = {"symbol": "BTCUSDT", "orderId": "7", "origClientOrderId": "a"}
    assert ask("DELETE /fapi/v1/order", both).commands == (CancelOrder(symbol="BTCUSDT", order_id="7"),)
    (amend,) = ask("PUT /fapi/v1/order", {**AMEND, "origClientOrderId": "a"}).commands
    assert amend == AmendOrder(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(1), price=Decimal(5), order_id="7")


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("DELETE /fapi/v1/order", {"symbol": "BTCUSDT", "origClientOrderId": "pgk-1"}),
        ("DELETE /fapi/v1/order", {"symbol": "BTCUSDT", "orderId": "7", "origClientOrderId": "pgk-1"}),
        ("PUT /fapi/v1/order", {**AMEND, "orderId": "", "origClientOrderId": "pgk-1"}),
        ("DELETE /fapi/v1/algoOrder", {"clientAlgoId": "pgk-1"}),
        ("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT", "origClientOrderIdList": '["pgk-1"]'}),
        (
            "PUT /fapi/v1/batchOrders",
            {"batchOrders": '[{"origClientOrderId":"pgk-1","symbol":"BTCUSDT","side":"BUY"}]'},
        ),
    ],
)
def test_the_guards_own_orders_are_out_of_reach(target: str, sent: dict[str, str]) -> None:
    assert "RESERVED_CLIENT_ID" in refusal(target, sent).msg


def test_what_cannot_be_read_in_a_batch_is_told_by_its_place_and_the_rest_is_read() -> None:
    sent = {"symbol": "BTCUSDT", "origClientOrderIdList": '["a","pgk-1","b"]'}
    asked = ask("DELETE /fapi/v1/batchOrders", sent)
    named = tuple(CancelOrder(symbol="BTCUSDT", client_order_id=each) for each in "ab")
    assert (asked.commands, asked.places) == (named, (0, 2))
    ((place, error),) = asked.unreadable
    assert place == 1 and "RESERVED_CLIENT_ID" in error.msg
    orders = [{**ORDER, "workingType": "MARK_PRICE"}, ORDER, {**ORDER, "type": "STOP_MARKET"}]
    asked = ask("POST /fapi/v1/batchOrders", {"batchOrders": json.dumps(orders)})
    assert (len(asked.commands), asked.places) == (1, (1,))
    assert [(place, error.code) for place, error in asked.unreadable] == [(0, -1104), (2, -4120)]


def test_a_batch_that_cannot_be_split_or_has_nothing_readable_is_refused_whole() -> None:
    for orders in ("[{}]", '[{"symbol":"BTCUSDT"},7]', '[{"a":1,"a":2}]', "[" + json.dumps(ORDER), "[[1]]"):
        refusal("POST /fapi/v1/batchOrders", {"batchOrders": orders})


def test_words_of_a_client_s_own_keep_nobody_from_reading_or_cancelling() -> None:
    sent = {"symbol": "BTCUSDT", "useV2": "true", "filterClosed": "true", "subType": "linear", "type": "swap"}
    assert ask("GET /fapi/v3/positionRisk", sent).reads == (("symbol", "BTCUSDT"),)
    assert ask("GET /fapi/v1/leverageBracket", sent).reads == (("symbol", "BTCUSDT"),)
    extra = {"symbol": "BTCUSDT", "orderId": "7", "side": "BUY", "reduceOnly": "true", "quantity": "1"}
    assert ask("DELETE /fapi/v1/order", extra).commands == (CancelOrder(symbol="BTCUSDT", order_id="7"),)
    listed = {"symbol": "BTCUSDT", "orderIdList": "[7]", "side": "BUY"}
    assert ask("DELETE /fapi/v1/batchOrders", listed).commands == (CancelOrder(symbol="BTCUSDT", order_id="7"),)
    stop = {"algoId": "7", "triggerPrice": "1", "workingType": "MARK_PRICE"}
    assert ask("DELETE /fapi/v1/algoOrder", stop).commands == (
        CancelOrder(symbol=None, order_id="7", conditional=True),
    )
    assert refusal("DELETE /fapi/v1/allOpenOrders", {"symbol": "BTCUSDT", "positionSide": "LONG"}).code == -1104


def test_words_that_nobody_knows_are_refused_and_an_order_takes_none_of_a_client_s_own() -> None:
    for target, sent in (
        ("GET /fapi/v3/positionRisk", {"symbol": "BTCUSDT", "colour": "red"}),
        ("DELETE /fapi/v1/order", {"symbol": "BTCUSDT", "orderId": "7", "colour": "red"}),
        ("POST /fapi/v1/order", {**ORDER, "marginMode": "isolated"}),
        ("PUT /fapi/v1/order", {**AMEND, "useV2": "true"}),
    ):
        assert refusal(target, sent).code == -1104, target


def test_a_word_of_a_client_s_own_that_binance_documents_there_is_kept() -> None:
    income = ask("GET /fapi/v1/income", {"incomeType": "FUNDING_FEE", "type": "x"}).reads
    assert income == (("incomeType", "FUNDING_FEE"),)


@pytest.mark.parametrize(
    ("target", "sent", "command"),
    [
        ("DELETE /fapi/v1/algoOrder", {"algoId": "7"}, CancelOrder(symbol=None, order_id="7", conditional=True)),
        ("DELETE /fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}, CancelAll(symbol="BTCUSDT")),
        ("DELETE /fapi/v1/algoOpenOrders", {"symbol": "BTCUSDT"}, CancelAll(symbol="BTCUSDT", conditional=True)),
        (
            "POST /fapi/v1/leverage",
            {"symbol": "BTCUSDT", "leverage": "25"},
            SetLeverage(symbol="BTCUSDT", leverage=Decimal(25)),
        ),
        (
            "POST /fapi/v1/marginType",
            {"symbol": "BTCUSDT", "marginType": "CROSSED"},
            SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.CROSS),
        ),
        ("POST /fapi/v1/positionSide/dual", {"dualSidePosition": "True"}, SetPositionMode(hedged=True)),
        ("POST /fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "false"}, SetMultiAssetMode(enabled=False)),
        (
            "POST /fapi/v1/positionMargin",
            {"symbol": "BTCUSDT", "amount": "123456789012.123456789012345678", "type": "2", "positionSide": "SHORT"},
            AdjustIsolatedMargin(
                symbol="BTCUSDT",
                position_side=PositionSide.SHORT,
                amount=Decimal("-123456789012.123456789012345678"),
            ),
        ),
        (
            "POST /fapi/v1/countdownCancelAll",
            {"symbol": "BTCUSDT", "countdownTime": "0"},
            ArmDeadMan(symbol="BTCUSDT", countdown_ms=0),
        ),
    ],
)
def test_cancels_and_settings(target: str, sent: dict[str, str], command: object) -> None:
    assert ask(target, sent).commands == (command,)
    assert refusal(target, {**sent, "colour": "red"}).code == -1104


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("POST /fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": "2.5"}),
        ("POST /fapi/v1/leverage", {"symbol": "BTCUSDT"}),
        ("POST /fapi/v1/marginType", {"symbol": "BTCUSDT", "marginType": "cross"}),
        ("POST /fapi/v1/positionMargin", {"symbol": "BTCUSDT", "amount": "-1", "type": "1"}),
        ("POST /fapi/v1/positionMargin", {"symbol": "BTCUSDT", "amount": "1", "type": "3"}),
        ("DELETE /fapi/v1/order", {"symbol": "BTCUSDT"}),
        ("DELETE /fapi/v1/allOpenOrders", {}),
        ("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT"}),
        ("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT", "orderIdList": "[1]", "orderidlist": "[2]"}),
        ("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT", "orderIdList": "[1]", "origClientOrderIdList": '["a"]'}),
    ],
)
def test_settings_and_cancels_that_cannot_be_meant(target: str, sent: dict[str, str]) -> None:
    refusal(target, sent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "[1]",
        "[null]",
        "[[]]",
        '[{"symbol":"BTCUSDT"},]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","quantity":"9"}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","\\u0071uantity":"9"}]',
        '[{"quantity":NaN}]',
        r'[{"quantity":"\ud800"}]',
        r'[{"\uDC00":"1"}]',
        '[{"quantity":Infinity}]',
        '[{"quantity":{"a":1}}]',
        '[{"quantity":[1]}]',
        '[{"price":null}]',
        "[{}] []",
        "[{}]x",
        "\ufeff[{}]",
        "[" * 30_000,
        "[" * 30_000 + "]" * 30_000,
        '[{"a":' * 9000,
        '[{"symbol":"\\ud800"}]',
        '[{"symbol":"BTC\\u0000USDT","side":"BUY","type":"MARKET","quantity":"1"}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":1e400}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":' + "9" * 5000 + "}]",
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":-1}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","price":"1"}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","trailingAmount":"1"}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","timestamp":"1"}]',
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":true}]',
        "[" + ",".join(['{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1"}'] * 6) + "]",
    ],
)
def test_batches_that_cannot_be_meant(text: str) -> None:
    assert refusal("POST /fapi/v1/batchOrders", {"batchOrders": text}).msg.isascii()


def test_json_numbers_never_pass_through_a_float() -> None:
    text = (
        '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT",'
        '"quantity":0.100000000000000001,"price":1e-05,"reduceOnly":true}]'
    )
    asked = ask("POST /fapi/v1/batchOrders", {"batchOrders": text})
    (order,) = asked.commands
    assert isinstance(order, PlaceOrder)
    assert asked.is_batch
    assert (order.quantity, order.price, order.reduce_only) == (
        Decimal("0.100000000000000001"),
        Decimal("0.00001"),
        True,
    )


def test_ids_of_a_batch_cancel_are_numbers_or_strings_and_not_twice() -> None:
    asked = ask("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT", "orderIdList": '[1,"2"]'})
    assert asked.commands == tuple(CancelOrder(symbol="BTCUSDT", order_id=order_id) for order_id in ("1", "2"))
    for ids in ("[1,1]", '[1,"1"]'):
        asked = ask("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT", "orderIdList": ids})
        assert asked.commands == (CancelOrder(symbol="BTCUSDT", order_id="1"),)
        assert [(place, error.code) for place, error in asked.unreadable] == [(1, -1101)]
    for ids in ("[1.5]", "[true]", "[-1]", str(list(range(1, 12)))):
        refusal("DELETE /fapi/v1/batchOrders", {"symbol": "BTCUSDT", "orderIdList": ids})


def test_reads_are_canonical_and_documented() -> None:
    asked = ask("GET /fapi/v1/userTrades", {"symbol": "BTCUSDT", "limit": "5", "fromId": ""})
    assert (asked.commands, asked.reads) == ((), (("limit", "5"), ("symbol", "BTCUSDT")))
    assert refusal("GET /fapi/v1/userTrades", {"symbol": "BTCUSDT", "side": "BUY"}).code == -1104
    assert refusal("GET /fapi/v1/depth", {"symbol": "BTCUSDT", "callback": "x"}).code == -1104


def test_a_read_of_all_symbols_weighs_more() -> None:
    assert ask("GET /fapi/v1/openOrders", {"symbol": "BTCUSDT"}).weight == 1
    assert ask("GET /fapi/v1/openOrders", {}).weight == 40
