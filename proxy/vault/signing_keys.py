"""The guard's own Ed25519 key pairs, with which it signs certificates. Pure: no file, no clock.

One is in use at a time. A key that is replaced loses its private half for good: it can still be checked, never used.
"""

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.vault.errors import SigningKeyRetired
from proxy.vault.keys import Secret, utc

_KEY_ID_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SigningKey:
    """One key pair. ``public_key`` is PEM; ``private_key`` is ``None`` in a retired one."""

    key_id: str
    public_key: str
    private_key: Secret | None
    created_at: datetime
    retired_at: datetime | None = None

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032), 64 bytes. SigningKeyRetired."""
        if self.private_key is None:
            raise SigningKeyRetired(self.key_id)
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.private_key.reveal())).sign(message)

    def retired(self, now: datetime) -> "SigningKey":
        """The same key without its private half."""
        return replace(self, private_key=None, retired_at=utc(now))

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r}, retired={self.retired_at is not None})"


def new_signing_key(now: datetime) -> SigningKey:
    """A fresh key pair, in use from now on."""
    pair = Ed25519PrivateKey.generate()
    public = pair.public_key()
    return SigningKey(
        key_id=key_id(public),
        public_key=public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        private_key=Secret(base64.b64encode(pair.private_bytes_raw()).decode()),
        created_at=utc(now),
    )


def key_id(public: Ed25519PublicKey) -> str:
    """A key's name: the start of the SHA-256 of its 32 bytes, in hexadecimal. It finds a key, it does not prove one."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:_KEY_ID_LENGTH]
