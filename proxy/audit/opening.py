"""What a writer finds when it opens an archive, held against everything that was signed.

The guard signs whatever it goes on with, so it must not go on with anything else: hashes alone prove nothing, for
anybody can work them out. Only ends are compared here; that every record leads up to them is what ``verify`` looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.audit.anchor import AnchorDamaged, AnchorUnreadable, anchor_mismatch, read_anchor
from proxy.audit.checkpoint import SEALED_LAYOUT, CheckpointDamaged, Sealed, TrustedKeys, UnknownKey
from proxy.audit.place import ArchivePlace, ArchiveTampered, ArchiveUnavailable
from proxy.audit.reader import ArchiveHead, ArchiveReader
from proxy.signatures.signing import TrustedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An archive as it was found. ``kept`` is the newest checkpoint with its number.

    Without ``seal`` it is new, or of before there were seals; ``signed`` is the last record that a signature covers.
    """

    head: ArchiveHead
    anchor: Sealed | None
    kept: tuple[int, Sealed] | None
    seal: Sealed | None
    signed: int


def look(reader: ArchiveReader, place: ArchivePlace, keys: TrustedKeys) -> Found:
    """What is there. Raises ``ArchiveTampered`` for anything but what was written and signed with one of ``keys``, and
    ``ArchiveUnavailable`` while there is no telling."""
    head = reader.head()
    try:
        anchor, kept, seal = read_anchor(place.anchor), reader.last_checkpoint(), reader.seal()
    except (AnchorDamaged, CheckpointDamaged) as damage:
        raise ArchiveTampered(str(damage)) from damage
    except AnchorUnreadable as trouble:
        raise ArchiveUnavailable(str(trouble)) from trouble
    if anchor is None and head.seq > 0:
        raise ArchiveTampered("the anchor is gone while the archive holds records")
    named = {"the anchor": anchor, "the newest checkpoint": kept[1] if kept is not None else None, "the seal": seal}
    signed = {name: each for name, each in named.items() if each is not None}
    if signed:
        trusted = keys()
        for name, each in signed.items():
            _check(reader, name, each, trusted)
    if seal is None and any(each.checkpoint.layout >= SEALED_LAYOUT for each in signed.values()):
        raise ArchiveTampered("the seal is gone")
    if seal is not None:
        _check_seal(head, kept, seal)
    return Found(
        head=head,
        anchor=anchor,
        kept=kept,
        seal=seal,
        signed=max((each.checkpoint.seq for each in signed.values()), default=0),
    )


def _check(reader: ArchiveReader, name: str, signed: Sealed, keys: Sequence[TrustedKey]) -> None:
    try:
        signed.check_signature(keys)
    except UnknownKey as unknown:
        raise ArchiveTampered(
            f"{name} is {unknown}: somebody else wrote it, or the vault is another than the one it was written with"
        ) from unknown
    except CheckpointDamaged as damage:
        raise ArchiveTampered(f"{name}: {damage}") from damage
    if trouble := anchor_mismatch(reader, signed, name):
        raise ArchiveTampered(trouble)


def _check_seal(head: ArchiveHead, kept: tuple[int, Sealed] | None, seal: Sealed) -> None:
    """The seal covers the archive to its end, its newest checkpoint included."""
    if seal.checkpoint.seq < head.seq:
        raise ArchiveTampered(f"no signature covers the records {seal.checkpoint.seq + 1} to {head.seq}")
    if seal.heads != head.heads:
        raise ArchiveTampered("the chains do not end as the seal says")
    if seal.checkpoint.kept != (kept[0] if kept is not None else 0):
        raise ArchiveTampered("there is a checkpoint that the seal does not know")
