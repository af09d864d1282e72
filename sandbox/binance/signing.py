"""Decide whose request this is: API key, HMAC signature over the raw bytes, and the clock window."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from http import HTTPStatus

from sandbox.binance.errors import VenueError, missing
from sandbox.binance.params import Params
from sandbox.binance.permissions import SAFE_PERMISSIONS, KeyPermissions

RECV_WINDOW_DEFAULT_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
# A client's clock may be this far ahead of the venue's.
AHEAD_MAX_MS = 1_000

_SIGNATURE = re.compile(r"(?:^|&)signature=[^&]*")


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key and its secret, and the account they belong to."""

    account: str
    api_key: str
    api_secret: str = field(repr=False)
    permissions: KeyPermissions = SAFE_PERMISSIONS


def identify(credentials: dict[str, Credential], api_key: str | None) -> Credential:
    """The owner of an API key; -2014 when none was sent, -2015 when it is nobody's."""
    if not api_key:
        raise VenueError(-2014, "API-key format invalid.", HTTPStatus.UNAUTHORIZED)
    credential = credentials.get(api_key)
    if credential is None:
        raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", HTTPStatus.UNAUTHORIZED)
    return credential


def verify(credential: Credential, query: str, body: str, params: Params, now_ms: int) -> None:
    """Check timestamp window and signature of a signed request.

    The payload is the query without `signature` followed directly by the body without `signature`, exactly as sent:
    clients sign what they put on the wire, percent-encoding included.
    """
    timestamp = params.required_integer("timestamp")
    signature = params.text("signature")
    if signature is None:
        raise missing("signature")
    # Microseconds are told by their size: 1e14 ms is the year 5138.
    sent_ms = timestamp // 1000 if timestamp > 10**14 else timestamp
    window = params.integer("recvWindow")
    window = RECV_WINDOW_DEFAULT_MS if window is None else window
    if not 0 < window <= RECV_WINDOW_MAX_MS:
        raise VenueError(-1131, "recvWindow must be less than 60000.")
    if sent_ms >= now_ms + AHEAD_MAX_MS:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - sent_ms > window:
        raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")
    payload = _unsigned(query) + _unsigned(body)
    expected = hmac.new(credential.api_secret.encode(), payload.encode("latin-1"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace")):
        raise VenueError(-1022, "Signature for this request is not valid.")


def _unsigned(text: str) -> str:
    return _SIGNATURE.sub("", text).removeprefix("&")
