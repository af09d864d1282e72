"""What the venue says: answers to orders, stream keys, and the events of an account."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.exchange.events import Event, UnreadableEvent, read_event
from proxy.venues.binance.private_stream import combined, is_expiry, key_body, read_listen_key
from proxy.venues.binance.replies import Reply, Reported, read_reply, split_entries
from proxy.venues.binance.routes import ROUTES, Kind, Route
from tests.fuzz.target import Refused, Target

_ORDER_ROUTES = [route for route in ROUTES if route.kind not in (Kind.DENY, Kind.READ, Kind.PUBLIC_READ)]
_STATUSES = (200, 201, 400, 401, 403, 404, 408, 418, 429, 451, 500, 502, 503, 504)
_BATCHES = (Kind.BATCH_ORDER, Kind.BATCH_AMEND, Kind.BATCH_CANCEL)
_UNKNOWN_CODES = (-1000, -1001, -1006, -1007, -1008)
_SHED = -1008
_FAILED_TEXTS = ("Service Unavailable.", "Internal error; unable to process your request. Please try again.")
_NAMES_AN_ORDER = (Kind.ORDER, Kind.ALGO_ORDER, Kind.AMEND, Kind.CANCEL, Kind.CANCEL_ALGO, *_BATCHES)


def _asked(data: bytes) -> tuple[Route, int, int]:
    """Two bytes in front: the route with how many commands, and the status."""
    first, second = (data + b"\0\0")[:2]
    route = _ORDER_ROUTES[first % len(_ORDER_ROUTES)]
    return route, _STATUSES[second % len(_STATUSES)], 1 + second // 64 if route.kind in _BATCHES else 1


def _read_reply(data: bytes) -> tuple[tuple[Reply, ...], tuple[bytes, ...] | None]:
    """Documented to raise nothing: what proves nothing is UNKNOWN."""
    route, status, count = _asked(data)
    return read_reply(route, status, data[2:], count), split_entries(data[2:])


def _check_reply(data: bytes, read: tuple[tuple[Reply, ...], tuple[bytes, ...] | None]) -> None:
    """Executed and refused are said only where the answer does; with everything else the hold stays."""
    (route, status, count), (replies, entries) = _asked(data), read
    assert len(replies) == count
    said = _documents(data[2:], count)
    for place, reply in enumerate(replies):
        entry = said[place]
        if reply.outcome is Reported.ACCEPTED:
            assert 200 <= status < 300 and isinstance(entry, dict)
            code = _number(entry.get("code"))
            assert code is None or code >= 0
            if route.kind in _NAMES_AN_ORDER:
                assert str(_number(entry.get("orderId") if entry.get("algoId") is None else entry["algoId"])) == (
                    reply.order_id
                )
        elif reply.outcome is Reported.REJECTED and status not in (418, 429):
            if status == 503:
                assert _failed_for_certain(data[2:], entry)
                continue
            assert (200 <= status < 300 or 400 <= status < 500) and status != 408 and isinstance(entry, dict)
            code = _number(entry.get("code"))
            assert code is not None and (code not in _UNKNOWN_CODES or (code == _SHED and status < 300))
            assert code < 0 or status >= 400
    if entries is not None:
        joined = msgspec.json.decode(b"[" + b",".join(entries) + b"]", type=list[msgspec.Raw])
        assert [bytes(each) for each in joined] == list(entries)


def _failed_for_certain(body: bytes, entry: Any) -> bool:
    if not isinstance(entry, dict):
        return body == b"Service Unavailable."
    return _number(entry.get("code")) == _SHED or entry.get("msg") in _FAILED_TEXTS


def _documents(body: bytes, count: int) -> list[Any]:
    """The body by another parser, once for each command."""
    try:
        document = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return [None] * count
    return document if isinstance(document, list) and len(document) == count else [document] * count


def _number(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) or value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _reply_seeds() -> Iterator[bytes]:
    order = b'{"orderId":22542179,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"gA1bx-1","price":"9000.30"}'
    for first in range(len(_ORDER_ROUTES)):
        yield bytes([first, 0]) + order
        yield bytes([first, 64]) + b"[" + order + b',{"code":-2022,"msg":"ReduceOnly Order is rejected."}]'
    yield b'\x00\x02{"code":-2019,"msg":"Margin is insufficient."}'
    yield b'\x02\x00{"algoId":2146760,"clientAlgoId":"6B2I9XVcJpCjqPAJ4YoFX7","algoStatus":"NEW"}'
    yield b'\x06\x00{"code":"200","msg":"success","algoId":2146760,"clientAlgoId":"x"}'
    yield b"\x00\x0b<html>502 Bad Gateway</html>"
    yield b"\x00\x0cService Unavailable."
    yield b'\x00\x0c{"code":-1008,"msg":"Request throttled by system-level protection."}'


def _read_private(data: bytes) -> tuple[str | None, bool]:
    return read_listen_key(data), is_expiry(data)


def _check_private(data: bytes, read: tuple[str | None, bool]) -> None:
    key, expired = read
    if key is not None:
        assert key.isalnum() and key.isascii() and len(key) <= 128
        assert read_listen_key(key_body(key)) == key
        assert msgspec.json.decode(combined(key, b"{}")) == {"stream": key, "data": {}}
    assert not expired or json.loads(data.decode("utf-8", "replace"))["e"] == "listenKeyExpired"


def _private_seeds() -> Iterator[bytes]:
    yield b'{"listenKey":"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"}'
    yield b'{"e":"listenKeyExpired","E":1736996475556,"listenKey":"WsCMN0a4KHUPTQuX6"}'


def _read_event(data: bytes) -> Event | None:
    """ccxt decodes a frame with the standard library's parser; what is not an object never gets here."""
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused from None
    if not isinstance(row, dict):
        raise Refused
    try:
        return read_event(row)
    except UnreadableEvent:
        raise Refused from None


