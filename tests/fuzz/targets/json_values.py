"""JSON inside parameters, and money as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.strict_json import read_objects, read_scalars
from proxy.venues.binance.values import plain, read_decimal, read_int
from proxy.venues.binance.wire import Parameters
from tests.fuzz.another_parser import by_another_parser
from tests.fuzz.target import Refused, Target

_PLAIN = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")


def _text(data: bytes) -> str:
    """What the wire hands on is UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused from None


def _read_json(data: bytes) -> tuple[Parameters, ...] | tuple[str, ...]:
    """The first byte says which of the two readers."""
    text = _text(data[1:])
    try:
        if data[:1] == b"o":
            return tuple(read() for read in read_objects(text, "batchOrders", 5))
        return tuple(read() for read in read_scalars(text, "orderIdList", 10))
    except MalformedRequest:
        raise Refused from None


def _check_json(data: bytes, read: tuple[Parameters | str, ...]) -> None:
    """Another parser finds the same in it: as many entries, the same names, the same text."""
    entries = by_another_parser(data[1:])
    if entries is None:
        return
    assert len(entries) == len(read) <= 10
    for entry, found in zip(entries, read, strict=True):
        if isinstance(found, Parameters):
            shown = {name: value for name, value in entry.items() if value != ""}
            assert shown.keys() == found.values.keys()
            assert all(_same(value, found.values[name]) for name, value in shown.items())
        else:
            assert _same(entry, found)


def _same(value: Any, text: str) -> bool:
    match value:
        case bool():
            return text == str(value).lower()
        case str():
            return value == text
        case _:
            return bool(re.fullmatch(r"-?[0-9.eE+-]+", text)) and float(value) == float(text)


def _json_seeds() -> Iterator[bytes]:
    yield b'o[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.1","price":49000,"reduceOnly":true}]'
    yield b'o[{"a":1e-05,"b":"","c":false},{"a":"\\u0041"}]'
    yield b"s[1,2,3]"
    yield b's["x-1","x-2",1.50]'


def _read_money(data: bytes) -> Decimal | int:
    text = _text(data[1:])
    try:
        if data[:1] == b"i":
            return read_int(text, "recvWindow", low=0, high=10**15)
        return read_decimal(text, "quantity")
    except MalformedRequest:
        raise Refused from None


def _check_money(data: bytes, value: Decimal | int) -> None:
    """Plain digits, inside the bounds, worth exactly what was written; written out and read again it is the same."""
    text = data[1:].decode()
    assert text.isascii() and set(text) <= set("0123456789.eE+-")
    assert Fraction(value) == Fraction(text)
    if isinstance(value, int):
        assert str(value) == text
        return
    spelled = plain(value)
    assert _PLAIN.fullmatch(spelled), spelled
    whole, _, fraction = spelled.partition(".")
    assert len(whole) <= 12 and len(fraction) <= 18
    assert read_decimal(spelled, "quantity") == value


def _money_seeds() -> Iterator[bytes]:
    for text in ("0", "0.01", "1e-05", "1E+3", "999999999999.999999999999999999", "50000.50", "0.0"):
        yield b"d" + text.encode()
    yield b"i1795332044643"
    for text in ("1_000", " 1", "NaN", "-1", "+1", "0x1", ".5", "5.", "1e1000000", "\u0661"):
        yield b"d" + text.encode()


STRICT_JSON = Target(name="strict_json", read=_read_json, check=_check_json, seeds=_json_seeds)
MONEY = Target(name="money", read=_read_money, check=_check_money, seeds=_money_seeds, bytes_max=256)
