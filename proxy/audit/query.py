"""Questions to the archive, answered in rows a person can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, literal_column, select

from proxy.audit.entry import column, from_micros, micros
from proxy.audit.judged import LIMIT_MAX, BadCursor, Judged, JudgedCommand, blocked, judged
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import JUDGEMENTS, RECORDS
from proxy.store.codec import load

__all__ = [
    "LIMIT_MAX",
    "BadCursor",
    "Judged",
    "JudgedCommand",
    "Story",
    "blocked",
    "counts",
    "counts_by_code",
    "decision",
    "decisions_since",
    "events",
    "events_back",
    "judged",
    "last_ordered",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the archive holds under one id, oldest first."""

    id: str
    intent: dict[str, Any] | None
    decision: dict[str, Any] | None
    outcome: dict[str, Any] | None
    others: tuple[dict[str, Any], ...]


def decision(archive: ArchiveReader, record_id: str) -> Story | None:
    """Intent, decision and outcome of one request together, with whatever else bears its id."""
    question = select(RECORDS.c.kind, RECORDS.c.body).where(RECORDS.c.id == column(record_id)).order_by(RECORDS.c.seq)
    found: list[tuple[str, dict[str, Any]]] = [(kind, load(body)) for kind, body in archive.rows(question)]
    if not found:
        return None
    # A kind and an id name at most one record; documents are named otherwise and may repeat an id.
    parts = {kind: record for kind, record in found if kind in ("intent", "decision", "outcome")}
    return Story(
        id=record_id,
        intent=parts.get("intent"),
        decision=parts.get("decision"),
        outcome=parts.get("outcome"),
        others=tuple(record for kind, record in found if kind not in parts),
    )


def events(archive: ArchiveReader, *, since: datetime | None = None, limit: int = 100) -> tuple[dict[str, Any], ...]:
    """Kills, re-arms, keys disabled and the like, newest first."""
    return tuple(load(body) for (body,) in archive.rows(_events(since, limit)))


def events_back(archive: ArchiveReader, *, limit: int) -> Iterator[dict[str, Any]]:
    """The same, read as they are drawn. ``standing_still`` is needed."""
    return (load(body) for (body,) in archive.stream(_events(None, limit)))


def _events(since: datetime | None, limit: int) -> Select[Any]:
    return (
        select(RECORDS.c.body)
        .where(RECORDS.c.kind == "event", RECORDS.c.at_us >= (micros(since) if since is not None else 0))
        .order_by(RECORDS.c.at_us.desc(), RECORDS.c.seq.desc())
        .limit(min(limit, LIMIT_MAX))
    )


def last_ordered(archive: ArchiveReader, since: datetime) -> dict[tuple[str, str], datetime]:
    """When each symbol was last in a judged command, by account and symbol."""
    rows = archive.rows(
        select(JUDGEMENTS.c.account, JUDGEMENTS.c.symbol, func.max(JUDGEMENTS.c.at_us))
        .where(JUDGEMENTS.c.at_us >= micros(since), JUDGEMENTS.c.symbol.is_not(None), JUDGEMENTS.c.account.is_not(None))
        .group_by(JUDGEMENTS.c.account, JUDGEMENTS.c.symbol)
    )
    return {(account, symbol): from_micros(at_us) for account, symbol, at_us in rows}


def decisions_since(archive: ArchiveReader, account: str, since: datetime) -> Iterator[dict[str, Any]]:
    """The decision records of an account made since then, oldest first; at most ``LIMIT_MAX``."""
    made = select(JUDGEMENTS.c.seq).where(JUDGEMENTS.c.at_us >= micros(since), JUDGEMENTS.c.account == column(account))
    question = select(RECORDS.c.body).where(RECORDS.c.kind == "decision", RECORDS.c.seq.in_(made))
    return (load(body) for (body,) in archive.rows(question.order_by(RECORDS.c.seq).limit(LIMIT_MAX)))


def highest_rate_per_s(archive: ArchiveReader, since: datetime) -> int:
    """The most requests judged within one second since then."""
    second = JUDGEMENTS.c.at_us // 1_000_000  # `/` would divide truly, and each microsecond be a second of its own.
    question = (
        select(func.count(JUDGEMENTS.c.seq.distinct()).label("requests"))
        .where(JUDGEMENTS.c.at_us >= micros(since))
        .group_by(second)
    ).subquery()
    (row,) = archive.rows(select(func.max(question.c.requests)))
    return int(row[0] or 0)


def counts(archive: ArchiveReader) -> dict[str, int]:
    """How many records of each kind there are."""
    rows = archive.rows(select(RECORDS.c.kind, func.count()).group_by(RECORDS.c.kind).order_by(RECORDS.c.kind))
    return {str(kind): int(count) for kind, count in rows}


def counts_by_code(archive: ArchiveReader, *, since: datetime | None = None) -> dict[str, int]:
    """How many commands were refused with each code, most frequent first."""
    times = func.count()
    rows = archive.rows(
        select(JUDGEMENTS.c.code, times)
        .where(
            JUDGEMENTS.c.verdict == literal_column("'DENY'"),
            JUDGEMENTS.c.place == 0,
            JUDGEMENTS.c.code.is_not(None),
            JUDGEMENTS.c.at_us >= (micros(since) if since is not None else 0),
        )
        .group_by(JUDGEMENTS.c.code)
        .order_by(times.desc(), JUDGEMENTS.c.code)
    )
    return {str(code): int(count) for code, count in rows}
