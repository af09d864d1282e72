"""Reading an archive: works while the warden writes, and with everything else switched off. Cannot change anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from sqlalchemy import Connection, Executable, select

from proxy.audit.chain import Head, genesis, root
from proxy.audit.checkpoint import CheckpointDamaged, Sealed, unseal
from proxy.audit.engine import begin, connect_reader, named_trouble, roll_back
from proxy.audit.entry import column
from proxy.audit.layout import BEFORE_SEALS, check_revision, revision
from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.schema import ARCHIVE, CHECKPOINTS, PROGRESS, RECORDS, SEAL

_ROWS_AT_ONCE: Final = 500
"""Rows in memory while many are read."""

# The first chain, then again and again the next one: one step in the index for each, however long they are.
_HEADS: Final = """
    WITH RECURSIVE chains (chain) AS (
        SELECT min(chain) FROM records
        UNION ALL SELECT (SELECT min(r.chain) FROM records r WHERE r.chain > chains.chain) FROM chains
        WHERE chains.chain IS NOT NULL)
    SELECT r.chain, r.place, r.hash, r.seq FROM chains JOIN records r ON r.chain = chains.chain
        AND r.place = (SELECT max(m.place) FROM records m WHERE m.chain = chains.chain)"""


@dataclass(frozen=True, slots=True)
class ChainedRecord:
    """One record as it lies in its chain."""

    seq: int
    chain: str
    place: int
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """How far an archive has come: its last sequence, 0 before the first record, and the head of every chain."""

    archive_id: str
    seq: int
    heads: dict[str, Head]

    @property
    def hash(self) -> bytes:
        """One hash that stands for all chains."""
        return root(self.archive_id, self.seq, self.heads)


class ArchiveReader:
    """A view on an archive. The queries and checks of this package take one. Reading raises ``ArchiveUnavailable``."""

    def __init__(self, connection: Connection, place: ArchivePlace) -> None:
        self.connection = connection
        self.place = place
        self._still = False
        with named_trouble(place):
            check_revision(connection)
        found = self.rows(select(ARCHIVE.c.id))
        if len(found) != 1 or not isinstance(found[0][0], str):
            raise ArchiveUnavailable(f"{place} is not a readable archive: nothing says which it is")
        self.archive_id = found[0][0]

    @classmethod
    def open(cls, place: ArchivePlace) -> ArchiveReader:
        """The archive in ``place``, read-only. Raises ``ArchiveUnavailable``."""
        if place.url is None and not place.database.is_file():
            raise ArchiveUnavailable(f"there is no archive at {place}")
        with ExitStack() as closing, named_trouble(place):
            connection = closing.enter_context(connect_reader(place))
            reader = cls(connection, place)
            closing.pop_all()
        return reader

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Everything read inside is one state of the archive, whatever the warden appends meanwhile."""
        if self._still:
            yield
            return
        self._still = True
        try:
            with named_trouble(self.place):
                begin(self.connection)
            yield  # Trouble inside is the caller's own: an export's disk may be full.
        finally:
            self._still = False
            roll_back(self.connection)

    def rows(self, question: Executable) -> list[Any]:
        """The rows of a bounded question."""
        with named_trouble(self.place):
            return list(self.connection.execute(question))

    def stream(self, question: Executable) -> Iterator[Any]:
        """The rows of a question however many they are, a few at a time in memory. ``standing_still`` is needed."""
        with named_trouble(self.place):
            yield from self.connection.execute(question, execution_options={"yield_per": _ROWS_AT_ONCE})

    def head(self) -> ArchiveHead:
        """The end of every chain."""
        with named_trouble(self.place):
            rows = self.connection.exec_driver_sql(_HEADS).fetchall()
        heads = {str(chain): Head(place, as_bytes(digest)) for chain, place, digest, _ in rows}
        return ArchiveHead(self.archive_id, max((row[3] for row in rows), default=0), heads)

    def hash_at(self, chain: str, place: int) -> bytes | None:
        """The hash of the record at ``place`` of a chain; 0 is its genesis."""
        if place == 0:
            return genesis(self.archive_id, chain).hash
        found = self.rows(select(RECORDS.c.hash).where(RECORDS.c.chain == chain, RECORDS.c.place == place))
        return as_bytes(found[0][0]) if found else None

    def has(self, kind: str, identity: str) -> bool:
        """Whether a record of this kind and identity is archived. A document's identity is ``name@version``."""
        return self.body_of(kind, identity) is not None

    def body_of(self, kind: str, identity: str) -> bytes | None:
        """The bytes of the record of this kind and identity."""
        question = select(RECORDS.c.body).where(RECORDS.c.identity == column(identity), RECORDS.c.kind == kind)
        found = self.rows(question)
        return as_bytes(found[0][0]) if found else None

    def chained(self) -> Iterator[ChainedRecord]:
        """Every record in the order of the archive. ``standing_still`` is needed."""
        places = select(RECORDS.c.seq, RECORDS.c.chain, RECORDS.c.place, RECORDS.c.body, RECORDS.c.hash)
        for seq, chain, place, body, digest in self.stream(places.order_by(RECORDS.c.seq)):
            yield ChainedRecord(seq, chain, place, as_bytes(body), as_bytes(digest))

    def last_checkpoint(self) -> tuple[int, Sealed] | None:
        """The number and content of the newest checkpoint. Raises ``CheckpointDamaged``."""
        question = select(CHECKPOINTS.c.number, CHECKPOINTS.c.content).order_by(CHECKPOINTS.c.number.desc()).limit(1)
        found = self.rows(question)
        return (found[0][0], _unsealed(found[0][1])) if found else None

    def checkpoint(self, number: int) -> Sealed | None:
        """The checkpoint of this number. Raises ``CheckpointDamaged``."""
        found = self.rows(select(CHECKPOINTS.c.content).where(CHECKPOINTS.c.number == number))
        return _unsealed(found[0][0]) if found else None

    def seal(self) -> Sealed | None:
        """The signed statement that covers the last record; ``None`` in an archive of before. ``CheckpointDamaged``."""
        if revision(self.connection) == BEFORE_SEALS:
            return None
        found = self.rows(select(SEAL.c.content))
        return _unsealed(found[0][0]) if found else None

    def last_stream_id(self) -> str:
        """The last id of the store's stream whose record is archived, ``0-0`` before the first."""
        return self.position("stream") or "0-0"

    def position(self, source: str) -> str | None:
        """How far ``source`` was read."""
        found = self.rows(select(PROGRESS.c.position).where(PROGRESS.c.source == source))
        return str(found[0][0]) if found else None


def _unsealed(content: object) -> Sealed:
    if not isinstance(content, bytes):
        raise CheckpointDamaged("not made of bytes")
    return unseal(content)


def as_bytes(value: object) -> bytes:
    """``value``, which a damaged file may hold anything in place of. Raises ``ArchiveUnavailable``."""
    if not isinstance(value, bytes):
        raise ArchiveUnavailable("the archive is damaged: a record or hash is not made of bytes")
    return value
