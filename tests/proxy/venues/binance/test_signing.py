"""Signatures over exactly what Binance signs, and its clock window."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.signing import (
    Timing,
    check_window,
    read_public_key,
    read_timing,
    sign,
    signed_payload,
    verify,
)
from proxy.venues.binance.wire import read_parameters

# The example of Binance's "SIGNED endpoint" documentation.
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
PAYLOAD = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_the_documented_vector() -> None:
    assert sign(PAYLOAD, SECRET) == SIGNATURE


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"{PAYLOAD}&signature={SIGNATURE}", ""),
        ("", f"{PAYLOAD}&signature={SIGNATURE}"),
        (f"signature={SIGNATURE}&{PAYLOAD}", ""),
        (PAYLOAD.replace("&quantity", f"&signature={SIGNATURE}&quantity"), ""),
        (f"{PAYLOAD}&signature={SIGNATURE.upper()}", ""),
        (f"signature={SIGNATURE}", PAYLOAD),
        (PAYLOAD, f"signature={SIGNATURE}"),
    ],
)
def test_the_signature_may_stand_anywhere(query: str, body: str) -> None:
    assert verify(query.encode(), body.encode(), SECRET)


def test_query_and_body_are_joined_without_a_separator() -> None:
    query, body = PAYLOAD.split("&quantity=1&")
    signature = sign(query + "quantity=1&" + body, SECRET)
    assert verify(f"{query}".encode(), f"quantity=1&{body}&signature={signature}".encode(), SECRET)


@pytest.mark.parametrize(
    "raw",
    [
        PAYLOAD,
        "",
        "signature=",
        f"{PAYLOAD}&signature=",
        f"{PAYLOAD}&signature={SIGNATURE[:-1]}",
        f"{PAYLOAD}&signature={SIGNATURE}0",
        f"{PAYLOAD}&signature={SIGNATURE}&signature={SIGNATURE}",
        f"{PAYLOAD}&Signature={SIGNATURE}",
        f"{PAYLOAD}&%73ignature={SIGNATURE}",
        f"{PAYLOAD}&signature={SIGNATURE} ",
        f"{PAYLOAD.replace('quantity=1', 'quantity=2')}&signature={SIGNATURE}",
        f"{PAYLOAD}&extra=1&signature={SIGNATURE}",
    ],
)
def test_anything_else_is_not_signed(raw: str) -> None:
    assert not verify(raw.encode(), b"", SECRET)
    assert not verify(b"", raw.encode(), SECRET)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_make_it_raise(query: bytes, body: bytes) -> None:
    assert verify(query, body, SECRET) is False


@pytest.mark.parametrize(
    ("timestamp", "inside"),
    [(100_000, True), (95_000, True), (94_999, False), (100_999, True), (101_000, False)],
)
def test_the_clock_window(timestamp: int, inside: bool) -> None:
    late = check_window(timestamp, 5_000, 100_000, 100_000)
    assert (late is None) is inside
    if late is not None:
        assert late.code == -1021


def timing(query: bytes) -> Timing:
    return read_timing(read_parameters(query, b"", ""))


def test_the_receive_window_defaults_to_five_seconds() -> None:
    assert timing(b"timestamp=1795332044643") == Timing(1795332044643, 5000)
    assert timing(b"timestamp=1&recvWindow=60000") == Timing(1, 60000)


@pytest.mark.parametrize(
    "query",
    [
        b"recvWindow=1",
        b"timestamp=",
        b"timestamp=1.5",
        b"timestamp=-1",
        b"timestamp=1&recvWindow=60001",
        b"timestamp=1e3",
    ],
)
def test_odd_times_are_malformed(query: bytes) -> None:
    with pytest.raises(MalformedRequest):
        timing(query)


@pytest.mark.parametrize(("window", "code"), [("0", -1131), ("60001", -1131), ("-1", -1130), ("5s", -1130)])
def test_a_window_that_is_none_is_refused_as_by_the_exchange(window: str, code: int) -> None:
    with pytest.raises(MalformedRequest, match="recvWindow") as refused:
        timing(b"timestamp=1&recvWindow=" + window.encode())
    assert refused.value.code == code


PRIVATE = Ed25519PrivateKey.generate()
ED25519 = base64.b64encode(PRIVATE.sign(PAYLOAD.encode())).decode()


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"{PAYLOAD}&signature={quote(ED25519, safe='')}", ""),
        ("", f"signature={quote(ED25519, safe='')}&{PAYLOAD}"),
        (f"{PAYLOAD}&signature={quote(ED25519, safe='/+=')}", ""),
    ],
)
def test_an_ed25519_signature_is_base64_and_percent_encoded(query: str, body: str) -> None:
    assert verify(query.encode(), body.encode(), PRIVATE.public_key())
    assert not verify(query.encode(), body.encode(), Ed25519PrivateKey.generate().public_key())
    assert not verify(query.encode(), body.encode(), SECRET)
    assert signed_payload(query.encode(), body.encode()) == PAYLOAD.encode()


@pytest.mark.parametrize(
    "signature",
    ["", SIGNATURE, ED25519[:-4], f"{ED25519}AAAA", f"{ED25519[:-2]}", f" {ED25519}", "%", "%zz", "A" * 88, "\xe9"],
    ids=["nothing", "HMAC", "cut", "longer", "half padded", "space", "percent", "no hex", "zeros", "not ASCII"],
)
def test_what_is_no_ed25519_signature_verifies_nothing(signature: str) -> None:
    assert not verify(f"{PAYLOAD}&signature={signature}".encode(), b"", PRIVATE.public_key())


@given(st.binary(max_size=200))
def test_no_bytes_make_an_ed25519_verification_fail_otherwise(raw: bytes) -> None:
    assert verify(raw, b"signature=" + raw, PRIVATE.public_key()) is False


def test_a_public_key_of_another_kind_is_none() -> None:
    rsa = generate_private_key(public_exponent=65537, key_size=2048).public_key()
    with pytest.raises(ValueError, match="Ed25519"):
        read_public_key(rsa.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200], ids=str)
def test_a_key_of_any_length_signs_as_the_library_does(length: int) -> None:
    """RFC 2104: a key longer than a block is hashed first."""
    secret = "Ab9-" * 60
    expected = hmac.new(secret[:length].encode(), PAYLOAD.encode(), hashlib.sha256).hexdigest()
    for _ in range(2):  # The second goes on from what was kept of the first.
        assert sign(PAYLOAD, secret[:length]) == expected
    assert verify(f"{PAYLOAD}&signature={expected}".encode(), b"", secret[:length])
    assert not verify(f"{PAYLOAD}&signature={expected}".encode(), b"", secret[: length + 1])


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (b"a=1&signature=ff", b"a=1"),
        (b"signature=ff&a=1", b"a=1"),
        (b"a=1&signature=ff&b=2", b"a=1&b=2"),
        (b"signature=ff&a=1&signature=ff", b"a=1"),
        (b"a=1&signature=", b"a=1"),
        (b"a=1&xsignature=ff&signature=ff", b"a=1&xsignature=ff"),
        (b"a=1", b"a=1"),
        (b"", b""),
    ],
    ids=["last", "first", "amid", "twice", "empty", "a longer name", "none", "nothing"],
)
def test_what_is_signed_is_the_rest_wherever_the_signature_stands(raw: bytes, payload: bytes) -> None:
    assert signed_payload(raw, b"") == signed_payload(b"", raw) == payload
