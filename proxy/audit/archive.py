"""The archive: every audit record in one database, in hash chains, append-only, one writer.

An append is one transaction that carries the records and how far their source was read, so a crash re-reads safely:
what is already here is dropped by its identity. What differs from what is here is kept beside it as a conflict.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, TypeVar

from proxy.audit.anchor import write_anchor
from proxy.audit.checkpoint import Sealed, Signer, TrustedKeys
from proxy.audit.engine import named_trouble
from proxy.audit.entry import RawRecord, admit, digest_of
from proxy.audit.locking import locked
from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.reader import ArchiveHead, ArchiveReader
from proxy.audit.writing import Writing
from proxy.clock import utc_now
from proxy.recent import Recent
from proxy.vault.errors import VaultError

T = TypeVar("T")

Told = Callable[[Mapping[str, Any]], None]

RECALLED_MAX: Final = 20_000
"""Records that are known again by their text alone: those of some seconds of a desk as busy as a gate can make it."""


class Archive:
    """The writer's side. One process has it open at a time; its methods may be called from any thread.

    After trouble with the database the connection is given up, and the next call makes another: the archive is then
    checked against its anchor as at the first opening, for a database that fails over may have lost its last commits.
    """

    def __init__(
        self, place: ArchivePlace, signer: Signer, keys: TrustedKeys, now: Callable[[], datetime], first_sealed: Told
    ) -> None:
        self._place = place
        self._signer = signer
        self._keys = keys
        self._now = now
        self._first_sealed = first_sealed
        self._guard = threading.Lock()
        self._closing = ExitStack()
        self._closed = False
        self._writing: Writing | None = None
        self._anchor: Sealed | None = None
        self._recalled: Recent[bytes, None] = Recent(RECALLED_MAX)

    @classmethod
    def open(
        cls,
        place: ArchivePlace,
        signer: Signer,
        now: Callable[[], datetime] = utc_now,
        *,
        keys: TrustedKeys,
        first_sealed: Told = lambda detail: None,
    ) -> Archive:
        """Open or begin the archive in ``place``, its tables brought up to date.

        ``signer`` gives the key for checkpoints; ``keys`` are believed for what is signed already. ``first_sealed`` is
        told, in the thread that asks, what was found without a seal and sealed. Raises ``ArchiveUnavailable``, or
        ``ArchiveTampered`` for what none of ``keys`` signed.
        """
        archive = cls(place, signer, keys, now, first_sealed)
        with ExitStack() as closing:
            with named_trouble(place):
                place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                closing.enter_context(locked(place))
            with archive._session():
                pass
            archive._closing = closing.pop_all()
        return archive

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def place(self) -> ArchivePlace:
        """Where it is."""
        return self._place

    @property
    def anchor(self) -> Sealed | None:
        """The newest signed checkpoint: what an anchor elsewhere is to be given."""
        return self._anchor

    def close(self) -> None:
        """Keep a last checkpoint and give the archive back. Closing twice is harmless."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            with self._closing.pop_all():
                if self._writing is not None:
                    writing, self._writing = self._writing, None
                    try:
                        with self._named_trouble():
                            writing.keep_checkpoint()
                            self._advance_anchor(writing)
                    finally:
                        writing.close()

    def append(self, batch: Sequence[tuple[str, RawRecord]]) -> int:
        """Archive a batch of the store's stream, oldest first, and remember its last id; the archive's last sequence.

        When it returns, the records are on the disk. Raises ``ArchiveUnavailable``; then append the same batch again.
        Raises ``ArchiveTampered`` when the database came back as another than the anchor saw.
        """
        return self._append([raw for _, raw in batch], {"stream": batch[-1][0]} if batch else {})

    def append_from(self, source: str, position: str, records: Sequence[RawRecord]) -> int:
        """Archive records of another source and remember how far it was read; the archive's last sequence."""
        return self._append(records, {source: position})

    def not_recalled(self, records: Sequence[RawRecord]) -> list[RawRecord]:
        """Of these records those whose very text was not archived lately. Of what is left out nothing is new."""
        return [raw for raw in records if (digest := digest_of(raw)) is None or digest not in self._recalled]

    def last_stream_id(self) -> str:
        """The last id of the store's stream whose record is archived, ``0-0`` before the first."""
        return self._ask(lambda reader: reader.last_stream_id())

    def position(self, source: str) -> str | None:
        """How far ``source`` was read."""
        return self._ask(lambda reader: reader.position(source))

    def has(self, kind: str, identity: str) -> bool:
        """Whether a record of this kind and identity is archived. A document's identity is ``name@version``."""
        return self._ask(lambda reader: reader.has(kind, identity))

    def head(self) -> ArchiveHead:
        """The end of every chain."""
        return self._ask(lambda reader: reader.head())

    def _ask(self, question: Callable[[ArchiveReader], T]) -> T:
        with self._guard, self._session() as writing:
            return question(writing.reader)

    def _append(self, records: Sequence[RawRecord], progress: dict[str, str]) -> int:
        # Most records come twice, by the stream and by a gate's journal. The same text again is the same record again,
        # which would be dropped by its identity; another text under that identity is not recalled, and is looked at.
        new = [(digest, raw) for raw in records if (digest := digest_of(raw)) is None or digest not in self._recalled]
        entries = [admit(raw, self._now()) for _, raw in new]
        with self._guard, self._session() as writing:
            writing.write(entries, progress)
            # Acknowledged only once the anchor knows: afterwards no tail can be cut off unseen.
            self._advance_anchor(writing)
            for digest, _ in new:
                if digest is not None:
                    self._recalled.put(digest, None)
            return writing.seq

    @contextmanager
    def _session(self) -> Iterator[Writing]:
        """The connection there is, or a new one; given up after trouble."""
        if self._closed:
            raise ArchiveUnavailable(f"{self._place} is closed")
        writing = self._writing
        with self._named_trouble():
            if writing is None:
                writing = Writing(self._place, self._signer, self._keys, self._now)
            try:
                if self._writing is None:
                    self._anchor = writing.begin()
                    if writing.first_sealed is not None:
                        self._first_sealed(writing.first_sealed)
                    self._advance_anchor(writing)
                    self._writing = writing
                yield writing
            except BaseException:
                self._writing = None
                writing.close()
                raise

    @contextmanager
    def _named_trouble(self) -> Iterator[None]:
        try:
            with named_trouble(self._place):
                yield
        except VaultError as error:
            raise ArchiveUnavailable(f"{self._place}: there is no key to sign checkpoints with: {error}") from error

    def _advance_anchor(self, writing: Writing) -> None:
        if self._anchor is None or self._anchor.content != writing.seal.content:
            write_anchor(self._place.anchor, writing.seal)
            self._anchor = writing.seal
