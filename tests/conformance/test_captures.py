"""Every captured request of a real client is forwarded with its meaning intact, or refused for a committed reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from proxy.venues.binance.encode import build, encode
from proxy.venues.binance.frames import RefusedFrame, read_frame, verify_frame
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.routes import Access, Kind, find_route
from proxy.venues.binance.signing import verify
from proxy.venues.binance.wire import AUTHENTICATION, MalformedRequest, read_parameters
from rules.decision import Cleared
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    MarginMode,
    OrderType,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    TimeInForce,
    TriggerBy,
)

OTHER_SECRET = "another-secret"
FORM = "application/x-www-form-urlencoded"
RESPELLED = {"orderidlist": "orderIdList"}  # the guard spells names as documented


class Refused(Exception):
    pass


def raw_parts(request: dict[str, Any]) -> tuple[str, bytes, bytes, str]:
    path, _, query = request["target"].partition("?")
    headers = {name.lower(): value for name, value in request["headers"]}
    return path, query.encode(), (request.get("body") or "").encode(), headers.get("content-type", "")


def decode(request: dict[str, Any]) -> VenueRequest:
    try:
        if "frame" in request:
            frame = read_frame(request["frame"])
            return read_request(frame.route, frame.parameters)
        return decode_rest(request)
    except RefusedFrame as refused:
        raise Refused(f"{refused.rejection.code} {refused.rejection.msg}") from None
    except MalformedRequest as error:
        raise Refused(f"{error.code} {error.msg}") from None


def decode_rest(request: dict[str, Any]) -> VenueRequest:
    path, query, body, content_type = raw_parts(request)
    route = find_route(request["method"], path)
    if route is None:
        raise Refused("no such route in the table")
    if route.kind is Kind.DENY:
        raise Refused(route.reason)
    return read_request(route, read_parameters(query, body, content_type))


def verdict(case: Any) -> str:
    try:
        for request in case.requests:
            decode(request)
    except Refused as refusal:
        return f"refused: {refusal}"
    return "forwarded"


def test_every_capture_has_its_committed_verdict_and_none_is_left_over(
    cases: tuple[Any, ...], verdicts: dict[str, dict[str, str]]
) -> None:
    measured: dict[str, dict[str, str]] = {}
    for case in cases:
        measured.setdefault(case.sdk, {})[case.name] = verdict(case)
    assert measured == verdicts


def test_the_signature_verifies_over_exactly_the_bytes_sent(case: Any) -> None:
    for request in case.requests:
        if "frame" in request:
            frame = read_frame(request["frame"])
            assert verify_frame(frame, case.secret)
            assert not verify_frame(frame, OTHER_SECRET)
            assert not verify_frame(read_frame(request["frame"].replace("10000", "10001")), case.secret)
            continue
        _, query, body, _ = raw_parts(request)
        if b"signature=" not in query + body:
            assert find_route(request["method"], raw_parts(request)[0]).access is not Access.SIGNED  # type: ignore[union-attr]
            continue
        assert verify(query, body, case.secret)
        assert not verify(query, body, OTHER_SECRET)
        assert not verify(query, body.replace(b"BTCUSDT", b"ETHUSDT") + b"&x=1", case.secret)


def test_what_is_forwarded_means_what_the_caller_meant(forwarded: Any) -> None:
    commands = [command for request in forwarded.requests for command in decode(request).commands]
    assert_intent(forwarded.intent, commands)


def test_what_is_rebuilt_reads_back_as_the_same_commands(
    forwarded: Any, clear: Callable[[Command], Cleared[Command]]
) -> None:
    for request in forwarded.requests:
        asked = decode(request)
        parameters = encode(asked.route, [clear(c) for c in asked.commands]) if asked.commands else asked.reads
        upstream = build(asked.route, parameters, secret=OTHER_SECRET, timestamp_ms=1_795_332_044_000)
        query, body = upstream.query.encode(), upstream.body.encode()
        assert (upstream.method, upstream.path) == target(request)
        assert upstream.signed is (asked.route.access is Access.SIGNED)
        assert verify(query, body, OTHER_SECRET) is upstream.signed
        assert read_request(asked.route, read_parameters(query, body, FORM)) == asked
        sent = names_sent(request) - WORDS_OF_ITS_OWN.get(upstream.method + upstream.path, set())
        assert sent == {name for name, _ in parse_qsl(upstream.query + upstream.body)} - AUTHENTICATION


# What the REST door calls the method of each frame that is forwarded.
REST_TWINS = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "account.status": ("GET", "/fapi/v2/account"),
}


def target(request: dict[str, Any]) -> tuple[str, str]:
    if "frame" in request:
        return REST_TWINS[json.loads(request["frame"])["method"]]
    return request["method"], raw_parts(request)[0]


# What a library sends with a read or a cancel that asks Binance for nothing does not go upstream either.
WORDS_OF_ITS_OWN = {
    "GET/fapi/v2/account": {"type"},
    "DELETE/fapi/v1/algoOrder": {"side", "type", "quantity", "triggerPrice"},
}

# ccxt.pro says these again in its own words, beside Binance's; an echo does not go upstream.
ECHOES = {"stopLossPrice"}


def names_sent(request: dict[str, Any]) -> set[str]:
    if "frame" in request:
        return set(json.loads(request["frame"])["params"]) - AUTHENTICATION - {"apiKey", "returnRateLimits"} - ECHOES
    _, query, body, content_type = raw_parts(request)
    names = set(read_parameters(query, body, content_type).values) - AUTHENTICATION
    return {RESPELLED.get(name, name) for name in names}


def assert_intent(intent: dict[str, Any], commands: list[Command]) -> None:
    match intent["action"], commands:
        case "read", []:
            pass
        case (("place" | "place_trigger" | "place_with_tpsl"), [PlaceOrder() as order]):
            assert_order(intent, order)
        case "place_batch", _:
            assert [type(c) for c in commands] == [PlaceOrder] * intent["n"]
            assert commands[1].side == "SELL" and commands[1].reduce_only is True  # type: ignore[union-attr]
        case "amend", [AmendOrder(symbol=symbol, quantity=quantity, price=price)]:
            # The intent of ws_edit does not repeat the numbers; they are those of its frame.
            expected_quantity = Decimal(str(intent.get("qty", intent.get("amount_unified", "0.02"))))
            expected_price = Decimal(intent.get("price", "51000"))
            assert (symbol, quantity, price) == (intent["symbol"], expected_quantity, expected_price)
        case "amend_batch", _:
            assert [type(c) for c in commands] == [AmendOrder] * intent["n"]
        case (("cancel" | "cancel_trigger"), [CancelOrder() as cancel]):
            conditional = intent["action"] == "cancel_trigger"
            assert (cancel.symbol, cancel.conditional) == (intent["symbol"], conditional)
        case "auto", [CancelOrder(conditional=True) as cancel]:
            # python-binance's method was called with the parameters of an order as well: the id says which one goes.
            assert (intent["method"], cancel.order_id) == ("futures_cancel_algo_order", "1")
        case "cancel_batch", _:
            assert [c.order_id for c in commands if isinstance(c, CancelOrder)] == ["1", "2"]
        case (("cancel_all" | "cancel_all_trigger"), [CancelAll() as cancel_all]):
            conditional = intent["action"] == "cancel_all_trigger"
            assert (cancel_all.symbol, cancel_all.conditional) == (intent["symbol"], conditional)
        case _:
            assert_setting(intent, commands)


def assert_setting(intent: dict[str, Any], commands: list[Command]) -> None:
    match intent["action"], commands:
        case "set_leverage", [SetLeverage() as setting]:
            assert (setting.symbol, setting.leverage) == (intent["symbol"], intent["leverage"])
        case "set_margin_mode", [SetMarginMode(margin_mode=mode)]:
            assert mode is {"CROSSED": MarginMode.CROSS}[intent["mode"]]
        case "set_position_mode", [SetPositionMode(hedged=hedged)]:
            assert hedged is intent["hedged"]
        case "set_multi_asset_mode", [SetMultiAssetMode(enabled=enabled)]:
            assert enabled is True
        case "add_margin", [AdjustIsolatedMargin(amount=amount)]:
            assert amount == 10
        case "reduce_margin", [AdjustIsolatedMargin(amount=amount)]:
            assert amount == -10
        case "deadman", [ArmDeadMan(countdown_ms=countdown)]:
            assert countdown == 10_000
        case _:
            pytest.fail(f"{intent} was read as {commands}")


def assert_order(intent: dict[str, Any], order: PlaceOrder) -> None:
    params = intent.get("params", {})
    hedged = params.get("hedged", False)
    assert order.symbol == intent.get("symbol", "BTCUSDT")
    assert order.side == intent.get("side", order.side).upper()
    quantity = intent.get("qty", intent.get("amount_unified"))
    if quantity is not None:
        assert order.quantity == Decimal(str(quantity))
    if intent.get("type", "limit" if "price" in intent else "").lower() == "limit":
        assert order.price == Decimal(str(intent["price"]))
        assert not order.order_type.is_market
    if intent.get("type", "").lower() == "market":
        assert order.price is None
        assert order.order_type.is_market
    reduce_only = params.get("reduceOnly", intent.get("reduce_only", False)) and not hedged
    assert bool(order.reduce_only) is reduce_only
    if hedged:
        assert order.position_side is PositionSide.LONG  # both captures trade the long leg
    if "position_side" in intent:
        assert order.position_side == intent["position_side"]
    if "timeInForce" in params or "postOnly" in params:
        assert order.time_in_force == params.get("timeInForce", TimeInForce.GTX)
    if "clientOrderId" in params:
        assert order.client_order_id == params["clientOrderId"]
    assert order.price_match == intent.get("price_match")
    assert order.close_position is intent.get("close_position", False)
    assert_trigger(intent, params, order)


def assert_trigger(intent: dict[str, Any], params: dict[str, Any], order: PlaceOrder) -> None:
    assert order.order_type.is_conditional is (intent["action"] == "place_trigger")
    expected = params.get("stopLossPrice", params.get("takeProfitPrice", intent.get("trigger_price")))
    if expected is not None:
        assert order.trigger_price == Decimal(str(expected))
    if "stopLossPrice" in params:
        assert order.order_type in (OrderType.STOP, OrderType.STOP_MARKET)
    if "takeProfitPrice" in params:
        assert order.order_type in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_MARKET)
    if "trigger_source" in intent:
        assert order.trigger_by is TriggerBy(intent["trigger_source"])
    if "trailingPercent" in params:
        assert order.callback_rate == Decimal(str(params["trailingPercent"]))
        assert order.activate_price == Decimal(params["trailingTriggerPrice"])
