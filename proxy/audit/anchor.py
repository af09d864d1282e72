"""The anchor: the newest checkpoint, in a small file beside the archive.

A database cut short or replaced by an older copy is whole in itself; only something kept outside it can tell. The
anchor is replaced after every append, before the append is acknowledged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proxy.audit.checkpoint import BYTES_MAX, CheckpointDamaged, Sealed, TrustedKeys, unseal
from proxy.audit.findings import chain_name
from proxy.audit.place import ArchivePlace
from proxy.audit.reader import ArchiveReader
from proxy.disk import replace_file

_END: Final = b"\n"


class AnchorDamaged(Exception):
    """What is there was read, and is no anchor."""


class AnchorUnreadable(Exception):
    """The disk does not give the file: what is in it, nobody can say now."""


def read_anchor(path: Path) -> Sealed | None:
    """The anchor, or ``None`` when there is no such file. Raises ``AnchorDamaged`` or ``AnchorUnreadable``."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if not content.endswith(_END) or len(content) > BYTES_MAX:
            raise AnchorDamaged(f"{path} is damaged: it is cut short, or no anchor")
        return unseal(content.removesuffix(_END))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AnchorUnreadable(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    except CheckpointDamaged as error:
        raise AnchorDamaged(f"{path} is damaged: {error}") from error


def write_anchor(path: Path, sealed: Sealed) -> None:
    """Replace the anchor, whole or not at all, and wait for the disk. Raises ``OSError``."""
    replace_file(path, sealed.content + _END)


def anchor_mismatch(reader: ArchiveReader, anchor: Sealed, name: str = "the anchor") -> str:
    """Why ``anchor``, which is called ``name``, does not belong to this archive; empty when it does.

    Its signature is not looked at.
    """
    seen = anchor.checkpoint
    if seen.archive != reader.archive_id:
        return f"{name} belongs to another archive"
    head = reader.head()
    if seen.seq > head.seq:
        return f"{name} saw record {seen.seq}, the archive ends at {head.seq}: cut short or an older copy"
    for chain, at in anchor.heads.items():
        if head.heads.get(chain) != at and reader.hash_at(chain, at.place) != at.hash:
            return f"record {at.place} of {chain_name(chain)} is not the one that {name} saw"
    try:
        kept = reader.checkpoint(seen.kept)
    except CheckpointDamaged as damage:
        return f"checkpoint {seen.kept} is damaged: {damage}"
    if kept is None and seen.kept > 0:
        return f"checkpoint {seen.kept}, which {name} knows, is gone: cut short or an older copy"
    if kept is not None and kept.digest != seen.last:
        return f"checkpoint {seen.kept} is not the one that {name} knows"
    return ""


def why_not_ours(place: ArchivePlace, keys: TrustedKeys, anchor: Sealed) -> str:
    """Why an anchor that was found elsewhere is not of the archive in ``place`` as it is now; empty when it is.

    Raises ``ArchiveUnavailable`` when there is no telling.
    """
    try:
        anchor.check_signature(keys())
    except CheckpointDamaged as damage:
        return str(damage)
    with ArchiveReader.open(place) as reader:
        return anchor_mismatch(reader, anchor, "it")
