"""The public half of a bot's Ed25519 key pair, as a bot's owner hands it in. The private half never comes here."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from proxy.vault.errors import InvalidField

PEM_CHARACTERS_MAX = 1024
"""An Ed25519 public key takes 113 of them."""

_SHAPE = "an Ed25519 public key in PEM form (BEGIN PUBLIC KEY)"


def checked_public_key(pem: str) -> str:
    """The key in its one canonical spelling, or InvalidField."""
    if "PRIVATE KEY" in pem:
        raise InvalidField("public_key", f"{_SHAPE}; this is a private key, which belongs to the bot alone")
    if len(pem) > PEM_CHARACTERS_MAX or not pem.isascii():
        raise InvalidField("public_key", _SHAPE)
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidField("public_key", _SHAPE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidField("public_key", _SHAPE)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
