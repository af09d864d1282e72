"""One connection of the archive's writer, and what it knows of the archive while it lasts.

Nobody else writes, so heads and counts are read once and then kept; after any trouble the connection and all it knew
are given up together.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert, select

from proxy.audit.anchor import AnchorDamaged, anchor_mismatch, read_anchor
from proxy.audit.chain import Head, genesis, link
from proxy.audit.checkpoint import Checkpoint, CheckpointDamaged, Sealed, Signer, heads_in_hex, seal
from proxy.audit.engine import connect_writer, transaction
from proxy.audit.entry import Entry, conflicting, stored_entry
from proxy.audit.layout import revision, upgrade
from proxy.audit.locking import lock_database
from proxy.audit.place import ArchivePlace
from proxy.audit.reader import ArchiveReader, as_bytes
from proxy.audit.schema import ARCHIVE, CHECKPOINTS, JUDGEMENTS, PROGRESS, RECORDS
from proxy.store.codec import plain

CHECKPOINT_RECORDS_MAX: Final = 1_000
CHECKPOINT_AGE_MAX: Final = timedelta(seconds=60)
"""A checkpoint is kept in the archive at least so often, where there are new records."""

_IDENTITIES_AT_ONCE: Final = 500

_RECORD_COLUMNS: Final = tuple(column.name for column in RECORDS.c)
_JUDGEMENT_COLUMNS: Final = tuple(column.name for column in JUDGEMENTS.c)


class ArchiveTampered(Exception):
    """The archive is not the one its anchor saw. Nothing is appended to it: move it aside and keep it as evidence."""


class Writing:
    """The writer's connection. ``begin`` comes first."""

    def __init__(self, place: ArchivePlace, signer: Signer, now: Callable[[], datetime]) -> None:
        """Raises what the database raises."""
        if place.url is None:
            os.close(os.open(place.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._place = place
        self._signer = signer
        self._now = now
        self._connection = connect_writer(place)
        self.reader: ArchiveReader
        self.seq = 0
        self._heads: dict[str, Head] = {}
        self._kept, self._last = 0, ""
        self._kept_seq, self._kept_at = 0, now()

    def close(self) -> None:
        """Give the connection back, and with it the database's lock."""
        self._connection.close()

    def begin(self) -> Sealed | None:
        """Take the right to write, lay the tables out, learn how far the archive has come; its anchor.

        Raises ``ArchiveTampered`` for anything but what the anchor saw, ``ArchiveUnavailable``.
        """
        lock_database(self._connection, self._place)
        anchor_is_there = self._place.anchor.exists()
        with transaction(self._connection):
            empty = revision(self._connection) is None
            if empty and anchor_is_there:
                raise ArchiveTampered("the archive is gone while its anchor is there")
            upgrade(self._connection)
            if empty:
                first = {"only_row": 1, "id": uuid.uuid4().hex, "created_at": plain(self._now())}
                self._connection.execute(insert(ARCHIVE), first)
        self.reader = ArchiveReader(self._connection, self._place)
        head = self.reader.head()
        self.seq, self._heads = head.seq, head.heads
        try:
            anchor = read_anchor(self._place.anchor)
            newest = self.reader.last_checkpoint()
        except (AnchorDamaged, CheckpointDamaged) as error:
            raise ArchiveTampered(str(error)) from error
        if newest is not None:
            self._kept, self._last = newest[0], newest[1].digest
            self._kept_seq = newest[1].checkpoint.seq
        if anchor is None and self.seq > 0:
            raise ArchiveTampered("the anchor is gone while the archive holds records")
        if anchor is not None and (trouble := anchor_mismatch(self.reader, anchor)):
            raise ArchiveTampered(trouble)
        return anchor

    def write(self, entries: Sequence[Entry], progress: Mapping[str, str]) -> None:
        """Add what is not there yet, and how far its source was read, in one transaction."""
        seq, heads = self.seq, dict(self._heads)
        records: list[tuple[object, ...]] = []
        judgements: list[tuple[object, ...]] = []
        checkpoint: Sealed | None = None
        with transaction(self._connection):
            for entry in self._new(entries):
                seq += 1
                prev = heads.get(entry.chain) or genesis(self.reader.archive_id, entry.chain)
                head = heads[entry.chain] = link(prev, seq, entry.body)
                chain, *columns = entry.columns
                records.append((seq, chain, head.place, *columns, head.hash, entry.body))
                judgements += entry.judgement_rows(seq)
            self._insert(RECORDS, _RECORD_COLUMNS, records)
            self._insert(JUDGEMENTS, _JUDGEMENT_COLUMNS, judgements)
            for source, position in progress.items():
                self._connection.execute(delete(PROGRESS).where(PROGRESS.c.source == source))
                self._connection.execute(insert(PROGRESS), {"source": source, "position": position})
            if seq > self._kept_seq and self._is_due(seq):
                checkpoint = self._keep(seq, heads)
        self.seq, self._heads = seq, heads
        self._note(checkpoint)

    def keep_checkpoint(self) -> bool:
        """Keep a checkpoint of what has come since the last one; whether anything had."""
        if self.seq == self._kept_seq:
            return False
        with transaction(self._connection):
            checkpoint = self._keep(self.seq, self._heads)
        self._note(checkpoint)
        return True

    def checkpoint(self) -> Sealed:
        """A signed checkpoint of the archive as it is."""
        return self._sealed(self.seq, self._heads)

    def _new(self, entries: Sequence[Entry]) -> Iterable[Entry]:
        """What is not archived yet; a different record under a known identity as a conflict."""
        known = self._substances(entries)
        for arrived in entries:
            entry = arrived
            held = known.get((entry.kind, entry.identity))
            if held is not None:
                if held == entry.substance:
                    continue
                entry = conflicting(entry)
                if (entry.kind, entry.identity) in known or self.reader.has(entry.kind, entry.identity):
                    continue
            known[entry.kind, entry.identity] = entry.substance
            yield entry

    def _substances(self, entries: Sequence[Entry]) -> dict[tuple[str, str], bytes]:
        """What is archived under the identities of ``entries``."""
        wanted = {(entry.kind, entry.identity) for entry in entries}
        identities = sorted({identity for _, identity in wanted})
        known: dict[tuple[str, str], bytes] = {}
        for first in range(0, len(identities), _IDENTITIES_AT_ONCE):
            chunk = identities[first : first + _IDENTITIES_AT_ONCE]
            question = select(RECORDS.c.kind, RECORDS.c.identity, RECORDS.c.body).where(RECORDS.c.identity.in_(chunk))
            for kind, identity, body in self.reader.rows(question):
                if (kind, identity) in wanted:
                    known[kind, identity] = _substance(as_bytes(body))
        return known

    def _insert(self, table: Any, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])

    def _is_due(self, seq: int) -> bool:
        return seq - self._kept_seq >= CHECKPOINT_RECORDS_MAX or self._now() - self._kept_at >= CHECKPOINT_AGE_MAX

    def _keep(self, seq: int, heads: Mapping[str, Head]) -> Sealed:
        sealed = self._sealed(seq, heads)
        row = {"number": self._kept + 1, "seq": seq, "content": sealed.content}
        self._connection.execute(insert(CHECKPOINTS), row)
        return sealed

    def _note(self, kept: Sealed | None) -> None:
        if kept is not None:
            self._kept, self._last = self._kept + 1, kept.digest
            self._kept_seq, self._kept_at = kept.checkpoint.seq, self._now()

    def _sealed(self, seq: int, heads: Mapping[str, Head]) -> Sealed:
        checkpoint = Checkpoint(
            archive=self.reader.archive_id,
            seq=seq,
            at=plain(self._now()),
            heads=heads_in_hex(heads),
            kept=self._kept,
            last=self._last,
        )
        return seal(checkpoint, self._signer())


def _substance(body: bytes) -> bytes:
    try:
        return stored_entry(body).substance
    except (msgspec.MsgspecError, ValueError):
        return body  # A damaged record: what arrives differs from it, and is kept beside it.
