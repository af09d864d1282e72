"""The anchor: a small file beside the archive that says how far the chain had come.

A database cut short or replaced by an older copy is whole in itself; only something kept outside it can tell. The
anchor is replaced after every append, before the append is acknowledged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from proxy.audit.chain import Checkpoint
from proxy.audit.reader import ArchiveReader
from proxy.disk import replace_file

_ANCHOR_BYTES_MAX: Final = 4096


class AnchorDamaged(Exception):
    """The anchor is there but cannot be read."""


class _AnchorFile(msgspec.Struct, forbid_unknown_fields=True):
    archive: str
    seq: int
    hash: str
    at: str
    digest: str


def anchor_path(database: Path) -> Path:
    """Where the anchor of ``database`` stands."""
    return database.with_name("audit.anchor")


def read_anchor(path: Path) -> Checkpoint | None:
    """The anchor, or ``None`` when there is no such file. Raises ``AnchorDamaged``."""
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(_ANCHOR_BYTES_MAX), type=_AnchorFile)
        checkpoint = Checkpoint(archive_id=found.archive, seq=found.seq, hash=bytes.fromhex(found.hash), at=found.at)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise AnchorDamaged(f"{path} cannot be read: {type(error).__name__}") from error
    if checkpoint.digest.hex() != found.digest:
        raise AnchorDamaged(f"{path} is damaged: its digest does not match")
    return checkpoint


def write_anchor(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the anchor, whole or not at all, and wait for the disk. Raises ``OSError``."""
    content = msgspec.json.encode(
        _AnchorFile(
            archive=checkpoint.archive_id,
            seq=checkpoint.seq,
            hash=checkpoint.hash.hex(),
            at=checkpoint.at,
            digest=checkpoint.digest.hex(),
        )
    )
    replace_file(path, content + b"\n")


def anchor_mismatch(reader: ArchiveReader, anchor: Checkpoint) -> str:
    """Why ``anchor`` does not belong to this archive; empty when it does."""
    if anchor.archive_id != reader.archive_id:
        return "the anchor belongs to another archive"
    head = reader.head()
    if anchor.seq > head.seq:
        return f"the anchor saw record {anchor.seq}, the archive ends at {head.seq}: cut short or an older copy"
    if reader.hash_at(anchor.seq) != anchor.hash:
        return f"record {anchor.seq} is not the one the anchor saw"
    return ""
