"""Signed commands of a person called ann."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.kill.signed import signed

ANN = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def public_half(key: Ed25519PrivateKey) -> str:
    """As the settings have it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def a_command(at: datetime, /, *, key: Ed25519PrivateKey = ANN, **changed: str) -> dict[str, str]:
    """A kill of the desk ``demo``, with these fields instead, signed as it then is."""
    fields = {
        "command": "kill",
        "desk": "demo",
        "scope": "desk",
        "by": "ann",
        "reason": "the grid runs away",
        "at": at.isoformat(),
        "nonce": secrets.token_urlsafe(24),
    }
    return signed(fields | changed, key)
