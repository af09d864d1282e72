"""Signatures over exactly the bytes Binance signs, HMAC or Ed25519, and its clock window. The time is the caller's.

Source: Binance "SIGNED endpoint security"; all 164 captured REST requests verify this way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import read_int
from proxy.venues.binance.wire import Parameters

RECV_WINDOW_DEFAULT_MS: Final = 5_000
RECV_WINDOW_MAX_MS: Final = 60_000
FUTURE_MAX_MS: Final = 1_000

_SIGNATURE: Final = b"signature="
_HEX_DIGITS: Final = 64
_KEYS_KEPT: Final = 1024

VerifyingKey: TypeAlias = str | Ed25519PublicKey
"""What checks a signature: an HMAC secret, or the public half of an Ed25519 key pair."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When the bot says it sent the request, and for how long it stands."""

    timestamp_ms: int
    recv_window_ms: int


def sign(payload: str, secret: str) -> str:
    """HMAC-SHA256 of ``payload``, in hexadecimal."""
    return _hmac(secret, payload.encode())


def verify(query: bytes, body: bytes, key: VerifyingKey) -> bool:
    """Whether the one ``signature`` in query or body signs the rest: raw query, then raw body, nothing between.

    The signature may stand anywhere. Two of them, or none, verify nothing. Ed25519 signatures are base64 and stand
    percent-encoded there.
    """
    payload, signature = read_signature(query, body)
    return signs_request(payload, signature, key)


def signed_payload(query: bytes, body: bytes) -> bytes:
    """What the signature of a request is over: one payload however the signature itself is spelled or placed."""
    return read_signature(query, body)[0]


def read_signature(query: bytes, body: bytes) -> tuple[bytes, bytes]:
    """What is signed, and the one signature over it, as it is spelled; empty where there is none, or more than one."""
    signed, signatures = _take_signature(query)
    if body:
        rest, more = _take_signature(body)
        signed, signatures = signed + rest, signatures + more
    return signed, signatures[0] if len(signatures) == 1 else b""


def signs_request(payload: bytes, signature: bytes, key: VerifyingKey) -> bool:
    """Whether a ``signature`` as it is spelled in a request is ``key``'s over ``payload``."""
    return signs(payload, signature if isinstance(key, str) else unquote_to_bytes(signature), key)


def signs(payload: bytes, signature: bytes, key: VerifyingKey) -> bool:
    """Whether ``signature`` (hexadecimal for HMAC-SHA256, base64 for Ed25519) is ``key``'s over ``payload``."""
    match key:
        case str(secret):
            expected = _hmac(secret, payload).encode()
            given = signature.lower().ljust(_HEX_DIGITS)[:_HEX_DIGITS]
            return hmac.compare_digest(given, expected) and len(signature) == _HEX_DIGITS
        case Ed25519PublicKey():
            try:
                key.verify(base64.b64decode(signature, validate=True), payload)
            except (binascii.Error, InvalidSignature):
                return False
            return True


@lru_cache(maxsize=_KEYS_KEPT)
def read_public_key(pem: str) -> Ed25519PublicKey:
    """An Ed25519 public key. ``ValueError`` when it is none, which the vault makes sure of."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def read_timing(parameters: Parameters) -> Timing:
    """``timestamp`` and ``recvWindow`` in milliseconds. Raises ``MalformedRequest``."""
    timestamp = read_int(parameters.require("timestamp"), "timestamp", low=0, high=10**15)
    return Timing(timestamp, read_recv_window(parameters))


def read_recv_window(parameters: Parameters) -> int:
    """``recvWindow`` in milliseconds, the usual one where none is named. Raises ``MalformedRequest``."""
    text = parameters.get("recvWindow")
    if text is None:
        return RECV_WINDOW_DEFAULT_MS
    window = read_int(text, "recvWindow", low=0, high=10**15)
    if not 1 <= window <= RECV_WINDOW_MAX_MS:
        raise MalformedRequest(-1131, f"GUARD MALFORMED: recvWindow is 1 to {RECV_WINDOW_MAX_MS} milliseconds")
    return window


def check_window(timestamp_ms: int, recv_window_ms: int, now_ms: int, arrived_ms: int) -> MalformedRequest | None:
    """Binance's rule: ``timestamp < now + 1000 and arrived - timestamp <= recvWindow``; otherwise its -1021.

    ``arrived_ms`` is when the request came at the earliest: it may have waited since.
    """
    if timestamp_ms < now_ms + FUTURE_MAX_MS and arrived_ms - timestamp_ms <= recv_window_ms:
        return None
    return MalformedRequest(-1021, "Timestamp for this request is outside of the recvWindow.")


def _hmac(secret: str, payload: bytes) -> str:
    state = _keyed(secret).copy()
    state.update(payload)
    return state.hexdigest()


@lru_cache(maxsize=_KEYS_KEPT)
def _keyed(secret: str) -> hmac.HMAC:
    """HMAC-SHA256 as far as the key alone takes it: every request of a bot goes on from a copy."""
    return hmac.new(secret.encode(), digestmod=hashlib.sha256)


def _take_signature(raw: bytes) -> tuple[bytes, list[bytes]]:
    rest, found, signature = raw.rpartition(b"&signature=")
    if found and b"&" not in signature and _SIGNATURE not in rest:  # At the end and nowhere else, as SDKs send it.
        return rest, [signature]
    pairs = raw.split(b"&")
    signatures = [pair[len(_SIGNATURE) :] for pair in pairs if pair.startswith(_SIGNATURE)]
    return b"&".join(pair for pair in pairs if not pair.startswith(_SIGNATURE)), signatures
