"""The anchor: the newest checkpoint, in a small file beside the archive.

A database cut short or replaced by an older copy is whole in itself; only something kept outside it can tell. The
anchor is replaced after every append, before the append is acknowledged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proxy.audit.checkpoint import BYTES_MAX, CheckpointDamaged, Sealed, unseal
from proxy.audit.reader import ArchiveReader
from proxy.disk import replace_file

_END: Final = b"\n"


class AnchorDamaged(Exception):
    """The anchor is there but cannot be read."""


def read_anchor(path: Path) -> Sealed | None:
    """The anchor, or ``None`` when there is no such file. Raises ``AnchorDamaged``."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if not content.endswith(_END) or len(content) > BYTES_MAX:
            raise AnchorDamaged(f"{path} is damaged: it is cut short, or no anchor")
        return unseal(content.removesuffix(_END))
    except FileNotFoundError:
        return None
    except (OSError, CheckpointDamaged) as error:
        raise AnchorDamaged(f"{path} is damaged: {error}") from error


def write_anchor(path: Path, sealed: Sealed) -> None:
    """Replace the anchor, whole or not at all, and wait for the disk. Raises ``OSError``."""
    replace_file(path, sealed.content + _END)


def anchor_mismatch(reader: ArchiveReader, anchor: Sealed) -> str:
    """Why ``anchor`` does not belong to this archive; empty when it does."""
    seen = anchor.checkpoint
    if seen.archive != reader.archive_id:
        return "the anchor belongs to another archive"
    head = reader.head()
    if seen.seq > head.seq:
        return f"the anchor saw record {seen.seq}, the archive ends at {head.seq}: cut short or an older copy"
    for chain, at in anchor.heads.items():
        if reader.hash_at(chain, at.place) != at.hash:
            name = f"the chain of {chain}" if chain else "the desk's chain"
            return f"record {at.place} of {name} is not the one the anchor saw"
    return ""
