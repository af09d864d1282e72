"""One connection of the archive's writer, and what it knows of the archive while it lasts.

Nobody else writes, so heads and counts are read once and then kept; after any trouble the connection and all it knew
are given up together.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import TableClause, delete, insert, select, update

from proxy.audit.chain import Head, genesis, link
from proxy.audit.checkpoint import SEALED_LAYOUT, Checkpoint, Sealed, Signer, TrustedKeys, heads_in_hex, seal
from proxy.audit.engine import connect_writer, transaction
from proxy.audit.entry import Entry, admit, conflicting, stored_entry
from proxy.audit.layout import revision, upgrade
from proxy.audit.locking import lock_database
from proxy.audit.opening import Found, look
from proxy.audit.place import ArchivePlace, ArchiveTampered
from proxy.audit.reader import ArchiveReader, as_bytes
from proxy.audit.schema import ARCHIVE, CHECKPOINTS, JUDGEMENTS, PROGRESS, RECORDS, SEAL
from proxy.store.codec import plain

log = logging.getLogger("perpguard.audit")

CHECKPOINT_RECORDS_MAX: Final = 1_000
CHECKPOINT_AGE_MAX: Final = timedelta(seconds=60)
"""A checkpoint is kept in the archive at least so often, where there are new records."""

_IDENTITIES_AT_ONCE: Final = 500


class Writing:
    """The writer's connection. ``begin`` comes first."""

    seal: Sealed
    """The signed statement that covers the last record, as it stands in the archive."""

    first_sealed: Mapping[str, Any] | None = None
    """What ``begin`` found without a seal and sealed: how many records, and how many of them were signed."""

    def __init__(self, place: ArchivePlace, signer: Signer, keys: TrustedKeys, now: Callable[[], datetime]) -> None:
        """Raises what the database raises."""
        if place.url is None:
            os.close(os.open(place.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._place = place
        self._signer = signer
        self._keys = keys
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

        Raises ``ArchiveTampered`` for anything but what this guard wrote and signed, and leaves that as it is;
        ``ArchiveUnavailable``.
        """
        lock_database(self._connection, self._place)
        anchor_is_there = self._place.anchor.exists()
        try:
            with transaction(self._connection):
                found = self._begin(anchor_is_there)
        except ArchiveTampered as tampered:
            if self._place.url is None:
                raise
            # Whoever goes on with a new archive has to name another schema than this one.
            schema = self._connection.exec_driver_sql("SELECT current_schema()").scalar_one()
            raise ArchiveTampered(f"{tampered} (in the schema {schema} of {self._place})") from tampered
        return found.anchor

    def write(self, entries: Sequence[Entry], progress: Mapping[str, str]) -> None:
        """Add what is not there yet, sealed, and how far its source was read, in one transaction."""
        with transaction(self._connection):
            seq, heads = self._add(entries)
            for source, position in progress.items():
                self._connection.execute(delete(PROGRESS).where(PROGRESS.c.source == source))
                self._connection.execute(insert(PROGRESS), {"source": source, "position": position})
            kept = self._keep(seq, heads) if seq > self._kept_seq and self._is_due(seq) else None
            sealed = self._seal(seq, heads, kept) if seq > self.seq or kept is not None else self.seal
        self.seq, self._heads, self.seal = seq, heads, sealed
        self._note(kept)

    def keep_checkpoint(self) -> None:
        """Keep a checkpoint of what has come since the last one, if anything has."""
        if self.seq == self._kept_seq:
            return
        with transaction(self._connection):
            kept = self._keep(self.seq, self._heads)
            sealed = self._seal(self.seq, self._heads, kept)
        self.seal = sealed
        self._note(kept)

    def _begin(self, anchor_is_there: bool) -> Found:
        empty = revision(self._connection) is None
        if empty and anchor_is_there:
            raise ArchiveTampered("the archive is gone while its anchor is there")
        upgrade(self._connection)
        if empty:
            first = {"only_row": 1, "id": uuid.uuid4().hex, "created_at": plain(self._now())}
            self._connection.execute(insert(ARCHIVE), first)
        self.reader = ArchiveReader(self._connection, self._place)
        found = look(self.reader, self._place, self._keys)
        self.seq, self._heads = found.head.seq, found.head.heads
        if found.kept is not None:
            self._kept, checkpoint = found.kept
            self._last, self._kept_seq = checkpoint.digest, checkpoint.checkpoint.seq
        if found.seal is not None:
            self.seal = found.seal
        else:
            self._seal_first(found)
        return found

    def _seal_first(self, found: Found) -> None:
        """Seal an archive that is new, or looks as if it were of before there were seals.

        Its records are taken as they are, signed or not, and it always says so: whoever cuts one that was sealed back
        to its last checkpoint of before is seen by the second time it is said.
        """
        seq, heads = self.seq, self._heads
        if seq > 0 or found.anchor is not None:
            if seq > found.signed:
                unsigned = (found.signed + 1, seq)
                log.warning("no signature covers the records %d to %d of the archive, which is sealed now", *unsigned)
            else:
                log.warning("the archive had no seal and is sealed now: %d records, all of them signed", seq)
            self.first_sealed = {"records": seq, "signed": found.signed, "unsigned": seq - found.signed}
            told = {
                "kind": "event",
                "id": uuid.uuid4().hex,
                "at": plain(self._now()),
                "desk": "",
                "what": "audit.sealed",
                "by": "warden",
                "detail": self.first_sealed,
            }
            seq, heads = self._add([admit(told, self._now())])
        sealed = self._seal(seq, heads, None)
        self.seq, self._heads, self.seal = seq, heads, sealed

    def _add(self, entries: Sequence[Entry]) -> tuple[int, dict[str, Head]]:
        """Insert what is not there yet; the last sequence and the heads after it."""
        seq, heads = self.seq, dict(self._heads)
        records: list[tuple[object, ...]] = []
        judgements: list[tuple[object, ...]] = []
        for entry in self._new(entries):
            seq += 1
            prev = heads.get(entry.chain) or genesis(self.reader.archive_id, entry.chain)
            head = heads[entry.chain] = link(prev, seq, entry.body)
            chain, *columns = entry.columns
            records.append((seq, chain, head.place, *columns, head.hash, entry.body))
            judgements += entry.judgement_rows(seq)
        self._insert(RECORDS, records)
        self._insert(JUDGEMENTS, judgements)
        return seq, heads

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

    def _insert(self, table: TableClause, rows: Sequence[tuple[object, ...]]) -> None:
        """Rows of all columns in their order, past SQLAlchemy, which would look each up by its column's name."""
        if rows:
            names = [column.name for column in table.c]
            mark = "?" if self._connection.dialect.name == "sqlite" else "%s"
            places = ", ".join(mark for _ in names)
            statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - our own names
            self._connection.exec_driver_sql(statement, rows)

    def _is_due(self, seq: int) -> bool:
        return seq - self._kept_seq >= CHECKPOINT_RECORDS_MAX or self._now() - self._kept_at >= CHECKPOINT_AGE_MAX

    def _keep(self, seq: int, heads: Mapping[str, Head]) -> Sealed:
        kept = self._signed(seq, heads, self._kept, self._last)
        row = {"number": self._kept + 1, "seq": seq, "content": kept.content}
        self._connection.execute(insert(CHECKPOINTS), row)
        return kept

    def _note(self, kept: Sealed | None) -> None:
        if kept is not None:
            self._kept, self._last = self._kept + 1, kept.digest
            self._kept_seq, self._kept_at = kept.checkpoint.seq, self._now()

    def _seal(self, seq: int, heads: Mapping[str, Head], kept: Sealed | None) -> Sealed:
        """Seal the archive as it is after record ``seq``, and after the checkpoint ``kept`` beside it.

        What stands in the database before the commit is what the anchor is given after it: whatever is committed is
        signed, and nobody without the key can add a record that fits.
        """
        number, digest = (self._kept, self._last) if kept is None else (self._kept + 1, kept.digest)
        sealed = self._signed(seq, heads, number, digest)
        if self._connection.execute(update(SEAL).values(content=sealed.content)).rowcount == 0:
            self._connection.execute(insert(SEAL), {"only_row": 1, "content": sealed.content})
        return sealed

    def _signed(self, seq: int, heads: Mapping[str, Head], kept: int, last: str) -> Sealed:
        checkpoint = Checkpoint(
            archive=self.reader.archive_id,
            seq=seq,
            at=plain(self._now()),
            heads=heads_in_hex(heads),
            kept=kept,
            last=last,
            layout=SEALED_LAYOUT,
        )
        return seal(checkpoint, self._signer())


def _substance(body: bytes) -> bytes:
    try:
        return stored_entry(body).substance
    except (msgspec.MsgspecError, ValueError):
        return body  # A damaged record: what arrives differs from it, and is kept beside it.
