"""The link that acknowledges an alert: signed, for one alert and one channel, and not for ever.

Whoever has it can say that the alert was heard, and nothing else. It works once: what is acknowledged stays so.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from proxy.vault.keys import Secret

LASTS: Final = timedelta(hours=48)
PATH: Final = "/alerts/ack/"
_LABEL: Final = b"perpguard alert link 1|"
_MAC_BYTES: Final = 16
_TOKEN_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says."""

    alert_id: str
    channel: str
    expires_at: datetime


def token_of(secret: Secret, alert_id: str, channel: str, now: datetime) -> str:
    """A token for one alert, sent by one channel."""
    words = f"{alert_id}|{channel}|{int((now + LASTS).timestamp())}".encode()
    return base64.urlsafe_b64encode(_mac(secret, words) + words).decode().rstrip("=")


def read_token(secret: Secret, token: str, now: datetime) -> Link | None:
    """What a token says; ``None`` for one that is not ours, was altered, or has expired."""
    if len(token) > _TOKEN_MAX or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, words = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, words)):
        return None
    alert_id, channel, expires = words.decode().split("|")
    link = Link(alert_id, channel, datetime.fromtimestamp(int(expires), UTC))
    return link if now < link.expires_at else None


def _mac(secret: Secret, words: bytes) -> bytes:
    return hmac.digest(secret.reveal().encode(), _LABEL + words, "sha256")[:_MAC_BYTES]
