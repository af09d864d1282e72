"""Client order ids on their way out and back, and signatures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.venues.binance.client_ids import inward, names_close, outward, owner, restore, reworded, tag
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.signing import sign, signed_payload, verify
from proxy.venues.binance.values import read_client_id
from tests.fuzz.target import Refused, Target

_ADA, _BOB = tag("demo", "ada"), tag("demo", "bob")
_BOTS = {_ADA: "ada", _BOB: "bob"}
_VENUE_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_NAMES = {"clientOrderId", "origClientOrderId", "newClientOrderId", "clientAlgoId", "c", "C", "caid"}


def _read_id(data: bytes) -> tuple[str, str]:
    try:
        own = read_client_id(data.decode(), "newClientOrderId")
        return own, outward(own, _ADA)
    except (MalformedRequest, UnicodeDecodeError):
        raise Refused from None


def _check_id(data: bytes, ids: tuple[str, str]) -> None:
    own, upstream = ids
    assert _VENUE_ID.fullmatch(own) and _VENUE_ID.fullmatch(upstream)
    assert not own.lower().startswith("pgk-")
    assert inward(upstream, _ADA) == own and inward(upstream, _BOB) is None
    assert owner(upstream, _BOTS) == "ada"
    answer = json.dumps({"clientOrderId": upstream, "symbol": upstream}).encode()
    assert json.loads(restore(answer, _ADA)) == {"clientOrderId": own, "symbol": upstream}
    assert restore(answer, _BOB) == answer


def _id_seeds() -> Iterator[bytes]:
    yield from (b"x-cvBPrNm9cef2761b18b4850244ac39", b"a", b"pgk-1", b".:/_-", b"x" * 36)
    yield _ADA.encode() + b"pgk-1"
    yield b"00000000-0000-0000-0000-000000003039"
    yield b"ffffffff-ffff-ffff-ffff-ffffffffffff"


def _read_answer(data: bytes) -> bytes:
    reworded(data.decode("latin-1"), _ADA)
    return restore(data, _ADA)


def _check_answer(data: bytes, restored: bytes) -> None:
    """Whatever was JSON is JSON, and other in nothing but the ids of this bot."""
    try:
        before = json.loads(data)
    except (ValueError, RecursionError):
        return
    after = json.loads(restored)
    if b"\\" not in data:
        assert after == _restored(before)


def _restored(value: Any, name: str = "") -> Any:
    match value:
        case dict():
            return {key: _restored(each, key) for key, each in value.items()}
        case list():
            return [_restored(each) for each in value]
        case str() if name in _NAMES and len(value.encode("utf-8", "surrogatepass")) <= 4 + 64:
            return value if names_close(value, _ADA) else inward(value, _ADA) or value
        case _:
            return value


def _answer_seeds() -> Iterator[bytes]:
    for code in (_ADA, _BOB):
        yield json.dumps({"clientOrderId": code + "x-1", "orderId": 1}).encode()
        yield json.dumps([{"clientOrderId": code + "pgk-1"}, {"msg": f"{code}pgk-1"}]).encode()
        yield json.dumps({"e": "ORDER_TRADE_UPDATE", "o": {"c": "u" + code[1:] + "0" * 22, "i": 1}}).encode()
        yield json.dumps([{"msg": f'the order "{code}1" and {code}x', "caid": code}]).encode()
    yield b'{"c" : "' + _ADA.encode() + b'a\\"b"}'


_ED25519 = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
_SECRET = "guard-secret"


def _read_signature(data: bytes) -> bool:
    query, _, body = data.partition(b"\n")
    verify(query, body, _ED25519.public_key())
    return verify(query, body, _SECRET)


def _check_signature(data: bytes, verified: bool) -> None:
    """One signature, over every other byte in its place."""
    query, _, body = data.partition(b"\n")
    if verified:
        (found,) = re.findall(rb"(?:^|&)signature=([^&]*)", query) + re.findall(rb"(?:^|&)signature=([^&]*)", body)
        assert sign(signed_payload(query, body).decode("latin-1"), _SECRET).encode() == found.lower()
    signed = b"signature=" + sign("a=1", _SECRET).encode()
    for spelled in (b"a=1&" + signed, signed + b"&a=1"):
        assert verify(spelled, b"", _SECRET) and not verify(spelled + b"&" + signed, b"", _SECRET)


def _signature_seeds() -> Iterator[bytes]:
    yield b"a=1&signature=" + sign("a=1", _SECRET).encode()
    yield b"a=1\nb=2&signature=" + sign("a=1b=2", _SECRET).upper().encode()
    yield b"a=1&signature=c2lnbmF0dXJl%3D%3D"


CLIENT_IDS = Target(name="client_ids", read=_read_id, check=_check_id, seeds=_id_seeds, bytes_max=256)
ANSWERED_IDS = Target(name="answered_ids", read=_read_answer, check=_check_answer, seeds=_answer_seeds, bytes_max=2048)
SIGNATURES = Target(name="signatures", read=_read_signature, check=_check_signature, seeds=_signature_seeds)
