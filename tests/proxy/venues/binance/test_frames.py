"""A frame has one meaning, that of its REST twin, or none."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.venues.binance.frames import (
    LOGON,
    LOGOUT,
    STATUS,
    TARGETS,
    Frame,
    RefusedFrame,
    UnknownMethod,
    answer_frame,
    read_frame,
    verify_frame,
)
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.rejections import unknown_outcome
from proxy.venues.binance.replies import Reported, read_reply
from proxy.venues.binance.requests import read_request
from proxy.venues.binance.routes import Access, Kind, find_route
from proxy.venues.binance.signing import Timing, read_timing, sign
from rules.model import AmendOrder, CancelOrder, OrderType, PlaceOrder, Side

SECRET = "testSecret"
# Sent by ccxt.pro 4.5.90 (tests/conformance/captures).
CAPTURED = (
    '{"id":"2","method":"order.place","params":{"apiKey":"testApiKey","newClientOrderId":'
    '"x-cvBPrNm91727798a78e19062929097","newOrderRespType":"RESULT","quantity":"0.01","recvWindow":10000,'
    '"reduceOnly":true,"returnRateLimits":false,"side":"SELL","symbol":"BTCUSDT","timestamp":1795332450118,'
    '"type":"MARKET","signature":"6b3fb179fa6745c87ab654e7d610aec477dbc3d97f796f9ab3a172398793aadd"}}'
)
# Signed by binance-sdk-derivatives-trading-usds-futures 18.1.0: every value a string, the payload percent-encoded.
OF_THE_SDK = (
    '{"method": "order.place", "params": {"apiKey": "testApiKey", "newClientOrderId": "a:b/c.d-e_f", '
    '"price": "50000.0", "quantity": "1e-05", "side": "BUY", "symbol": "BTCUSDT", "timestamp": 1795535861507, '
    '"type": "LIMIT", "signature": "f33f4e91cceef3c6322b9ba84041e61fb8bc0984906868698fdae03140add899"}, '
    '"id": "4ad9b889-24b1-4e39-961d-d099ca4d4173"}'
)
ORDER: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000"}
AUTHENTICATION: dict[str, Any] = {"apiKey": "key", "timestamp": 1795332450118, "signature": "0" * 64}


def a_call(method: str = "order.place", frame_id: Any = 1, **parameters: Any) -> str:
    return json.dumps({"id": frame_id, "method": method, "params": AUTHENTICATION | parameters})


def with_params(params: str) -> str:
    return f'{{"id":7,"method":"order.place","params":{{"apiKey":"key","signature":"0",{params}}}}}'


def refused(raw: bytes | str) -> RefusedFrame:
    with pytest.raises(RefusedFrame) as caught:
        read_frame(raw)
    assert caught.value.rejection.msg.isascii() and caught.value.rejection.msg.isprintable()
    return caught.value


@pytest.mark.parametrize("raw", [CAPTURED, CAPTURED.encode(), f" {CAPTURED}\r\n"])
def test_a_captured_order_is_read(raw: bytes | str) -> None:
    frame = read_frame(raw)
    assert (frame.id, frame.method, frame.api_key) == ("2", "order.place", "testApiKey")
    assert frame.route is find_route("POST", "/fapi/v1/order")
    assert read_timing(frame.parameters) == Timing(1795332450118, 10_000)
    assert verify_frame(frame, SECRET)
    assert frame.signature not in repr(frame) and frame.signed_payload not in repr(frame)
    assert read_request(frame.route, frame.parameters).commands == (
        PlaceOrder(
            symbol="BTCUSDT",
            side=Side.SELL,
            order_type=OrderType.MARKET,
            quantity=Decimal("0.01"),
            reduce_only=True,
            response_type="RESULT",
            client_order_id="x-cvBPrNm91727798a78e19062929097",
        ),
    )


def test_the_venues_own_sdk_signs_percent_encoded() -> None:
    frame = read_frame(OF_THE_SDK)
    assert verify_frame(frame, SECRET)
    (order,) = read_request(frame.route, frame.parameters).commands
    assert isinstance(order, PlaceOrder)
    assert (order.quantity, order.client_order_id) == (Decimal("0.00001"), "a:b/c.d-e_f")


@pytest.mark.parametrize(
    ("sent", "instead"),
    [
        ('"SELL"', '"BUY"'),
        ('"reduceOnly":true', '"reduceOnly":false'),
        ('"reduceOnly":true,', ""),
        ("10000", "60000"),
        ("returnRateLimits", "returnratelimits"),
        ("testApiKey", "otherApiKey"),
        ("3aadd", "3aade"),
        ("3aadd", "3aad"),
        ("3aadd", "3aadd0"),
        ('"symbol"', '"extra":"","symbol"'),
    ],
)
def test_whatever_is_changed_is_not_signed(sent: str, instead: str) -> None:
    assert sent in CAPTURED
    assert not verify_frame(read_frame(CAPTURED.replace(sent, instead)), SECRET)


def test_an_empty_parameter_is_signed_and_then_not_sent() -> None:
    parameters = ORDER | {"apiKey": "key", "timestamp": 1795332450118, "timeInForce": ""}
    frame = read_frame(a_call(**parameters, signature=sign(urlencode(sorted(parameters.items())), SECRET)))
    assert verify_frame(frame, SECRET)
    assert frame.parameters.get("timeInForce") is None


def test_amends_and_cancels_are_those_of_rest() -> None:
    amend = read_frame(a_call("order.modify", symbol="BTCUSDT", side="BUY", quantity=0.02, price=51000, orderId=1))
    cancel = read_frame(a_call("order.cancel", symbol="BTCUSDT", origClientOrderId="mine"))
    algo = read_frame(a_call("algoOrder.cancel", algoId=9))
    assert [read_request(frame.route, frame.parameters).commands for frame in (amend, cancel, algo)] == [
        (AmendOrder(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal("0.02"), price=Decimal(51000), order_id="1"),),
        (CancelOrder(symbol="BTCUSDT", client_order_id="mine"),),
        (CancelOrder(symbol=None, order_id="9", conditional=True),),
    ]


@pytest.mark.parametrize("method", TARGETS)
def test_every_method_has_a_row_that_is_not_denied(method: str) -> None:
    route = read_frame(a_call(method)).route
    assert (route.method, route.path) == TARGETS[method]
    assert route.kind is not Kind.DENY
    assert (route.kind is Kind.READ) is (method == "order.status" or "account" in method)
    assert (route.access is Access.PUBLIC) is (method == "depth" or method.startswith("ticker."))
    assert (route.kind is Kind.STREAM_KEY) is method.startswith("userDataStream.")


@pytest.mark.parametrize("method", [LOGON, STATUS, LOGOUT])
def test_a_call_about_the_session_has_no_row(method: str) -> None:
    frame = read_frame(a_call(method))
    assert not isinstance(frame, Frame)
    assert (frame.id, frame.method, frame.api_key, frame.signature) == (1, method, "key", "0" * 64)


@pytest.mark.parametrize("params", ["", ',"params":null', ',"params":{}', ',"params":{"returnRateLimits":true}'])
def test_a_session_may_be_asked_about_without_parameters(params: str) -> None:
    frame = read_frame(f'{{"id":1,"method":"session.status"{params}}}')
    assert (frame.api_key, frame.signature, dict(frame.parameters.values)) == (None, None, {})


@pytest.mark.parametrize("params", ["", ',"params":null', ',"params":{}'])
@pytest.mark.parametrize("method", ["ticker.price", "account.status", "order.place"])
def test_a_frame_without_parameters_is_one_with_none(method: str, params: str) -> None:
    frame = read_frame(f'{{"id":1,"method":"{method}"{params}}}')
    assert isinstance(frame, Frame)
    assert (frame.id, frame.api_key, frame.signature, dict(frame.parameters.values)) == (1, None, None, {})


def test_a_frame_of_a_session_carries_neither_key_nor_signature() -> None:
    frame = read_frame(json.dumps({"id": 1, "method": "order.place", "params": ORDER}))
    assert isinstance(frame, Frame)
    assert (frame.api_key, frame.signature) == (None, None)
    assert read_request(frame.route, frame.parameters).commands
    assert not verify_frame(frame, SECRET)


@pytest.mark.parametrize(
    ("method", "sent", "missing"),
    [
        ("order.place", {"signature": "0" * 64}, "apiKey"),
        ("order.place", {"apiKey": "key"}, "signature"),
        ("session.logon", {"apiKey": "key"}, "signature"),
        ("session.logon", {"signature": "0" * 64}, "apiKey"),
        ("session.logon", {}, "apiKey"),
        ("depth", {"signature": "0" * 64}, "apiKey"),
    ],
)
def test_half_a_credential_is_refused(method: str, sent: dict[str, str], missing: str) -> None:
    refusal = refused(json.dumps({"id": 1, "method": method, "params": sent}))
    assert (refusal.frame_id, refusal.rejection.code) == (1, -1102)
    assert f"'{missing}'" in refusal.rejection.msg


def test_a_stream_key_needs_a_key_and_no_signature() -> None:
    frame = read_frame('{"id":1,"method":"userDataStream.start","params":{"apiKey":"key"}}')
    assert (frame.api_key, frame.signature) == ("key", None)


def test_a_frame_may_be_signed_with_ed25519() -> None:
    private = Ed25519PrivateKey.generate()
    sent = ORDER | {"apiKey": "key", "timestamp": 1795332450118, "newClientOrderId": "a:b/c"}
    payload = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
    for signed in (payload, quote_plus(payload, safe="=&")):
        signature = base64.b64encode(private.sign(signed.encode())).decode()
        frame = read_frame(a_call(**sent, signature=signature))
        assert verify_frame(frame, private.public_key())
        assert not verify_frame(frame, Ed25519PrivateKey.generate().public_key())
        assert not verify_frame(read_frame(a_call(**sent | {"price": "1"}, signature=signature)), private.public_key())


@pytest.mark.parametrize(
    "method",
    [
        "",
        "order.Place",
        "order.place ",
        "order.test",
        "order.cancelReplace",
        "openOrders.cancelAll",
        "orderList.place",
        "sor.order.place",
        "session.Logon",
        "session.subscribe",
        "userDataStream.subscribe",
        "ticker.24hr",
        "exchangeInfo",
        "ping",
        "time",
        "v3/account.status",
        "x" * 10_000,
    ],
)
def test_any_other_method_is_denied_under_its_id(method: str) -> None:
    refusal = refused(a_call(method, frame_id="mine"))
    assert isinstance(refusal, UnknownMethod)
    assert (refusal.frame_id, refusal.rejection.status, refusal.rejection.code) == ("mine", 403, -1002)
    assert "has no operation privilege" in refusal.rejection.msg


@pytest.mark.parametrize("frame_id", [None, 0, 1, -1, 2**63 - 1, 1 - 2**63, "", "1", "a-B_9.:", "x" * 64])
def test_the_id_comes_back_as_it_was_sent(frame_id: Any) -> None:
    read = read_frame(a_call(frame_id=frame_id)).id
    assert (type(read), read) == (type(frame_id), frame_id)
    assert json.loads(answer_frame(read, 200, b"{}"))["id"] == frame_id


@pytest.mark.parametrize("frame_id", ["true", "1.0", "1e3", "-0", str(2**63), "9" * 5000, '"\\n"', '"é"', '"\\ud800"'])
def test_any_other_id_is_refused(frame_id: str) -> None:
    assert refused(a_call().replace('"id": 1', f'"id": {frame_id}')).frame_id is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"1",
        b'"order.place"',
        b"{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + CAPTURED.encode(),
        CAPTURED.encode("utf-16"),
        "\ud800",
        f"[{CAPTURED}]",
        f"{CAPTURED}{CAPTURED}",
        f"{CAPTURED} 1",
        f"{CAPTURED},",
        CAPTURED[:-1],
        CAPTURED.replace("SELL", "ＳＥＬＬ"),
        CAPTURED.replace("order.place", "ordér.place"),
        CAPTURED.replace('"id":"2"', '"id":"2","id":"2"'),
        CAPTURED.replace('"id":"2"', '"id":"2","method":"order.cancel"'),
        CAPTURED.replace('"id":"2"', '"id":"2","params":{}'),
        CAPTURED.replace('"id":"2"', '"id":"2","jsonrpc":"2.0"'),
        CAPTURED.replace('"id":"2",', ""),
        CAPTURED.replace('"id":"2"', '"id":{}'),
        CAPTURED.replace('"order.place"', "1"),
        CAPTURED.replace('"order.place"', "null"),
        '{"id":1,"method":"order.place","params":"symbol=BTCUSDT"}',
        '{"id":1,"method":"order.place","params":[]}',
        '{"id":1,"method":"session.logon","params":{}}',
        "[" * 60_000,
        '{"id":' * 10_000,
        CAPTURED + " " * (64 * 1024),
        with_params('"quantity":NaN'),
        with_params(r'"price":"1","quantity":"\ud800"'),
        with_params('"quantity":Infinity'),
        with_params('"quantity":-Infinity'),
        with_params('"quantity":01'),
        with_params('"quantity":+1'),
        with_params('"quantity":1_000'),
        with_params('"quantity":"1","quantity":"1"'),
        with_params('"quantity":"1","quantit\\u0079":"2"'),
        with_params('"quantity":null'),
        with_params('"quantity":{}'),
        with_params('"quantity":[1]'),
        with_params('"quantity":"1&side=SELL"'),
        with_params('"quantity":"%31"'),
        with_params('"quantity":" 1"'),
        with_params('"quantity":"1\\n"'),
        with_params('"quantity":"\\u0661"'),
        with_params('"quantity":"\\ud800"'),
        with_params('"quantity=1&side":"SELL"'),
        with_params('"":"1"'),
        with_params('"Quantity ":"1"'),
        with_params(",".join(f'"p{n}":"1"' for n in range(64))),
        a_call(apiKey=""),
        a_call(signature=""),
        a_call("session.logon", apiKey=""),
        a_call("session.logon", signature=""),
    ],
)
def test_refused(raw: bytes | str) -> None:
    refusal = refused(raw)
    assert refusal.rejection.status == 400
    assert json.loads(answer_frame(refusal.frame_id, 400, refusal.rejection.body()))["error"]["code"] < 0


@pytest.mark.parametrize("encoded", [True, False], ids=["signed percent-encoded", "signed as it is"])
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "in UTF-8"])
def test_a_symbol_of_another_script_is_read_however_a_client_spells_its_json(ascii_only: bool, encoded: bool) -> None:
    """Python's clients escape it, JavaScript's do not."""
    sent = {"apiKey": "key", "orderId": "7", "symbol": "币安人生USDT", "timestamp": "1795332450118"}
    signed = urlencode(sent) if encoded else "&".join(f"{name}={value}" for name, value in sent.items())
    call = {"id": 1, "method": "order.cancel", "params": sent | {"signature": sign(signed, SECRET)}}
    text = json.dumps(call, ensure_ascii=ascii_only)
    for raw in (text, text.encode()):
        frame = read_frame(raw)
        assert verify_frame(frame, SECRET)
        (cancel,) = read_request(frame.route, frame.parameters).commands
        assert cancel == CancelOrder(symbol="币安人生USDT", order_id="7")


@pytest.mark.parametrize(
    "params",
    ['"symbol":"\u202e币"', '"symbol":"ＢＴＣ"', '"symbol":"币&side=SELL"', '"symbol":"币%31"', '"side":"币"',
     '"newClientOrderId":"币"', '"币":"1"', r'"symbol":"\ud83d\udca9"', '"symbol":["币"]'],
    ids=ascii,
)  # fmt: skip
def test_nothing_else_is_other_than_ascii(params: str) -> None:
    for raw in (with_params(params), with_params(params).encode("utf-8", "surrogatepass"), b"\xff" + CAPTURED.encode()):
        assert refused(raw).rejection.code == -1100


def test_a_refusal_names_the_frame_where_it_can() -> None:
    assert refused(with_params('"quantity":null')).frame_id == 7
    assert refused(with_params('"quantity":NaN')).frame_id is None


HUGE = ["1" * 5_000, "1e1000000", "0." + "0" * 5_000 + "1", "-1", "1" * 60_000]


@pytest.mark.parametrize("literal", HUGE)
def test_a_huge_number_is_text_until_its_grammar_refuses_it(literal: str) -> None:
    frame = read_frame(with_params(f'"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":{literal}'))
    assert frame.parameters.get("quantity") == literal
    with pytest.raises(MalformedRequest):
        read_request(frame.route, frame.parameters)


NAMES = st.sampled_from(["symbol", "side", "quantity", "price", "apiKey", "returnRateLimits", "Symbol", "x y", ""])
PLAIN = st.sampled_from(['"BTCUSDT"', '"BUY"', '"1"', "1", "0.10", "1e5", "-0", "true", "false", '""', "9" * 4_400])
ODD = st.sampled_from(["null", "NaN", "{}", '{"a":1}', "[]", "01", '"a&b=c"', '"%31"', '"\\ud800"', '"\\u0061"'])
LITERALS = PLAIN | PLAIN | PLAIN | ODD
METHODS = st.sampled_from(['"order.place"', '"order.status"'])
AUTHENTICATED = [("apiKey", '"key"'), ("signature", '"00"')]


def an_object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{name}":{literal}' for name, literal in pairs) + "}"


@st.composite
def frames(draw: st.DrawFn) -> str:
    sent = draw(st.lists(st.tuples(NAMES, LITERALS), max_size=4))
    params = an_object(draw(st.permutations(AUTHENTICATED + sent)))
    pairs = [("id", draw(LITERALS)), ("method", draw(METHODS | METHODS | ODD)), ("params", params)]
    again = draw(st.sampled_from([[], [], [], pairs[:1], pairs[1:2], pairs[2:], [("params", "{}")]]))
    text = an_object(draw(st.permutations(pairs + again)))
    return text + draw(st.sampled_from(["", "", "", " ", text, "x"]))


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def reference_readings(text: str) -> list[tuple[Any, dict[str, str]]]:
    """How two plausible servers would read it: of repeated names the first wins, or the last."""
    readings = []
    for order in (list, reversed):
        call = json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=lambda ps, o=order: dict(o(ps)))
        readings.append((call["method"], {name: as_text(value) for name, value in call["params"].items()}))
    return readings


@settings(max_examples=1000, deadline=None)
@given(frames() | frames() | st.text(max_size=60) | st.binary(max_size=60))
@example(CAPTURED)
@example(CAPTURED.replace('"0.01"', "NaN"))
@example(CAPTURED + CAPTURED)
def test_a_frame_has_one_meaning_or_a_refusal_and_nothing_else(raw: bytes | str) -> None:
    try:
        frame = read_frame(raw)
    except RefusedFrame as refusal:
        assert json.loads(answer_frame(refusal.frame_id, 400, refusal.rejection.body()))["error"]["code"] < 0
        return
    assert verify_frame(frame, SECRET) is (raw == CAPTURED)
    framing = {"apiKey": frame.api_key, "signature": frame.signature}
    ours = dict(frame.parameters.values) | framing
    for method, sent in reference_readings(raw if isinstance(raw, str) else raw.decode()):
        assert method == frame.method
        assert ours == {name: text for name, text in sent.items() if text and name != "returnRateLimits"}


def test_an_answer_wraps_the_body_untouched() -> None:
    body = b'{"orderId":9007199254740993,"price":"50000.0","avgPrice":0.10}'
    assert answer_frame("1", 200, body) == b'{"id":"1","status":200,"result":' + body + b',"rateLimits":[]}'
    assert json.loads(answer_frame(None, 200, b"[]")) == {"id": None, "status": 200, "result": [], "rateLimits": []}


@pytest.mark.parametrize("status", [400, 403, 418, 429, 503])
def test_an_error_keeps_its_status_code_and_words(status: int) -> None:
    assert json.loads(answer_frame(5, status, b'{"code":-2010,"msg":"GUARD x: \xc3\xa9","more":1}')) == {
        "id": 5,
        "status": status,
        "error": {"code": -2010, "msg": "GUARD x: é"},
        "rateLimits": [],
    }


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b'"\xff"', b"[" * 100_000, b"{} {}"])
@pytest.mark.parametrize(("status", "answered"), [(200, 503), (502, 502), (403, 403)])
def test_a_body_that_is_no_json_proves_nothing(status: int, answered: int, body: bytes) -> None:
    answer = json.loads(answer_frame(1, status, body))
    assert (answer["status"], answer["error"]["code"]) == (answered, -1007)
    assert answer["error"]["msg"] == unknown_outcome().msg and "result" not in answer


@pytest.mark.parametrize(
    ("status", "body", "code"), [(429, b"", -1003), (418, b"<html>", -1003), (503, b"Service Unavailable.", -1001)]
)
def test_what_proves_a_failure_without_the_venues_code_is_told_as_one(status: int, body: bytes, code: int) -> None:
    """What is believed of it by REST, with its hold let go, must not be an unknown outcome to a socket."""
    route = find_route("POST", "/fapi/v1/order")
    assert route is not None and read_reply(route, status, body)[0].outcome is Reported.REJECTED
    answer = json.loads(answer_frame(1, status, body))
    assert (answer["status"], answer["error"]["code"]) == (status, code)


def test_seconds_to_wait_are_told_as_a_moment() -> None:
    """As in the venue's own example of a 418 ("WebSocket API General Info")."""
    error = {"code": -1003, "msg": "Way too many requests; IP banned."}
    answer = json.loads(answer_frame(1, 418, json.dumps(error).encode(), retry_after_s=40, now_ms=1_659_146_400_000))
    assert answer["error"] == error | {"data": {"serverTime": 1_659_146_400_000, "retryAfter": 1_659_146_440_000}}
    assert "error" not in json.loads(answer_frame(1, 200, b"{}", retry_after_s=40))
