"""Refusals are valid Binance errors, and make ccxt raise what a bot should see."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.venues.binance import rejections
from proxy.venues.binance.malformed import MalformedRequest, unknown_parameter
from proxy.venues.binance.rejections import Rejection, batch_body, for_breach
from rules.decision import Breach


def a_breach(code: str, message: str = "leverage would be 7") -> Breach:
    return Breach(rule_id="max_leverage", code=code, message=message, observed="7", limit="5", headroom=Decimal("0.50"))


REFUSALS: dict[str, tuple[Rejection, type[Exception]]] = {
    "rule": (for_breach(a_breach("LEVERAGE_ABOVE_LIMIT")), ccxt.InvalidOrder),
    "stale": (for_breach(a_breach("ACCOUNT_STALE")), ccxt.InvalidOrder),
    "rule failed": (for_breach(a_breach("RULE_FAILED")), ccxt.InvalidOrder),
    "reducing": (for_breach(a_breach("REDUCE_ONLY_STATE")), ccxt.InvalidOrder),
    "kill": (for_breach(a_breach("KILL_RUNNING")), ccxt.PermissionDenied),
    "halted": (for_breach(a_breach("TRADING_HALTED")), ccxt.PermissionDenied),
    "key disabled breach": (for_breach(a_breach("KEY_DISABLED")), ccxt.PermissionDenied),
    "rate": (for_breach(a_breach("MESSAGE_RATE_ABOVE_LIMIT")), ccxt.RateLimitExceeded),
    "symbol breach": (for_breach(a_breach("UNKNOWN_SYMBOL")), ccxt.BadSymbol),
    "malformed": (rejections.malformed(unknown_parameter("stopLoss", "POST /fapi/v1/order")), ccxt.BadRequest),
    "unknown outcome": (rejections.unknown_outcome(), ccxt.RequestTimeout),
    "exchange not reached": (rejections.exchange_not_reached(), ccxt.InvalidOrder),
    "cannot judge": (rejections.cannot_judge(), ccxt.InvalidOrder),
    "key format": (rejections.key_format(), ccxt.AuthenticationError),
    "unauthorised": (rejections.unauthorised(), ccxt.AuthenticationError),
    "key disabled": (rejections.key_disabled(), ccxt.PermissionDenied),
    "bad signature": (rejections.bad_signature(), ccxt.AuthenticationError),
    "stale timestamp": (rejections.stale_timestamp(), ccxt.InvalidNonce),
    "replayed": (rejections.replayed(), ccxt.InvalidOrder),
    "unknown route": (rejections.unknown_route("POST", "/fapi/v3/order"), ccxt.PermissionDenied),
    "another bot's connection": (rejections.not_this_bots_connection(), ccxt.BadRequest),
    "internal": (rejections.internal(), ccxt.OperationFailed),
}
RETRYABLE = {"rate", "unknown outcome", "stale timestamp", "internal"}


def raised_by_ccxt(rejection: Rejection) -> Exception:
    exchange = ccxt.binanceusdm()
    body, url = rejection.body().decode(), "http://127.0.0.1:8080/binanceusdm/fapi/v1/order"
    with pytest.raises(ccxt.BaseError) as raised:
        exchange.handle_errors(rejection.status, "", url, "POST", {}, body, json.loads(body), {}, "")
    return raised.value


@pytest.mark.parametrize("name", REFUSALS)
def test_ccxt_over_a_plain_base_url_raises_the_right_class(name: str) -> None:
    rejection, expected = REFUSALS[name]
    assert type(raised_by_ccxt(rejection)) is expected


@pytest.mark.parametrize("name", REFUSALS)
def test_only_what_may_be_retried_is_a_network_error(name: str) -> None:
    raised = raised_by_ccxt(REFUSALS[name][0])
    assert isinstance(raised, ccxt.OperationFailed) is (name in RETRYABLE)


@pytest.mark.parametrize("name", REFUSALS)
def test_the_body_is_json_with_a_number_and_a_printable_message(name: str) -> None:
    rejection, _ = REFUSALS[name]
    assert_dialect(rejection)
    assert 400 <= rejection.status < 600
    assert rejection.status not in (429, 418, 502, 504)


def assert_dialect(rejection: Rejection) -> None:
    body = json.loads(rejection.body())
    assert set(body) == {"code", "msg"}
    assert type(body["code"]) is int and body["code"] < 0
    assert body["msg"].isascii() and body["msg"].isprintable() and 0 < len(body["msg"]) <= 512


@given(st.text(max_size=700), st.text(max_size=700))
def test_no_text_breaks_the_dialect(message: str, path: str) -> None:
    assert_dialect(for_breach(a_breach("LEVERAGE_ABOVE_LIMIT", message)))
    assert_dialect(rejections.unknown_route(path, path))
    assert_dialect(rejections.malformed(unknown_parameter(path, "POST /fapi/v1/order")))


def test_a_route_that_is_refused_is_named_as_it_was_asked_for() -> None:
    for path in ("/ws-fapi/v2", "/ws/btcusdt%40bookTicker", "/stream/!ticker@arr_1.x"):
        assert f" WS {path}: " in rejections.unknown_route("WS", path).msg
    assert " WS /?script?/?: " in rejections.unknown_route("WS", "/<script>/\n").msg


def test_a_breach_tells_rule_code_numbers_and_headroom() -> None:
    assert for_breach(a_breach("LEVERAGE_ABOVE_LIMIT")).msg == (
        "GUARD max_leverage LEVERAGE_ABOVE_LIMIT: leverage would be 7; "
        "observed 7, limit 5, largest quantity allowed now 0.5"
    )
    tiny = replace(a_breach("LEVERAGE_ABOVE_LIMIT"), headroom=Decimal("1E-5"))
    assert for_breach(tiny).msg.endswith("allowed now 0.00001")


def test_a_breach_without_numbers_has_no_empty_words() -> None:
    breach = Breach(rule_id="trading_state", code="REDUCE_ONLY_STATE", message="only exits pass now")
    assert for_breach(breach).msg == "GUARD trading_state REDUCE_ONLY_STATE: only exits pass now"


def test_an_unknown_outcome_reads_as_a_server_error_and_not_as_a_refusal() -> None:
    unknown = rejections.unknown_outcome()
    assert (unknown.status, unknown.code) == (503, -1007)
    assert "execution status unknown" in unknown.msg


def test_a_malformed_request_keeps_its_code() -> None:
    assert rejections.malformed(MalformedRequest(-4120, "x")) == Rejection(400, -4120, "x")


def test_a_batch_is_answered_entry_by_entry() -> None:
    body = batch_body([rejections.cannot_judge(), b'{"orderId":7}'])
    refused, placed = json.loads(body)
    assert refused["code"] == -2010
    assert placed == {"orderId": 7}
    assert batch_body([]) == b"[]"
