"""The archive as one text file that stands alone: a header, then records with their places in their chains.

A record's bytes are embedded as they were hashed, so a reader needs nothing but SHA-256 and a JSON parser. Of a part of
the archive (some time, an account, some kinds) every record is proved as genuine as the hash before it, which stands
beside it; only of a whole one can a reader tell that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from proxy.audit.chain import Head, genesis, link, root
from proxy.audit.reader import ArchiveReader, as_bytes
from proxy.audit.selection import Selection
from proxy.decoding import decoder

FORMAT: Final = "perpguard-audit-export/2"
_LINE_BYTES_MAX: Final = 256 * 1024 * 1024
_LINE: Final = msgspec.json.Encoder()


class ExportBroken(Exception):
    """The export is not what was written. ``seq`` is the first record that is wrong, ``None`` for the header."""

    def __init__(self, seq: int | None, problem: str) -> None:
        super().__init__(problem)
        self.seq = seq


class ExportHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: which archive, how many records follow, and of a whole export the hash of all chains' heads."""

    format: str
    archive: str
    records: int
    head: str | None


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
        head = archive.head().hash.hex() if chosen.whole else None
        output.write(_LINE.encode(ExportHeader(FORMAT, archive.archive_id, count, head)) + b"\n")
        heads: dict[str, Head] = {}
        for seq, chain, place, digest, body in archive.stream(chosen.records(archive)):
            prev = heads.get(chain)
            if prev is None or prev.place != place - 1:
                prev = Head(place - 1, archive.hash_at(chain, place - 1) or b"")
            line = _Line(seq, chain, place, prev.hash.hex(), as_bytes(digest).hex(), msgspec.Raw(as_bytes(body)))
            output.write(_LINE.encode(line) + b"\n")
            heads[chain] = Head(place, digest)
    return count


def read_export(source: BinaryIO) -> Iterator[ExportedRecord]:
    """Every record, verified as it is read. Raises ``ExportBroken``, for a cut tail only at the end."""
    header = _header(source)
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


def read_line(source: BinaryIO, offset: int) -> bytes:
    """The bytes of the record whose line begins at ``offset``, as ``read_export`` gave it."""
    source.seek(offset)
    return bytes(_READ_LINE.decode(source.readline(_LINE_BYTES_MAX)).record)


def _header(source: BinaryIO) -> ExportHeader:
    try:
        header = _READ_HEADER.decode(source.readline(_LINE_BYTES_MAX))
    except (msgspec.MsgspecError, ValueError) as error:
        raise ExportBroken(None, f"the first line is no export header: {error}") from error
    if header.format != FORMAT:
        raise ExportBroken(None, "the header is not one of this format")
    return header
