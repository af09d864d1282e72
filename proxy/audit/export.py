"""The archive as one text file that stands alone: a header, then records with their places in their chains.

A record's bytes are embedded as they were hashed, so a reader needs nothing but SHA-256, Ed25519 and a JSON parser. The
header of a whole export carries the archive's seal: with the guard's public key a reader can tell who wrote it and that
nothing is missing. Hashes alone show damage, not forgery; of a part of the archive (some time, an account, some kinds)
there is nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from proxy.audit.chain import Head, genesis, link, root
from proxy.audit.checkpoint import CheckpointDamaged, Sealed, unseal
from proxy.audit.place import ArchiveUnavailable
from proxy.audit.reader import ArchiveReader, as_bytes
from proxy.audit.selection import Selection
from proxy.decoding import decoder
from proxy.signatures.signing import TrustedKey

FORMAT: Final = "perpguard-audit-export/3"
UNSIGNED_FORMAT: Final = "perpguard-audit-export/2"
"""Of versions before the seal, and of archives that they wrote: no signature travels with it."""

_LINE_BYTES_MAX: Final = 256 * 1024 * 1024
_LINE: Final = msgspec.json.Encoder()


class ExportBroken(Exception):
    """The export is not what was written. ``seq`` is the first record that is wrong, ``None`` for the header."""

    def __init__(self, seq: int | None, problem: str) -> None:
        super().__init__(problem)
        self.seq = seq


_NO_SEAL: Final = msgspec.Raw(b"null")


class ExportHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first line: which archive, how many records follow, and of a whole export the hash of all chains' heads and
    the signed statement that covers them.
    """

    format: str
    archive: str
    records: int
    head: str | None
    seal: msgspec.Raw = _NO_SEAL

    @property
    def sealed(self) -> bool:
        """Whether a seal travels with it."""
        return self.seal != _NO_SEAL


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    chain: str
    place: int
    prev: str
    hash: str
    record: msgspec.Raw


_READ_HEADER: Final = decoder(ExportHeader)
_READ_LINE: Final = decoder(_Line)


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    """One verified record and the offset of its line in the file."""

    seq: int
    body: bytes
    offset: int


def write_export(archive: ArchiveReader, output: BinaryIO, selection: Selection | None = None) -> int:
    """Write what was selected, by default the whole archive as it stands; how many records that was."""
    chosen = selection or Selection()
    with archive.standing_still():
        count = chosen.count(archive)
        output.write(_LINE.encode(_header_of(archive, count, whole=chosen.whole)) + b"\n")
        heads: dict[str, Head] = {}
        for seq, chain, place, digest, body in archive.stream(chosen.records(archive)):
            prev = heads.get(chain)
            if prev is None or prev.place != place - 1:
                prev = Head(place - 1, archive.hash_at(chain, place - 1) or b"")
            line = _Line(seq, chain, place, prev.hash.hex(), as_bytes(digest).hex(), msgspec.Raw(as_bytes(body)))
            output.write(_LINE.encode(line) + b"\n")
            heads[chain] = Head(place, digest)
    return count


def read_header(source: BinaryIO) -> ExportHeader:
    """The first line. Raises ``ExportBroken``."""
    try:
        header = _READ_HEADER.decode(source.readline(_LINE_BYTES_MAX))
    except (msgspec.MsgspecError, ValueError) as error:
        raise ExportBroken(None, f"the first line is no export header: {error}") from error
    if header.format not in (FORMAT, UNSIGNED_FORMAT):
        raise ExportBroken(None, "the header is not one of this format")
    if header.sealed != (header.format == FORMAT and header.head is not None):
        raise ExportBroken(None, "the header has no seal, or one that does not belong there")
    return header


def read_export(source: BinaryIO, keys: Sequence[TrustedKey] = ()) -> Iterator[ExportedRecord]:
    """Every record, verified as it is read. With ``keys`` one of them must have signed the whole of it.

    Raises ``ExportBroken``, for a cut tail only at the end.
    """
    header = read_header(source)
    seal = _seal_in(header, keys)
    heads: dict[str, Head] = {}
    count, last = 0, 0
    offset = source.tell()
    while raw := source.readline(_LINE_BYTES_MAX):
        try:
            line = _READ_LINE.decode(raw)
            prev = Head(line.place - 1, bytes.fromhex(line.prev))
            body = bytes(line.record)
            head = link(prev, line.seq, body)
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            raise ExportBroken(last + 1, f"the line after record {last} cannot be read: {error}") from error
        known = heads.get(line.chain) or genesis(header.archive, line.chain)
        follows = known == prev or (header.head is None and known.place < prev.place)
        in_sequence = line.seq == last + 1 or (header.head is None and line.seq > last)
        if not follows or not in_sequence or head.hash.hex() != line.hash:
            missing = last + 1 if header.head is not None else line.seq
            raise ExportBroken(missing, f"record {missing} is missing, out of place or changed")
        yield ExportedRecord(line.seq, body, offset)
        heads[line.chain] = head
        count, last, offset = count + 1, line.seq, offset + len(raw)
    if count != header.records:
        raise ExportBroken(last + 1, f"the export ends after {count} records, its header says {header.records}")
    if header.head is not None and root(header.archive, last, heads).hex() != header.head:
        raise ExportBroken(None, "the header's hash is not the one of these records")
    if seal is not None and (seal.checkpoint.seq, seal.heads) != (last, heads):
        raise ExportBroken(None, f"what was signed is not what is here: it ended with record {seal.checkpoint.seq}")


def read_line(source: BinaryIO, offset: int) -> bytes:
    """The bytes of the record whose line begins at ``offset``, as ``read_export`` gave it."""
    source.seek(offset)
    return bytes(_READ_LINE.decode(source.readline(_LINE_BYTES_MAX)).record)


def _header_of(archive: ArchiveReader, count: int, *, whole: bool) -> ExportHeader:
    if not whole:
        return ExportHeader(FORMAT, archive.archive_id, count, None)
    try:
        seal = archive.seal()
    except CheckpointDamaged as damage:
        raise ArchiveUnavailable(f"the archive's seal is damaged, ask `perpguard audit verify`: {damage}") from damage
    head = archive.head().hash.hex()
    if seal is None:
        return ExportHeader(UNSIGNED_FORMAT, archive.archive_id, count, head)
    return ExportHeader(FORMAT, archive.archive_id, count, head, msgspec.Raw(seal.content))


def _seal_in(header: ExportHeader, keys: Sequence[TrustedKey]) -> Sealed | None:
    """The seal, its signature checked where there are ``keys``."""
    if not header.sealed:
        if keys:
            raise ExportBroken(None, f"no key can prove this export: {why_unproven(header)}")
        return None
    try:
        seal = unseal(bytes(header.seal))
        if keys:
            seal.check_signature(keys)
    except CheckpointDamaged as damage:
        raise ExportBroken(None, f"the header's seal: {damage}") from damage
    if seal.checkpoint.archive != header.archive:
        raise ExportBroken(None, "the header's seal is of another archive")
    return seal


def signer_of(header: ExportHeader) -> str:
    """The key that a whole export says it is signed with; empty where there is no seal. Raises ``ExportBroken``."""
    sealed = _seal_in(header, ())
    return sealed.key_id if sealed is not None else ""


def why_unproven(header: ExportHeader) -> str:
    """Why nothing proves who wrote an export, whatever keys there are; empty when its seal can."""
    if header.head is None:
        return "it is a part of an archive, and signatures cover whole ones"
    return "" if header.sealed else "no signature travels with it; an older version wrote it, or it was taken out"
