"""Only what the venue's answer proves is believed; the rest is UNKNOWN."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.venues.binance.replies import BYTES_MAX, Reply, Reported, read_reply, split_entries
from proxy.venues.binance.routes import Route, find_route


def a_route(target: str) -> Route:
    route = find_route(*target.split())
    assert route is not None
    return route


PLACE = a_route("POST /fapi/v1/order")
ALGO = a_route("POST /fapi/v1/algoOrder")
BATCH = a_route("POST /fapi/v1/batchOrders")
LEVERAGE = a_route("POST /fapi/v1/leverage")
CANCEL_ALL = a_route("DELETE /fapi/v1/allOpenOrders")
CANCEL_ALGO = a_route("DELETE /fapi/v1/algoOrder")


def test_an_order_is_accepted_with_its_ids() -> None:
    body = b'{"orderId":22542179,"clientOrderId":"a-1","status":"NEW","symbol":"BTCUSDT","new":{"field":[1]}}'
    assert read_reply(PLACE, 200, body) == (
        Reply(outcome=Reported.ACCEPTED, order_id="22542179", client_order_id="a-1", status="NEW"),
    )


def test_a_conditional_order_is_accepted_with_its_algo_id() -> None:
    body = b'{"algoId":2146760,"clientAlgoId":"a-2","algoStatus":"NEW","orderType":"STOP_MARKET"}'
    (reply,) = read_reply(ALGO, 200, body)
    assert (reply.outcome, reply.order_id, reply.client_order_id) == (Reported.ACCEPTED, "2146760", "a-2")
    assert reply.status == "NEW"


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (LEVERAGE, b'{"leverage":21,"maxNotionalValue":"1000000","symbol":"BTCUSDT"}'),
        (CANCEL_ALL, b'{"code":200,"msg":"The operation of cancel all open order is done."}'),
        (CANCEL_ALGO, b'{"algoId":2146760,"clientAlgoId":"a","code":"200","msg":"success"}'),
    ],
)
def test_settings_and_cancels_are_accepted(route: Route, body: bytes) -> None:
    assert read_reply(route, 200, body)[0].outcome is Reported.ACCEPTED


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, b'{"code":-2019,"msg":"Margin is insufficient."}', Reported.REJECTED),
        (401, b'{"code":-2015,"msg":"Invalid API-key"}', Reported.REJECTED),
        (200, b'{"code":-2019,"msg":"Margin is insufficient."}', Reported.REJECTED),
        (429, b"", Reported.REJECTED),
        (418, b"<html>", Reported.REJECTED),
        (400, b'{"code":-1007,"msg":"Timeout"}', Reported.UNKNOWN),
        (400, b'{"code":-1006,"msg":"Unexpected response"}', Reported.UNKNOWN),
        (408, b'{"code":-2019,"msg":"x"}', Reported.UNKNOWN),
        (400, b"", Reported.UNKNOWN),
        (403, b"<html>WAF</html>", Reported.UNKNOWN),
        (500, b'{"code":-2019,"msg":"x"}', Reported.UNKNOWN),
        (502, b"", Reported.UNKNOWN),
        (503, b'{"code":-1008,"msg":"overloaded"}', Reported.REJECTED),
        (
            503,
            b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}',
            Reported.REJECTED,
        ),
        (503, b'{"msg":"Service Unavailable."}', Reported.REJECTED),
        (503, b"Service Unavailable.", Reported.REJECTED),
        (503, b"Unknown error, please check your request or try again later.", Reported.UNKNOWN),
        (503, b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}', Reported.UNKNOWN),
        (503, b'{"code":-1007,"msg":"Service Unavailable."}', Reported.UNKNOWN),
        (503, b'{"code":-1001,"msg":"Internal error"}', Reported.UNKNOWN),
        (
            503,
            b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again. "}',
            Reported.UNKNOWN,
        ),
        (503, b"<html><h1>503 Service Unavailable.</h1>", Reported.UNKNOWN),
        (503, b"Service Unavailable", Reported.UNKNOWN),
        (503, b"", Reported.UNKNOWN),
        (502, b"Service Unavailable.", Reported.UNKNOWN),
        (500, b'{"code":-1008,"msg":"overloaded"}', Reported.UNKNOWN),
        (400, b'{"code":-1008,"msg":"overloaded"}', Reported.UNKNOWN),
        (504, b"", Reported.UNKNOWN),
        (302, b"", Reported.UNKNOWN),
        (200, b"", Reported.UNKNOWN),
        (200, b"OK", Reported.UNKNOWN),
        (200, b"[]", Reported.UNKNOWN),
        (200, b"{}", Reported.UNKNOWN),
        (200, b'{"orderId":"abc"}', Reported.UNKNOWN),
        (200, b'{"orderId":7', Reported.UNKNOWN),
        (200, b'{"orderId":7,"x":' + b"[" * 100_000, Reported.UNKNOWN),
        (200, b'{"orderId":7,"x":"' + b"a" * BYTES_MAX + b'"}', Reported.UNKNOWN),
    ],
)
def test_what_an_answer_to_a_placing_proves(status: int, body: bytes, outcome: Reported) -> None:
    assert read_reply(PLACE, status, body)[0].outcome is outcome


def test_another_hosts_503_proves_nothing() -> None:
    """The spot API says of every 5xx that the order may have executed ("HTTP Return Codes", seen 2026-11)."""
    spot = replace(PLACE, path="/sapi/v1/algo/futures/newOrderTwap")
    assert read_reply(spot, 503, b"Service Unavailable.")[0].outcome is Reported.UNKNOWN


def test_a_refusal_keeps_the_venues_words() -> None:
    (reply,) = read_reply(PLACE, 400, b'{"code":-2019,"msg":"Margin is insufficient."}')
    assert (reply.code, reply.msg) == (-2019, "Margin is insufficient.")


def test_a_batch_is_read_entry_by_entry() -> None:
    body = (
        b'[{"orderId":1,"status":"NEW"},{"code":-2022,"msg":"ReduceOnly Order is rejected."},{"code":-1007,"msg":""}]'
    )
    replies = read_reply(BATCH, 200, body, count=3)
    assert [reply.outcome for reply in replies] == [Reported.ACCEPTED, Reported.REJECTED, Reported.UNKNOWN]


def test_an_entry_of_a_batch_that_the_venue_shed_is_refused() -> None:
    body = b'[{"orderId":1,"status":"NEW"},{"code":-1008,"msg":"Request throttled by system-level protection."}]'
    assert [reply.outcome for reply in read_reply(BATCH, 200, body, count=2)] == [Reported.ACCEPTED, Reported.REJECTED]


def test_a_batch_answer_of_another_length_proves_nothing() -> None:
    replies = read_reply(BATCH, 200, b'[{"orderId":1}]', count=2)
    assert [reply.outcome for reply in replies] == [Reported.UNKNOWN] * 2


def test_one_error_refuses_the_whole_batch() -> None:
    for status in (200, 400):
        replies = read_reply(BATCH, status, b'{"code":-1102,"msg":"x"}', count=2)
        assert [reply.outcome for reply in replies] == [Reported.REJECTED] * 2


def test_raw_entries_are_passed_on_as_they_came() -> None:
    assert split_entries(b'[{"a": 1.10}, {"b":2}]') == (b'{"a": 1.10}', b'{"b":2}')
    assert split_entries(b'{"code":-1}') is None


@given(st.integers(100, 599), st.binary(max_size=60), st.integers(1, 5))
def test_no_answer_makes_it_raise(status: int, body: bytes, count: int) -> None:
    assert len(read_reply(BATCH, status, body, count)) == count
    assert read_reply(PLACE, status, body)[0].outcome is not Reported.ACCEPTED


@pytest.mark.parametrize(
    "body",
    [b'{"code":-2019,"msg":"\xff"}', b'{"orderId":1,"status":"\xc0\xaf"}', b'{"orderId":1,"code":"--5"}'],
    ids=["a reason that is no text", "a status that is no text", "a code that is no number"],
)
def test_an_answer_that_no_two_parsers_read_alike_raises_nothing(body: bytes) -> None:
    for route in (PLACE, BATCH):
        assert len(read_reply(route, 200, body, 2 if route is BATCH else 1)) == (2 if route is BATCH else 1)
    assert read_reply(PLACE, 400, body)[0].outcome is Reported.UNKNOWN


def test_entries_that_are_no_text_are_split_or_not_without_an_error() -> None:
    assert split_entries(b'[{"msg":"\xff"}]') == (b'{"msg":"\xff"}',)
