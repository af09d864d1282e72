"""Is this archive the one that was written? Every record is hashed again and every column derived again.

The anchor is read before the archive: the writer commits first and anchors second, so an honest archive is never
behind an anchor read earlier.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from proxy.audit.anchor import AnchorDamaged, anchor_mismatch, anchor_path, read_anchor
from proxy.audit.chain import CHECKPOINT_EVERY, Checkpoint, link
from proxy.audit.entry import stored_entry
from proxy.audit.query import counts
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable
from proxy.audit.schema import schema_differences


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What verify found. ``first_bad`` is the first sequence that is not as written, where one can be named.

    ``counts`` are the records of each kind; conflicts and unreadable ones are honest content, but worth a look.
    """

    ok: bool
    records: int
    head_hash: str
    first_bad: int | None = None
    problem: str = ""
    counts: dict[str, int]


class _Broken(Exception):
    def __init__(self, seq: int | None, problem: str) -> None:
        super().__init__(problem)
        self.seq = seq


def verify(path: Path, anchor_file: Path | None = None) -> VerifyReport:
    """Check the archive in ``path`` against itself and its anchor, or against a copy of the anchor kept elsewhere.

    Raises ``ArchiveUnavailable`` only when there is no such file; anything else unreadable is a finding.
    """
    if not path.is_file():
        raise ArchiveUnavailable(f"there is no archive at {path}")
    try:
        anchor = read_anchor(anchor_file or anchor_path(path))
        with ArchiveReader.open(path) as archive, archive.standing_still():
            return _verified(archive, anchor)
    except (ArchiveUnavailable, AnchorDamaged, sqlite3.Error) as error:
        return VerifyReport(ok=False, records=0, head_hash="", problem=str(error), counts={})
    except (TypeError, ValueError, OverflowError) as error:
        # A damaged page can hold any type in any column, and text that Python cannot decode.
        problem = f"the database file is damaged: {type(error).__name__}: {error}"
        return VerifyReport(ok=False, records=0, head_hash="", problem=problem, counts={})


def _verified(archive: ArchiveReader, anchor: Checkpoint | None) -> VerifyReport:
    problem, first_bad = "", None
    try:
        _check_schema(archive)
        _check_records(archive)
        _check_checkpoints(archive)
        _check_anchor(archive, anchor)
        _check_pages(archive)
    except _Broken as broken:
        problem, first_bad = str(broken), broken.seq
    head = archive.head()
    return VerifyReport(
        ok=not problem,
        records=head.seq,
        head_hash=head.hash.hex(),
        first_bad=first_bad,
        problem=problem,
        counts=counts(archive),
    )


def _check_schema(archive: ArchiveReader) -> None:
    # A dropped trigger is a door left open; a view or changed index could show other rows than the chain holds.
    if differences := schema_differences(archive.connection):
        raise _Broken(None, f"the tables are not as they were laid out: {', '.join(differences)}")


def _check_records(archive: ArchiveReader) -> None:
    prev, expected = archive.genesis, 1
    judgements = _JudgementRows(archive.connection)
    rows = archive.connection.execute(
        "SELECT seq, body, hash, kind, identity, id, at_us, bot, account FROM records ORDER BY seq"
    )
    for seq, body, digest, *columns in rows:
        if seq != expected:
            raise _Broken(expected, f"record {expected} is missing")
        if not isinstance(body, bytes) or link(prev, seq, body) != digest:
            raise _Broken(seq, f"record {seq} was changed: its hash does not match")
        try:
            entry = stored_entry(body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _Broken(seq, f"record {seq} cannot be read: {error}") from error
        if columns != [entry.kind, entry.identity, entry.id, entry.at_us, entry.bot, entry.account]:
            raise _Broken(seq, f"the columns of record {seq} do not say what the record says")
        if judgements.of(seq) != entry.judgement_rows(seq):
            raise _Broken(seq, f"the judgement rows of record {seq} do not say what the record says")
        prev, expected = digest, seq + 1
    if (orphan := judgements.next_seq()) is not None:
        raise _Broken(orphan, f"there are judgement rows of a record {orphan} that does not exist")


class _JudgementRows:
    """The judgement rows read along with the records, in one pass."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._rows: Iterator[tuple[Any, ...]] = iter(
            connection.execute("SELECT * FROM judgements ORDER BY seq, item, place")
        )
        self._ahead = next(self._rows, None)

    def of(self, seq: int) -> list[tuple[Any, ...]]:
        """The rows up to ``seq``: those of records passed over count too, so that none hides."""
        found = []
        while self._ahead is not None and self._ahead[0] <= seq:
            found.append(self._ahead)
            self._ahead = next(self._rows, None)
        return found

    def next_seq(self) -> int | None:
        """The sequence of the next row, if there is one."""
        return None if self._ahead is None else int(self._ahead[0])


def _check_checkpoints(archive: ArchiveReader) -> None:
    head = archive.head()
    due = set(range(CHECKPOINT_EVERY, head.seq + 1, CHECKPOINT_EVERY))
    for seq, digest_of_chain, at, digest in archive.connection.execute("SELECT * FROM checkpoints ORDER BY seq"):
        point = Checkpoint(archive_id=archive.archive_id, seq=seq, hash=digest_of_chain, at=at)
        if point.digest != digest or archive.hash_at(seq) != digest_of_chain:
            raise _Broken(seq, f"the checkpoint at {seq} does not match the chain")
        due.discard(seq)
    if due:
        raise _Broken(min(due), f"the checkpoint at {min(due)} is missing")


def _check_anchor(archive: ArchiveReader, anchor: Checkpoint | None) -> None:
    if anchor is None:
        raise _Broken(None, "the anchor is missing, so a cut tail could not be seen")
    if trouble := anchor_mismatch(archive, anchor):
        seq = min(archive.head().seq + 1, anchor.seq) if anchor.archive_id == archive.archive_id else None
        raise _Broken(seq, trouble)


def _check_pages(archive: ArchiveReader) -> None:
    # Indexes are not hashed, but a damaged one hides rows from questions.
    (finding,) = archive.connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise _Broken(None, f"the database file is damaged: {finding}")
