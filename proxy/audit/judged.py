"""What was decided on commands, newest first, filtered and a page at a time.

A question costs the same however long the archive has become: one filter goes down an index, and the others are asked
of a bounded number of what that finds. A page that ends early for it says where to go on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, literal, literal_column, select, tuple_

from proxy.audit.entry import column, from_micros, micros, words_of
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import JUDGEMENTS, RECORDS
from proxy.audit.words import in_words
from proxy.store.codec import load
from proxy.venues.binance.client_ids import inward, reworded, tag

LIMIT_MAX: Final = 100_000
"""Rows one question may return."""

LOOKED_AT_MAX: Final = 20_000
"""Commands one question looks at when it has several filters: some hundredths of a second."""

_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,9})")
_SELECTIVE_FIRST: Final = ("code", "rule", "symbol", "bot", "account")
_place: Final = tuple_(JUDGEMENTS.c.at_us, JUDGEMENTS.c.seq, JUDGEMENTS.c.item)


class BadCursor(ValueError):
    """``before`` is not what an earlier page gave as ``next``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCommand:
    """One command and what was decided. The breach fields are empty for a command that passed.

    The breach is the one the bot was told; where the question names a rule or a code, that one. ``item`` is its place
    in the request, from 0; ``client_order_id`` is the bot's own, empty where the command has none.
    """

    seq: int
    item: int
    id: str
    at: datetime
    bot: str
    account: str
    symbol: str
    client_order_id: str
    command: str
    verdict: str
    rule: str = ""
    code: str = ""
    observed: str = ""
    limit: str = ""
    headroom: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One page of judged commands, newest first. ``next`` goes on where it ends, ``None`` when there is no more.

    A page may hold fewer rows than asked for, even none, and yet not be the last.
    """

    rows: tuple[JudgedCommand, ...]
    next: str | None


def judged(
    archive: ArchiveReader,
    *,
    verdict: str | None = None,
    bot: str | None = None,
    account: str | None = None,
    rule: str | None = None,
    code: str | None = None,
    symbol: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Judged:
    """The judged commands, newest first, passed and refused alike unless ``verdict`` (ALLOW or DENY) says which.

    ``until`` is not included. ``text`` is looked for, in any case of letters, in client ids and messages; ``before`` is
    the ``next`` of the page before (raises ``BadCursor``).
    """
    limit = min(limit, LIMIT_MAX)
    columns = JUDGEMENTS.c
    named = {"bot": bot, "account": account, "rule": rule, "code": code, "symbol": symbol}
    wanted = [columns[name] == column(value) for name in _SELECTIVE_FIRST if (value := named[name]) is not None]
    # With a text the names are looked at beside it, in one index that holds all of them.
    narrow, others = ([], wanted) if text else (wanted[:1], wanted[1:])
    if verdict is not None:
        narrow.append(columns.verdict == _literal(verdict))
    if since is not None:
        narrow.append(columns.at_us >= micros(since))
    if until is not None:
        narrow.append(columns.at_us < micros(until))
    if before is not None:
        narrow.append(_place < tuple_(*map(literal, _cursor(before))))
    if text:
        others.append(columns.words.contains(words_of(text), autoescape=True))
    with archive.standing_still():
        bound = _nth(archive, LOOKED_AT_MAX, narrow) if others else None
        if bound is not None:
            narrow.append(_place >= tuple_(*map(literal, bound)))
        found = _newest(columns.place, *narrow, *others, _first_place(rule, code)).limit(limit)
        rows = archive.rows(_with_records(found))
    last = rows[-1][:3] if len(rows) == limit else bound
    return Judged(rows=tuple(_row(*row) for row in rows), next=None if last is None else "-".join(map(str, last)))


blocked: Final = partial(judged, verdict="DENY")
"""The refused commands: ``judged`` with its other filters."""


def _newest(*what: ColumnElement[Any]) -> Select[Any]:
    """When, which and ``what[0]`` of the judgements that fulfil the rest, newest first; indexes have this order."""
    columns = JUDGEMENTS.c
    order = (columns.at_us, columns.seq, columns.item)
    return select(*order, what[0]).where(*what[1:]).order_by(*(each.desc() for each in order))


def _nth(archive: ArchiveReader, number: int, conditions: list[ColumnElement[bool]]) -> Sequence[int] | None:
    """Where the judgement of this number stands among those that fulfil ``conditions``; ``None`` past their end."""
    found = archive.rows(_newest(JUDGEMENTS.c.place, *conditions).limit(1).offset(number - 1))
    return found[0][:3] if found else None


def _cursor(before: str) -> tuple[int, int, int]:
    if (found := _CURSOR.fullmatch(before)) is None:
        raise BadCursor("not the end of a page")
    return int(found[1]), int(found[2]), int(found[3])


def _literal(verdict: str) -> ColumnElement[str]:
    """The word itself in the SQL: the indexes of refusals are used for nothing less."""
    if verdict not in ("ALLOW", "DENY"):
        raise ValueError("a verdict is ALLOW or DENY")
    return literal_column(f"'{verdict}'")


def _first_place(rule: str | None, code: str | None) -> ColumnElement[bool]:
    """One row per command: the first breach; where a rule or a code is named, the first of those."""
    columns = JUDGEMENTS.c
    if rule is None and code is None:
        return columns.place == 0
    earlier = JUDGEMENTS.alias("earlier").c
    conditions = [earlier.seq == columns.seq, earlier.item == columns.item, earlier.place < columns.place]
    if rule is not None:
        conditions.append(earlier.rule == column(rule))
    if code is not None:
        conditions.append(earlier.code == column(code))
    return ~exists(literal(1)).where(*conditions)


def _with_records(found: Select[Any]) -> Select[Any]:
    rows = found.subquery()
    question = select(rows.c.at_us, rows.c.seq, rows.c.item, rows.c.place, RECORDS.c.body)
    order = (rows.c.at_us.desc(), rows.c.seq.desc(), rows.c.item.desc())
    return question.join_from(rows, RECORDS, RECORDS.c.seq == rows.c.seq).order_by(*order)


def _row(at_us: int, seq: int, item: int, place: int, body: bytes) -> JudgedCommand:
    record = load(body)
    decided, command = record["decisions"][item], record["commands"][item]
    breaches: Sequence[dict[str, Any]] = decided.get("breaches") or ({},)
    breach = breaches[place]
    headroom = breach.get("headroom")
    code = tag(record["account"], record["bot"])
    named = str(command.get("client_order_id") or "")
    return JudgedCommand(
        seq=seq,
        item=item,
        id=record["id"],
        at=from_micros(at_us),
        bot=record["bot"],
        account=record["account"],
        symbol=str(command.get("symbol") or ""),
        client_order_id=inward(named, code) or named,
        command=reworded(in_words(command), code),
        verdict=decided["verdict"],
        rule=breach.get("rule_id", ""),
        code=breach.get("code", ""),
        observed=reworded(breach.get("observed", ""), code),
        limit=breach.get("limit", ""),
        headroom=decided.get("headroom") if headroom is None else headroom,
        message=reworded(breach.get("message", ""), code),
    )