def _check_event(data: bytes, event: Event | None) -> None:
    """Of the declared types throughout, no number that is none: msgspec checks what the dataclass says."""
    if event is None:
        return
    kind = type(event)
    assert msgspec.convert(msgspec.to_builtins(event), kind) == event
    assert re.search(r"Decimal\('-?(?:s?NaN|Inf)", repr(event)) is None


def _event_seeds() -> Iterator[bytes]:
    yield (
        b'{"e":"ORDER_TRADE_UPDATE","E":1568879465651,"T":1568879465650,"o":{"s":"BTCUSDT","c":"TEST","S":"SELL",'
        b'"o":"TRAILING_STOP_MARKET","f":"GTC","q":"0.001","p":"0","ap":"0","sp":"7103.04","x":"NEW","X":"NEW",'
        b'"i":8886774,"l":"0","z":"0","L":"0","N":"USDT","n":"0","T":1568879465650,"t":0,"b":"0","a":"9.91","m":false,'
        b'"R":false,"wt":"CONTRACT_PRICE","ot":"TRAILING_STOP_MARKET","ps":"LONG","cp":false,"rp":"0"}}'
    )
    yield (
        b'{"e":"ALGO_UPDATE","T":1750515742297,"E":1750515742303,"o":{"caid":"x","aid":1000001,"at":"CONDITIONAL",'
        b'"o":"TAKE_PROFIT","s":"BTCUSDT","S":"SELL","ps":"BOTH","f":"GTC","q":"0.01","X":"CANCELED","ai":"","tp":"750",'
        b'"p":"750","R":false,"cp":false}}'
    )
    yield (
        b'{"e":"ACCOUNT_UPDATE","E":1564745798939,"T":1564745798938,"a":{"m":"ORDER","B":[{"a":"USDT","wb":"122624.1",'
        b'"cw":"100.1","bc":"50.1"}],"P":[{"s":"BTCUSDT","pa":"20","ep":"6563.6","cr":"0","up":"2850.2",'
        b'"mt":"isolated","iw":"13200.7","ps":"LONG"}]}}'
    )
    yield b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1611646737479,"T":1611646737476,"ac":{"s":"BTCUSDT","l":25}}'
    yield b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1611646737479,"T":1611646737476,"ai":{"j":true}}'
    yield b'{"e":"MARGIN_CALL","E":1587727187525,"cw":"3.1","p":[{"s":"ETHUSDT","ps":"LONG"}]}'
    yield b'{"e":"listenKeyExpired","E":1736996475556}'
    yield b'{"e":"TRADE_LITE","E":1721895408092}'


REPLIES = Target(name="replies", read=_read_reply, check=_check_reply, seeds=_reply_seeds)
PRIVATE_STREAM = Target(name="private_stream", read=_read_private, check=_check_private, seeds=_private_seeds)
EVENTS = Target(name="events", read=_read_event, check=_check_event, seeds=_event_seeds)
