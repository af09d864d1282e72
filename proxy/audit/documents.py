"""Where a replay reads from: an archive, or an export of one. Documents are found by ``name@version`` in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, Final, Protocol

from sqlalchemy import select

from proxy.audit.entry import column, from_micros, micros, stored_entry
from proxy.audit.export import read_export, read_line
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import JUDGEMENTS, RECORDS
from proxy.signatures.signing import TrustedKey
from proxy.store.codec import load

_DOCUMENTS_KEPT: Final = 64
"""Decoded documents in memory; an instrument list can be a megabyte."""


@dataclass(frozen=True, slots=True)
class Document:
    """A state that decisions refer to, and when it was true."""

    at: datetime
    content: Any


class RecordSource(Protocol):
    """What a replay needs."""

    def decisions(self) -> Iterator[dict[str, Any]]:
        """Every decision record, in chain order."""

    def documents(self, reference: str) -> tuple[Document, ...]:
        """What was archived as ``name@version``: none, one, or several where a version was used twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Some of the decisions: of one bot, from ``since`` on, before ``until``."""

    since: datetime | None = None
    until: datetime | None = None
    bot: str | None = None


class ArchiveSource:
    """Reads an archive, all of it or a ``window`` of its decisions. ``standing_still`` is the caller's to hold."""

    def __init__(self, archive: ArchiveReader, window: Window | None = None) -> None:
        self._archive = archive
        self._window = window
        self.documents: Callable[[str], tuple[Document, ...]] = lru_cache(_DOCUMENTS_KEPT)(self._documents)

    def decisions(self) -> Iterator[dict[str, Any]]:
        """Every decision record, in chain order; those of a window in the order of their time."""
        if self._window is not None:
            return self._decisions_in(self._window)
        question = select(RECORDS.c.body).where(RECORDS.c.kind == "decision").order_by(RECORDS.c.seq)
        return (load(body) for (body,) in self._archive.stream(question))

    def _decisions_in(self, window: Window) -> Iterator[dict[str, Any]]:
        # The first row of every decision, off an index.
        question = (
            select(RECORDS.c.body)
            .join_from(JUDGEMENTS, RECORDS, RECORDS.c.seq == JUDGEMENTS.c.seq)
            .where(JUDGEMENTS.c.item == 0, JUDGEMENTS.c.place == 0)
            .order_by(JUDGEMENTS.c.at_us, JUDGEMENTS.c.seq)
        )
        if window.since is not None:
            question = question.where(JUDGEMENTS.c.at_us >= micros(window.since))
        if window.until is not None:
            question = question.where(JUDGEMENTS.c.at_us < micros(window.until))
        if window.bot is not None:
            question = question.where(JUDGEMENTS.c.bot == column(window.bot))
        return (load(body) for (body,) in self._archive.stream(question))

    def _documents(self, reference: str) -> tuple[Document, ...]:
        named = column(reference)
        documents = select(RECORDS.c.body).where(RECORDS.c.identity == named, RECORDS.c.kind == "document")
        conflicts = select(RECORDS.c.body).where(RECORDS.c.id == named, RECORDS.c.kind == "conflict")
        rows = [*self._archive.rows(documents), *self._archive.rows(conflicts.order_by(RECORDS.c.seq))]
        return tuple(document for (body,) in rows if (document := _document(body)[1]) is not None)


class ExportSource:
    """Reads an export. The first pass verifies it whole and notes where each document is, not what it says."""

    def __init__(self, file: BinaryIO, keys: Sequence[TrustedKey] = ()) -> None:
        """With ``keys`` one of them must have signed the whole of it. Raises ``ExportBroken``."""
        self._file = file
        self._offsets: dict[str, list[int]] = {}
        self._decisions: list[int] = []
        for record in read_export(file, keys):
            entry = stored_entry(record.body)
            if entry.kind == "decision":
                self._decisions.append(record.offset)
            elif entry.kind in ("document", "conflict"):
                name, document = _document(record.body)
                if document is not None:
                    self._offsets.setdefault(name, []).append(record.offset)
        self.documents: Callable[[str], tuple[Document, ...]] = lru_cache(_DOCUMENTS_KEPT)(self._documents)

    def decisions(self) -> Iterator[dict[str, Any]]:
        """Every decision record, in chain order."""
        return (load(read_line(self._file, offset)) for offset in self._decisions)

    def _documents(self, reference: str) -> tuple[Document, ...]:
        found = (_document(read_line(self._file, offset))[1] for offset in self._offsets.get(column(reference), ()))
        return tuple(document for document in found if document is not None)


def _document(body: bytes) -> tuple[str, Document | None]:
    """The reference and document in ``body``, which may be wrapped in a conflict; ``None`` for other conflicts."""
    entry = stored_entry(body)
    record = load(body)
    if entry.kind == "conflict":
        if record["of"] != "document":
            return "", None
        return record["id"], Document(from_micros(entry.at_us), record["record"]["content"])
    return entry.identity, Document(from_micros(entry.at_us), record["content"])
