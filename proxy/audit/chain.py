"""The arithmetic of the hash chain. Pure: no file, no clock, no database.

Every record's hash covers its sequence number, its bytes and the hash before it, so the last hash stands for all of
them in their order. Plain SHA-256 shows what was changed against a head that is known from elsewhere; it does not
stop someone who may rewrite every place the head is kept. That is what copies of the anchor on other machines are for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

# Each use of the hash has its own prefix, so that no record can be built whose hash reads as a genesis or checkpoint.
_GENESIS: Final = b"perpguard/audit/1/genesis\0"
_RECORD: Final = b"perpguard/audit/1/record\0"
_CHECKPOINT: Final = b"perpguard/audit/1/checkpoint\0"

CHECKPOINT_EVERY: Final = 1_000
"""Records between two checkpoints: a date on the chain at least this often."""


def genesis(archive_id: str) -> bytes:
    """The hash before the first record. Each archive has its own, so records cannot move between archives."""
    return hashlib.sha256(_GENESIS + archive_id.encode()).digest()


def link(prev: bytes, seq: int, canonical: bytes) -> bytes:
    """The hash of record ``seq`` whose bytes are ``canonical`` and whose predecessor hashes to ``prev``."""
    return hashlib.sha256(_RECORD + seq.to_bytes(8, "big") + prev + canonical).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where the chain stood at a time. ``at`` is RFC 3339."""

    archive_id: str
    seq: int
    hash: bytes
    at: str

    @property
    def digest(self) -> bytes:
        """Covers every field: a damaged checkpoint is told from a chain that does not match it."""
        content = f"{self.archive_id}\0{self.seq}\0{self.hash.hex()}\0{self.at}"
        return hashlib.sha256(_CHECKPOINT + content.encode()).digest()
