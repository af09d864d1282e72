"""A person's public key as the settings have it; the private half is that person's alone."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY_BYTES: Final = 32


def public_key(text: str) -> Ed25519PublicKey:
    """A key as the settings have it: 32 bytes in base64. Raises ``ValueError``."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ValueError("a public key is 32 bytes in base64, as `perpguard command key` prints it")
    return Ed25519PublicKey.from_public_bytes(raw)
