"""Questions to the archive, answered in rows a person can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from proxy.audit.entry import from_micros, micros
from proxy.audit.reader import ArchiveReader
from proxy.audit.words import in_words
from proxy.store.codec import load
from proxy.venues.binance.client_ids import reworded, tag

LIMIT_MAX: Final = 100_000
"""Rows one question may return."""

# A limit may stand at several levels and be broken at each; the command is still one row.
_FIRST_OF_ITS_RULE: Final = """NOT EXISTS (
    SELECT 1 FROM judgements k WHERE k.seq = j.seq AND k.item = j.item AND k.rule = j.rule AND k.place < j.place)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCommand:
    """One command and what was decided. The breach fields are empty for a command that passed.

    The breach is the one the bot was told; where the question names a rule, that rule's.
    """

    seq: int
    id: str
    at: datetime
    bot: str
    account: str
    command: str
    verdict: str
    rule: str = ""
    code: str = ""
    observed: str = ""
    limit: str = ""
    headroom: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the archive holds under one id, oldest first."""

    id: str
    intent: dict[str, Any] | None
    decision: dict[str, Any] | None
    outcome: dict[str, Any] | None
    others: tuple[dict[str, Any], ...]


def blocked(
    archive: ArchiveReader,
    *,
    bot: str | None = None,
    rule: str | None = None,
    account: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> tuple[JudgedCommand, ...]:
    """The refused commands, newest first."""
    return judged(archive, verdict="DENY", bot=bot, rule=rule, account=account, since=since, limit=limit)


def judged(
    archive: ArchiveReader,
    *,
    verdict: str | None = None,
    bot: str | None = None,
    rule: str | None = None,
    account: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> tuple[JudgedCommand, ...]:
    """The judged commands, newest first, passed and refused alike unless ``verdict`` says which."""
    wanted: dict[str, object] = {
        # One row per command: the first breach, unless a rule is named, which may stand further down.
        "j.place = ?": 0 if rule is None else None,
        "j.verdict = ?": verdict,
        "j.bot = ?": bot,
        "j.rule = ?": rule,
        "j.account = ?": account,
        "j.at_us >= ?": micros(since) if since is not None else None,
    }
    conditions = {condition: value for condition, value in wanted.items() if value is not None}
    # Constants of this function; every value is a parameter.
    question = f"""
        SELECT j.seq, j.item, j.place, j.at_us, r.id, r.body FROM judgements j JOIN records r USING (seq)
        WHERE {" AND ".join([*conditions, _FIRST_OF_ITS_RULE])}
        ORDER BY j.at_us DESC, j.seq DESC, j.item LIMIT ?"""  # noqa: S608
    rows = archive.connection.execute(question, (*conditions.values(), min(limit, LIMIT_MAX)))
    return tuple(_row(*row) for row in rows)


def decision(archive: ArchiveReader, record_id: str) -> Story | None:
    """Intent, decision and outcome of one request together, with whatever else bears its id."""
    rows = archive.connection.execute("SELECT kind, body FROM records WHERE id = ? ORDER BY seq", (record_id,))
    found: list[tuple[str, dict[str, Any]]] = [(kind, load(body)) for kind, body in rows]
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
    rows = archive.connection.execute(
        "SELECT body FROM records WHERE kind = 'event' AND at_us >= ? ORDER BY at_us DESC, seq DESC LIMIT ?",
        (micros(since) if since is not None else 0, min(limit, LIMIT_MAX)),
    )
    return tuple(load(body) for (body,) in rows)


def last_ordered(archive: ArchiveReader, since: datetime) -> dict[tuple[str, str], datetime]:
    """When each symbol was last in a judged command, by account and symbol."""
    rows = archive.connection.execute(
        "SELECT account, symbol, max(at_us) FROM judgements WHERE at_us >= ? AND symbol IS NOT NULL"
        " AND account IS NOT NULL GROUP BY account, symbol",
        (micros(since),),
    )
    return {(account, symbol): from_micros(at_us) for account, symbol, at_us in rows}


def decisions_since(archive: ArchiveReader, account: str, since: datetime) -> Iterator[dict[str, Any]]:
    """The decision records of an account made since then, oldest first; at most ``LIMIT_MAX``."""
    rows = archive.connection.execute(
        "SELECT body FROM records WHERE kind = 'decision' AND seq IN"
        " (SELECT seq FROM judgements WHERE at_us >= ? AND account = ?) ORDER BY seq LIMIT ?",
        (micros(since), account, LIMIT_MAX),
    )
    return (load(body) for (body,) in rows)


def counts(archive: ArchiveReader) -> dict[str, int]:
    """How many records of each kind there are."""
    return dict(archive.connection.execute("SELECT kind, count(*) FROM records GROUP BY kind ORDER BY kind"))


def counts_by_code(archive: ArchiveReader, *, since: datetime | None = None) -> dict[str, int]:
    """How many commands were refused with each code, most frequent first."""
    return dict(
        archive.connection.execute(
            "SELECT code, count(*) FROM judgements WHERE verdict = 'DENY' AND place = 0 AND code IS NOT NULL"
            " AND at_us >= ? GROUP BY code ORDER BY count(*) DESC, code",
            (micros(since) if since is not None else 0,),
        )
    )


def _row(seq: int, item: int, place: int, at_us: int, record_id: str, body: bytes) -> JudgedCommand:
    record = load(body)
    decided = record["decisions"][item]
    breaches: Sequence[dict[str, Any]] = decided.get("breaches") or ({},)
    breach = breaches[place]
    headroom = breach.get("headroom")
    code = tag(record["account"], record["bot"])
    return JudgedCommand(
        seq=seq,
        id=record_id,
        at=from_micros(at_us),
        bot=record["bot"],
        account=record["account"],
        command=reworded(in_words(record["commands"][item]), code),
        verdict=decided["verdict"],
        rule=breach.get("rule_id", ""),
        code=breach.get("code", ""),
        observed=reworded(breach.get("observed", ""), code),
        limit=breach.get("limit", ""),
        headroom=decided.get("headroom") if headroom is None else headroom,
        message=reworded(breach.get("message", ""), code),
    )
