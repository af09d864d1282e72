"""Checkpoints: signed statements of how far every chain had come. The newest one, kept elsewhere, is an anchor.

    {"checkpoint": {"archive": ..., "seq": ..., "heads": ...}, "key_id": ..., "signature": 128 hexadecimal digits}

The guard signs with the key it signs certificates with (Ed25519, RFC 8032), under a prefix of its own. Whoever has the
public key can check one with nothing else. A checkpoint says every chain's head, so none can be cut short or taken back
alone, and how many checkpoints the archive held before it, so none of those can go missing. The one that covers the
last record is the archive's seal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature

from proxy.audit.chain import Head
from proxy.decoding import decoder
from proxy.signatures.signing import TrustedKey
from proxy.store.codec import dump
from proxy.vault.signing_keys import SigningKey

CONTEXT: Final = b"perpguard/audit/checkpoint/1\0"
BYTES_MAX: Final = 4 * 2**20
"""Ten thousand chains take one of them."""

Signer = Callable[[], SigningKey]
"""Gives the key to sign with now. May raise ``OSError`` or ``VaultError``."""

TrustedKeys = Callable[[], Sequence[TrustedKey]]
"""Gives the public halves of every key that may have signed: the one in use, and those that were replaced."""

SEALED_LAYOUT: Final = 2
"""Of an archive that keeps a seal: from the first statement that says so, a missing seal was taken away."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{32}")
_Count = Annotated[int, msgspec.Meta(ge=0)]


class CheckpointDamaged(Exception):
    """These bytes are no checkpoint, or not one that a trusted key signed."""


class UnknownKey(CheckpointDamaged):
    """Somebody signed it with a key that is not among those given; the message names it."""


class ChainHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chain's head as it is written: the hash in hexadecimal."""

    place: _Count
    hash: str


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How far an archive had come. ``at`` is RFC 3339; ``seq`` its last record; ``heads`` by chain.

    ``kept`` is how many checkpoints the archive held before this one, ``last`` the digest of the newest of them.
    ``layout`` stands in those of archives that keep a seal; older ones do not say it.
    """

    archive: str
    seq: _Count
    at: str
    heads: Mapping[str, ChainHead]
    kept: _Count
    last: str
    layout: int = 1


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    checkpoint: Checkpoint
    key_id: str
    signature: str


_READ: Final = decoder(_File)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A checkpoint with its signature, and the bytes it was read from or is written as."""

    checkpoint: Checkpoint
    key_id: str
    signature: bytes
    content: bytes

    @property
    def digest(self) -> str:
        """Names exactly these bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def heads(self) -> dict[str, Head]:
        """The heads, to compare."""
        return {chain: Head(head.place, bytes.fromhex(head.hash)) for chain, head in self.checkpoint.heads.items()}

    def check_signature(self, keys: Iterable[TrustedKey]) -> None:
        """Raises ``UnknownKey`` or ``CheckpointDamaged`` unless one of ``keys`` signed it."""
        key = next((each for each in keys if each.key_id == self.key_id), None)
        if key is None:
            raise UnknownKey(f"signed by the key {self.key_id}, which is not among those given")
        try:
            key.public_key.verify(self.signature, CONTEXT + dump(self.checkpoint))
        except InvalidSignature:
            raise CheckpointDamaged("the signature does not fit") from None


def heads_in_hex(heads: Mapping[str, Head]) -> dict[str, ChainHead]:
    """Heads as a checkpoint writes them."""
    return {chain: ChainHead(head.place, head.hash.hex()) for chain, head in heads.items()}


def seal(checkpoint: Checkpoint, key: SigningKey) -> Sealed:
    """``checkpoint`` signed with ``key``. Raises ``SigningKeyRetired``."""
    signature = key.sign(CONTEXT + dump(checkpoint))
    content = dump(_File(checkpoint=checkpoint, key_id=key.key_id, signature=signature.hex()))
    return Sealed(checkpoint=checkpoint, key_id=key.key_id, signature=signature, content=content)


def unseal(content: bytes) -> Sealed:
    """The checkpoint in exactly these bytes, its signature not checked yet. Raises ``CheckpointDamaged``."""
    try:
        found = _READ.decode(content)
        sealed = Sealed(
            checkpoint=found.checkpoint,
            key_id=found.key_id,
            signature=bytes.fromhex(found.signature),
            content=content,
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise CheckpointDamaged(f"no checkpoint: {type(error).__name__}") from error
    # One spelling only: a changed byte that reads the same is a change all the same.
    hashes = [head.hash for head in found.checkpoint.heads.values()]
    spelled = [*map(_HEX.fullmatch, hashes), _KEY_ID.fullmatch(found.key_id)]
    if dump(found) != content or sealed.signature.hex() != found.signature or not all(spelled):
        raise CheckpointDamaged("not as the guard writes a checkpoint")
    return sealed
