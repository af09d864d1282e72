"""HMAC signatures over exactly the bytes Binance signs, and its clock window. The time is the caller's.

Source: Binance "SIGNED endpoint security"; all 164 captured REST requests verify this way.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import read_int
from proxy.venues.binance.wire import Parameters

RECV_WINDOW_DEFAULT_MS: Final = 5_000
RECV_WINDOW_MAX_MS: Final = 60_000
FUTURE_MAX_MS: Final = 1_000

_SIGNATURE: Final = b"signature="
_HEX_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Timing:
    """When the bot says it sent the request, and for how long it stands."""

    timestamp_ms: int
    recv_window_ms: int


def sign(payload: str, secret: str) -> str:
    """HMAC-SHA256 of ``payload``, in hexadecimal."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def verify(query: bytes, body: bytes, secret: str) -> bool:
    """Whether the one ``signature`` in query or body signs the rest: raw query, then raw body, nothing between.

    The signature may stand anywhere. Two of them, or none, verify nothing.
    """
    query_rest, query_signatures = _take_signature(query)
    body_rest, body_signatures = _take_signature(body)
    signatures = query_signatures + body_signatures
    expected = hmac.new(secret.encode(), query_rest + body_rest, hashlib.sha256).hexdigest().encode()
    given = signatures[0].lower() if len(signatures) == 1 else b""
    return hmac.compare_digest(given.ljust(_HEX_DIGITS)[:_HEX_DIGITS], expected) and len(given) == _HEX_DIGITS


def read_timing(parameters: Parameters) -> Timing:
    """``timestamp`` and ``recvWindow`` in milliseconds. Raises ``MalformedRequest``."""
    timestamp = read_int(parameters.require("timestamp"), "timestamp", low=0, high=10**15)
    window = parameters.get("recvWindow")
    if window is None:
        return Timing(timestamp, RECV_WINDOW_DEFAULT_MS)
    return Timing(timestamp, read_int(window, "recvWindow", low=1, high=RECV_WINDOW_MAX_MS))


def check_window(timestamp_ms: int, recv_window_ms: int, now_ms: int) -> MalformedRequest | None:
    """Binance's rule: ``timestamp < now + 1000 and now - timestamp <= recvWindow``; otherwise its -1021."""
    if timestamp_ms < now_ms + FUTURE_MAX_MS and now_ms - timestamp_ms <= recv_window_ms:
        return None
    return MalformedRequest(-1021, "Timestamp for this request is outside of the recvWindow.")


def _take_signature(raw: bytes) -> tuple[bytes, list[bytes]]:
    pairs = raw.split(b"&")
    signatures = [pair[len(_SIGNATURE) :] for pair in pairs if pair.startswith(_SIGNATURE)]
    return b"&".join(pair for pair in pairs if not pair.startswith(_SIGNATURE)), signatures
