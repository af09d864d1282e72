"""Frames of both kinds of socket, and the paths sockets are opened under."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import msgspec

from proxy.venues.binance.frames import Call, Frame, RefusedFrame, answer_frame, read_frame, verify_frame
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.signing import sign
from proxy.venues.binance.stream_calls import Call as StreamCall
from proxy.venues.binance.stream_calls import RefusedCall, Subscribe, UnreadableCall, Unsubscribe, read_call, result
from proxy.venues.binance.stream_paths import StreamTarget, TradingTarget, UnknownTarget, read_target
from tests.fuzz.another_parser import by_another_parser
from tests.fuzz.seeds import captured_frames
from tests.fuzz.target import Refused, Target
from tests.support.sent_as_judged import check_upstream


def _read_frame(data: bytes) -> tuple[Call, VenueRequest | None]:
    try:
        call = read_frame(data)
        return call, read_request(call.route, call.parameters) if isinstance(call, Frame) else None
    except RefusedFrame as refused:
        answer = msgspec.json.decode(answer_frame(refused.frame_id, 400, refused.rejection.body()))
        assert answer["id"] == refused.frame_id and answer["error"]["msg"].isascii()
        raise Refused from None
    except MalformedRequest:
        raise Refused from None


def _check_frame(data: bytes, read: tuple[Call, VenueRequest | None]) -> None:
    call, request = read
    envelope = by_another_parser(data)
    if envelope is None:
        return
    assert envelope.keys() <= {"id", "method", "params"} and envelope["method"].isascii()
    assert envelope["method"] == call.method
    assert envelope["id"] == call.id and type(envelope["id"]) is type(call.id)
    params = envelope.get("params") or {}
    for name, value in params.items():
        assert name.isascii() and name.isalnum()
        assert not isinstance(value, list | dict | None)
        assert not isinstance(value, str) or not set(value) & set('&% "\\')
        assert not isinstance(value, str) or value.isascii() or (name == "symbol" and _of_letters(value))
    assert call.parameters.values.keys() <= params.keys()
    signed = [pair.partition("=")[0] for pair in call.signed_payload.split("&")] if call.signed_payload else []
    assert signed == sorted(params.keys() - {"signature"})
    resigned = Call(
        id=call.id, method=call.method, parameters=call.parameters, api_key="k",
        signed_payload=call.signed_payload, signature=sign(call.signed_payload, "secret"),
    )  # fmt: skip
    assert verify_frame(resigned, "secret") and not verify_frame(resigned, "another")
    if request is not None:
        check_upstream(request, call.parameters)
    answer = msgspec.json.decode(answer_frame(call.id, 200, b"{}"))
    assert answer["id"] == call.id and answer["status"] == 200


def _of_letters(symbol: str) -> bool:
    """Letters and digits in their one form, in capitals where there are some."""
    one_form = unicodedata.normalize("NFC", symbol) == symbol
    return one_form and all(each == "_" or (each.isalnum() and not each.islower()) for each in symbol)


def _frame_seeds() -> Iterator[bytes]:
    yield from captured_frames()
    yield b'{"id":1,"method":"session.logon","params":{"apiKey":"k","signature":"c2ln","timestamp":1}}'
    yield b'{"id":null,"method":"session.status"}'
    yield b'{"id":-5,"method":"ticker.price","params":{"symbol":"BTCUSDT"}}'
    for symbol in ("币安人生USDT".encode(), b"\\u5e01\\u5b89USDT"):
        yield (
            b'{"id":1,"method":"order.cancel","params":{"apiKey":"k","orderId":7,"signature":"0","symbol":"%b"}}'
            % symbol
        )


def _read_call(data: bytes) -> StreamCall:
    """A text frame, as the socket hands it on."""
    try:
        return read_call(data.decode())
    except UnicodeDecodeError:
        raise Refused from None
    except RefusedCall as refused:
        msgspec.json.decode(refused.answer)
        raise Refused from None
    except UnreadableCall:
        raise Refused from None


def _check_call(data: bytes, call: StreamCall) -> None:
    envelope = by_another_parser(data)
    assert data.isascii() and envelope.keys() <= {"id", "method", "params"}
    assert envelope.get("id") == call.id and not isinstance(call.id, bool)
    if isinstance(call, Subscribe | Unsubscribe):
        assert list(call.names) == list(dict.fromkeys(envelope["params"]))
    assert msgspec.json.decode(result(call.id)) == {"result": None, "id": call.id}


def _call_seeds() -> Iterator[bytes]:
    yield b'{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth"],"id":1}'
    yield b'{"method":"UNSUBSCRIBE","params":["btcusdt@depth"],"id":"a1f3"}'
    yield b'{"method":"LIST_SUBSCRIPTIONS","id":3}'
    yield b'{"method":"SET_PROPERTY","params":["combined",true],"id":5}'
    yield b'{"method":"GET_PROPERTY","params":["combined"],"id":2}'


def _read_path(data: bytes) -> TradingTarget | StreamTarget:
    """The door hands on text in which every byte stands for itself."""
    try:
        return read_target(data.decode("latin-1"))
    except UnknownTarget:
        raise Refused from None


_PATH = re.compile(rb"(/public|/market|/private)?/(ws(/[A-Za-z0-9_@!+:/]*)?|stream)(\?[A-Za-z0-9_@!+:/=&]*)?")


def _check_path(data: bytes, target: TradingTarget | StreamTarget) -> None:
    if isinstance(target, TradingTarget):
        assert data == b"/ws-fapi/v1"
        return
    assert _PATH.fullmatch(data)
    said = [name.encode() for name in (*(stream.name for stream in target.streams), *target.stream_keys)]
    assert all(name in data for name in said) and len(set(said)) == len(said) <= 200
    again = f"/stream?streams={'/'.join(stream.name for stream in target.streams)}" if target.streams else "/stream"
    assert read_target(again) == StreamTarget(target.streams, (), True)


def _path_seeds() -> Iterator[bytes]:
    key = b"k" * 64
    yield b"/ws-fapi/v1"
    yield b"/market/ws/3"
    yield b"/ws/btcusdt@depth@100ms/ethusdt@kline_1m"
    yield b"/stream?streams=btcusdt@markPrice@1s/!miniTicker@arr/btcusdt_perpetual@continuousKline_1h"
    yield b"/private/ws?listenKey=" + key
    yield b"/ws/" + key
    yield b"/stream?streams=" + b"/".join(b"a%d@compositeIndex" % n for n in range(200))


FRAMES = Target(name="frames", read=_read_frame, check=_check_frame, seeds=_frame_seeds)
STREAM_CALLS = Target(name="stream_calls", read=_read_call, check=_check_call, seeds=_call_seeds)
STREAM_PATHS = Target(name="stream_paths", read=_read_path, check=_check_path, seeds=_path_seeds)
