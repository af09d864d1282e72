"""The vault's file format: one canonical JSON document, its header readable, everything else sealed.

    {"header": {format, version, kdf, n, r, p, salt, cipher, nonce}, "ciphertext": base64, "checksum": base64}

The header is authenticated as associated data. The checksum is not a protection but a diagnosis: it tells a damaged
file from a wrong passphrase, without a key derivation. This file knows neither paths nor what is being sealed.
"""

import hashlib
import os
import unicodedata
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from proxy.decoding import decoder
from proxy.vault.errors import PassphraseChanged, VaultCorrupt
from proxy.vault.keys import Secret

# scrypt with n=2^17, r=8, p=1 takes 128 MiB: OWASP Password Storage Cheat Sheet.
WORK_FACTOR_DEFAULT = 2**17
# Below this a tampered or careless header would make guessing cheap; above, it could demand more than 1 GiB of memory.
WORK_FACTOR_MIN = 2**14
WORK_FACTOR_MAX = 2**20
_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is needed to derive the key. Fields with one legal value are stored so that a later version may differ."""

    format: Literal["perpguard-vault"] = "perpguard-vault"
    version: Literal[1] = 1
    kdf: Literal["scrypt"] = "scrypt"
    n: int
    r: Literal[8] = 8
    p: Literal[1] = 1
    salt: bytes
    cipher: Literal["AES-256-GCM"] = "AES-256-GCM"
    nonce: bytes


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file, parsed."""

    header: Header
    ciphertext: bytes
    checksum: bytes


_READ = decoder(Envelope)


class Sealer:
    """A derived key with the salt and cost it came from. The passphrase is not kept; the cipher never shows its key."""

    __slots__ = ("_cipher", "salt", "work_factor")

    def __init__(self, passphrase: Secret, *, salt: bytes, work_factor: int) -> None:
        if not is_work_factor(work_factor):
            raise ValueError(f"work_factor must be a power of two from {WORK_FACTOR_MIN} to {WORK_FACTOR_MAX}")
        self.salt = salt
        self.work_factor = work_factor
        kdf = Scrypt(salt=salt, length=_KEY_BYTES, n=work_factor, r=8, p=1)
        self._cipher = AESGCM(kdf.derive(_passphrase_bytes(passphrase)))

    @classmethod
    def with_new_salt(cls, passphrase: Secret, work_factor: int) -> "Sealer":
        """A key for a new vault or a new passphrase."""
        return cls(passphrase, salt=os.urandom(_SALT_BYTES), work_factor=work_factor)

    @classmethod
    def for_header(cls, passphrase: Secret, header: Header) -> "Sealer":
        """The key an existing vault asks for."""
        return cls(passphrase, salt=header.salt, work_factor=header.n)

    def seal(self, plaintext: bytes) -> bytes:
        """The bytes of the file, under a nonce never used before."""
        header = Header(n=self.work_factor, salt=self.salt, nonce=os.urandom(_NONCE_BYTES))
        ciphertext = self._cipher.encrypt(header.nonce, plaintext, msgspec.json.encode(header))
        return msgspec.json.encode(
            Envelope(header=header, ciphertext=ciphertext, checksum=_checksum(header, ciphertext))
        )

    def unseal(self, envelope: Envelope) -> bytes | None:
        """The plaintext, or None when it was not sealed with this key (or was altered since)."""
        if (envelope.header.salt, envelope.header.n) != (self.salt, self.work_factor):
            raise PassphraseChanged
        try:
            return self._cipher.decrypt(
                envelope.header.nonce, envelope.ciphertext, msgspec.json.encode(envelope.header)
            )
        except InvalidTag:
            return None


def parse(content: bytes) -> Envelope:
    """The file as an envelope, or VaultCorrupt. Cheap: no key is derived for a file that is not whole."""
    try:
        envelope = _READ.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        raise VaultCorrupt("not a complete vault file of a version known here") from trouble
    # Byte-equal to our own spelling, so repeated keys, blanks and loose base64 endings are all out.
    if msgspec.json.encode(envelope) != content:
        raise VaultCorrupt("not in canonical form")
    header = envelope.header
    if not is_work_factor(header.n):
        raise VaultCorrupt("key derivation cost out of bounds")
    if len(header.salt) != _SALT_BYTES or len(header.nonce) != _NONCE_BYTES:
        raise VaultCorrupt("salt or nonce of the wrong length")
    if envelope.checksum != _checksum(header, envelope.ciphertext):
        raise VaultCorrupt("checksum mismatch")
    return envelope


def is_work_factor(n: int) -> bool:
    """Whether scrypt may run at this cost: a power of two within bounds."""
    return WORK_FACTOR_MIN <= n <= WORK_FACTOR_MAX and n.bit_count() == 1


def _checksum(header: Header, ciphertext: bytes) -> bytes:
    return hashlib.sha256(msgspec.json.encode(header) + ciphertext).digest()


def _passphrase_bytes(passphrase: Secret) -> bytes:
    # NFC, as RFC 8265 asks: macOS and Linux keyboards spell the same "é" differently.
    return unicodedata.normalize("NFC", passphrase.reveal()).encode("utf-8", "surrogatepass")
