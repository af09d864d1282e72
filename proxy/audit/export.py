"""The archive as one text file that stands alone: a header, then every record with its place in the chain.

The record's bytes are embedded as they were hashed, so a reader needs nothing but SHA-256 and a JSON parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from proxy.audit.chain import genesis, link
from proxy.audit.reader import ArchiveReader

FORMAT: Final = "perpguard-audit-export/1"
_LINE_BYTES_MAX: Final = 256 * 1024 * 1024


class ExportBroken(Exception):
    """The export is not what was written. ``seq`` is the first record that is wrong, ``None`` for the header."""

    def __init__(self, seq: int | None, problem: str) -> None:
        super().__init__(problem)
        self.seq = seq


class ExportHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: which archive, and where its chain begins and ends."""

    format: str
    archive: str
    genesis: str
    records: int
    head: str


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    prev: str
    hash: str
    record: msgspec.Raw


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    """One verified record and the offset of its line in the file."""

    seq: int
    body: bytes
    offset: int


def write_export(archive: ArchiveReader, output: BinaryIO) -> int:
    """Write the whole archive as it stands; how many records that was."""
    with archive.standing_still():
        head = archive.head()
        prev = archive.genesis
        header = ExportHeader(FORMAT, archive.archive_id, prev.hex(), head.seq, head.hash.hex())
        output.write(msgspec.json.encode(header) + b"\n")
        for record in archive.chained():
            line = _Line(record.seq, prev.hex(), record.hash.hex(), msgspec.Raw(record.body))
            output.write(msgspec.json.encode(line) + b"\n")
            prev = record.hash
    return head.seq


def read_export(source: BinaryIO) -> Iterator[ExportedRecord]:
    """Every record, verified as it is read. Raises ``ExportBroken``, for a cut tail only at the end."""
    header = _header(source)
    decoder = msgspec.json.Decoder(_Line)
    prev, seq = genesis(header.archive), 0
    offset = source.tell()
    while raw := source.readline(_LINE_BYTES_MAX):
        seq += 1
        try:
            line = decoder.decode(raw)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ExportBroken(seq, f"line of record {seq} cannot be read: {error}") from error
        body = bytes(line.record)
        chained = link(prev, seq, body)
        if (line.seq, line.prev, line.hash) != (seq, prev.hex(), chained.hex()):
            raise ExportBroken(seq, f"record {seq} is missing, out of place or changed")
        yield ExportedRecord(seq, body, offset)
        prev, offset = chained, offset + len(raw)
    if (seq, prev.hex()) != (header.records, header.head):
        raise ExportBroken(seq + 1, f"the export ends at record {seq}, its header says {header.records}")


def read_line(source: BinaryIO, offset: int) -> bytes:
    """The bytes of the record whose line begins at ``offset``, as ``read_export`` gave it."""
    source.seek(offset)
    return bytes(msgspec.json.decode(source.readline(_LINE_BYTES_MAX), type=_Line).record)


def _header(source: BinaryIO) -> ExportHeader:
    try:
        header = msgspec.json.decode(source.readline(_LINE_BYTES_MAX), type=ExportHeader)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ExportBroken(None, f"the first line is no export header: {error}") from error
    if header.format != FORMAT or header.genesis != genesis(header.archive).hex():
        raise ExportBroken(None, "the header is not one of this format")
    return header
