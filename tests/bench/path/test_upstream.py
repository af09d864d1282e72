"""The bench's upstream: orders are answered and told of in the exchange's words, and only between its own frames."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from bench.path.frames import Frames, text_frame
from bench.path.orders import Key, Terms, signed_orders
from bench.path.templates import taken_down
from bench.path.upstream import IOC, ORDER

ANSWER = {"orderId": 7, "clientOrderId": "b-1", "price": "1.0", "origQty": "2", "updateTime": 5, "side": "BUY"}
ORDER_OF_FRAME = {"c": "b-1", "i": 7, "p": "1.0", "q": "2", "T": 5, "X": "NEW"}
FRAME = {"e": "ORDER_TRADE_UPDATE", "E": 5, "T": 5, "o": ORDER_OF_FRAME}


def test_an_order_is_answered_as_the_exchange_answered_the_first() -> None:
    answer, frames = taken_down(ANSWER, [FRAME]).filled(
        b"symbol=BTCUSDT&price=88000.1&quantity=0.004&newClientOrderId=x-100%25", 99, 1234
    )
    assert json.loads(answer) == ANSWER | {
        "orderId": 99,
        "clientOrderId": "x-100%",
        "price": "88000.1",
        "origQty": "0.004",
        "updateTime": 1234,
    }
    order = ORDER_OF_FRAME | {"c": "x-100%", "i": 99, "p": "88000.1", "q": "0.004", "T": 1234}
    assert [json.loads(frame) for frame in frames] == [FRAME | {"E": 1234, "T": 1234, "o": order}]


def test_the_loads_orders_are_the_ones_it_answers_and_no_two_are_alike() -> None:
    terms = Terms("BTCUSDT", Decimal("88200.0"), Decimal("0.1"), Decimal("0.002"))
    requests = signed_orders(terms, [Key("a", "s"), Key("b", "s")], "here:1", "", 500)
    assert all(request.startswith(ORDER) and IOC in request for request in requests)
    assert [b"X-MBX-APIKEY: a\r\n" in request for request in requests[:4]] == [True, False, True, False]
    bodies = [
        dict(pair.split("=") for pair in request.decode().partition("\r\n\r\n")[2].split("&")) for request in requests
    ]
    assert len({(body["price"], body["quantity"]) for body in bodies}) == 500
    assert len({body["newClientOrderId"] for body in bodies}) == 500


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65_535, 65_536], ids=str)
def test_a_frame_is_whole_at_its_last_byte_however_it_is_cut(size: int) -> None:
    long = b"\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x7f" + size.to_bytes(8, "big")
    length = bytes((size,)) if size < 126 else long
    frame = b"\x81" + length + bytes(size)
    frames = Frames()
    for cut in (1, 2, 3, 9, len(frame) - 1):
        if 0 < cut < len(frame):
            frames.passed(frame[:cut])
            assert not frames.between
            frames.passed(frame[cut:])
            assert frames.between
    frames.passed(frame + frame[:1])
    assert not frames.between


@pytest.mark.parametrize("size", [0, 125, 126, 65_535], ids=str)
def test_a_frame_of_ours_is_one_whole_frame(size: int) -> None:
    frames, frame = Frames(), text_frame(bytes(size))
    frames.passed(frame[:-1])
    assert not frames.between
    frames.passed(frame[-1:])
    assert frames.between
