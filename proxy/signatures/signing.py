"""The envelope: a canonical document and an Ed25519 signature (RFC 8032) over it. It knows nothing of what is signed.

    {"certificate": {..., "issue": {..., "key_id": ...}}, "signature": 128 hexadecimal digits}

Signed is ``CONTEXT`` followed by the canonical bytes of the inner document, so that a signature over anything else that
this key may ever sign is no certificate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from proxy.signatures.canonical import NotCanonical, canonical, read_canonical
from proxy.vault.signing_keys import SigningKey, key_id

CONTEXT: Final = b"perpguard/certificate/1\0"
BYTES_MAX: Final = 32 * 2**20
"""A kill's two hundred rounds over a large book take a few of them."""

_PEM_BYTES_MAX: Final = 1024
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


class NotGenuine(Exception):
    """These bytes are not what the holder of the key signed. The message says what is wrong, in words of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A public key that the reader believes to be the guard's."""

    key_id: str
    public_key: Ed25519PublicKey


def trusted_key(pem: bytes) -> TrustedKey:
    """The key in a PEM file. Raises ``ValueError``."""
    if len(pem) > _PEM_BYTES_MAX:
        raise ValueError("not an Ed25519 public key in PEM form")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not an Ed25519 public key in PEM form") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key in PEM form")
    return TrustedKey(key_id=key_id(key), public_key=key)


def seal(document: Mapping[str, Any], key: SigningKey) -> bytes:
    """The file of a document, signed. Raises ``NotCanonical``, and ``NotGenuine`` for one nobody would read."""
    signature = key.sign(CONTEXT + canonical(dict(document))).hex()
    content = canonical({"certificate": dict(document), "signature": signature}) + b"\n"
    if len(content) > BYTES_MAX:
        raise NotGenuine(f"larger than {BYTES_MAX // 2**20} MiB")
    return content


def unseal(content: bytes, keys: Iterable[TrustedKey]) -> dict[str, Any]:
    """The document that one of these keys signed, in exactly these bytes. Raises ``NotGenuine``."""
    if len(content) > BYTES_MAX:
        raise NotGenuine(f"larger than {BYTES_MAX // 2**20} MiB")
    if not content.endswith(b"\n"):
        raise NotGenuine("cut short, or not a certificate")
    try:
        envelope = read_canonical(content[:-1])
    except NotCanonical as trouble:
        raise NotGenuine(str(trouble)) from trouble
    match envelope:
        case {"certificate": dict(document), "signature": str(signature), **rest} if not rest:
            _check_signature(document, signature, keys)
            return document
        case _:
            raise NotGenuine("not a certificate and its signature")


def _check_signature(document: dict[str, Any], signature: str, keys: Iterable[TrustedKey]) -> None:
    if _SIGNATURE.fullmatch(signature) is None:
        raise NotGenuine("the signature is not 128 hexadecimal digits")
    issue = document.get("issue")
    signer = issue.get("key_id") if isinstance(issue, dict) else None
    key = next((each for each in keys if each.key_id == signer), None)
    if key is None:
        raise NotGenuine("signed by a key that is not among those given")
    try:
        key.public_key.verify(bytes.fromhex(signature), CONTEXT + canonical(document))
    except InvalidSignature:
        raise NotGenuine("the signature does not fit: something was changed, or somebody else signed it") from None
