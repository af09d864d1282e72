"""Decide whose request this is: API key, signature (HMAC or Ed25519), and the clock window."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

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
    """An API key, what proves it (a shared secret, or an Ed25519 public key), and the account they belong to."""

    account: str
    api_key: str
    api_secret: str = field(default="", repr=False)
    public_key: Ed25519PublicKey | None = None
    permissions: KeyPermissions = SAFE_PERMISSIONS
    # Of a sub-account: its email, and the account that may change its keys.
    email: str = ""
    master: str = ""

    def proven_by(self, signature: str, payload: bytes) -> bool:
        """True when `signature` (hex for a secret, base64 for a public key) covers `payload`."""
        if self.public_key is None:
            expected = hmac.new(self.api_secret.encode(), payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace"))
        try:
            self.public_key.verify(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def identify(credentials: dict[str, Credential], api_key: str | None) -> Credential:
    """The owner of an API key; -2014 when none was sent, -2015 when it is nobody's."""
    if not api_key:
        raise VenueError(-2014, "API-key format invalid.", HTTPStatus.UNAUTHORIZED)
    credential = credentials.get(api_key)
    if credential is None:
        raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", HTTPStatus.UNAUTHORIZED)
    return credential


def check_signature(credential: Credential, payloads: Iterable[str], params: Params) -> None:
    """Refuse (-1022) a request whose `signature` covers none of the `payloads` it may have been made over."""
    signature = params.text("signature")
    if signature is None:
        raise missing("signature")
    if not any(credential.proven_by(signature, payload.encode("latin-1")) for payload in payloads):
        raise VenueError(-1022, "Signature for this request is not valid.")


def check_window(params: Params, now_ms: int) -> None:
    """Refuse a request whose `timestamp` is outside of its window."""
    timestamp = params.required_integer("timestamp")
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


def http_payload(query: str, body: str) -> str:
    """What an HTTP request is signed over: the query without `signature` followed directly by the body without it.

    Exactly as sent: clients sign what they put on the wire, percent-encoding included.
    """
    return _unsigned(query) + _unsigned(body)


def _unsigned(text: str) -> str:
    return _SIGNATURE.sub("", text).removeprefix("&")
