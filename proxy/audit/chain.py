"""The arithmetic of the hash chains. Pure: no file, no clock, no database.

Every account has a chain of its own; what belongs to no account is in the desk's, whose name is empty. A record's hash
covers its sequence in the archive, its place in its chain, its bytes and the hash before it in that chain: the last
hash of a chain stands for all of it, and no record can move within its chain, to another one, or to another archive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

# Each use of the hash has its own prefix, so that no record can be built whose hash reads as a genesis or a root.
_GENESIS: Final = b"perpguard/audit/2/genesis\0"
_RECORD: Final = b"perpguard/audit/2/record\0"
_ROOT: Final = b"perpguard/audit/2/root\0"

DESK: Final = ""
"""The chain of records that belong to no account."""


class Head(NamedTuple):
    """The end of a chain: how many records it has, and the hash of the last; the genesis hash when there is none."""

    place: int
    hash: bytes


def genesis(archive_id: str, chain: str) -> Head:
    """The head before the first record of a chain."""
    return Head(0, hashlib.sha256(_GENESIS + archive_id.encode() + b"\0" + chain.encode()).digest())


def link(prev: Head, seq: int, body: bytes) -> Head:
    """The head of the chain that ended in ``prev``, after record ``seq`` of the archive, whose bytes are ``body``."""
    place = prev.place + 1
    where = seq.to_bytes(8, "big") + place.to_bytes(8, "big")
    return Head(place, hashlib.sha256(_RECORD + where + prev.hash + body).digest())


def root(archive_id: str, seq: int, heads: Mapping[str, Head]) -> bytes:
    """One hash that stands for the whole archive as it is after record ``seq``: it covers every chain's head."""
    digest = hashlib.sha256(_ROOT + archive_id.encode() + b"\0" + seq.to_bytes(8, "big"))
    for chain in sorted(heads):
        # Names are of any characters, so each is told by its own hash.
        name = hashlib.sha256(chain.encode()).digest()
        digest.update(name + heads[chain].place.to_bytes(8, "big") + heads[chain].hash)
    return digest.digest()
