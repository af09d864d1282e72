"""The record as a table: one row a record, for a spreadsheet or a notebook. Text in CSV cannot become a formula."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from proxy.audit.reader import ArchiveReader
from proxy.audit.selection import Selection
from proxy.audit.words import in_words
from proxy.decoding import decoder
from proxy.exporting.columns import Column, Kind

COLUMNS: Final = (
    Column("seq", Kind.INTEGER),
    Column("chain"),
    Column("place", Kind.INTEGER),
    Column("at", Kind.TIME),
    Column("kind"),
    Column("id"),
    Column("bot"),
    Column("account"),
    Column("what"),
    Column("verdict"),
    Column("rule"),
    Column("code"),
    Column("message"),
    Column("observed"),
    Column("limit"),
    Column("headroom"),
    Column("hash"),
)
WHOLE: Final = (*COLUMNS, Column("record"))
"""With the record itself: in Parquet. In CSV it would be most of the file, and more than a spreadsheet's cell holds."""


class _Breach(msgspec.Struct, frozen=True):
    rule_id: str
    code: str
    message: str | None = None
    observed: str | None = None
    limit: str | None = None
    headroom: str | None = None


class _Decided(msgspec.Struct, frozen=True):
    verdict: str
    breaches: tuple[_Breach, ...] = ()
    headroom: str | None = None


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a row shows of a record; decoding no more than that makes a month a matter of seconds."""

    kind: str
    id: str
    at: datetime
    bot: str | None = None
    account: str | None = None
    commands: tuple[dict[str, Any], ...] = ()
    decisions: tuple[_Decided, ...] = ()
    what: Any = None
    result: Any = None
    name: Any = None
    reason: Any = None


_TOLD: Final = decoder(_Told)
_NOTHING: Final = _Breach("", "")


def table_rows(archive: ArchiveReader, selection: Selection, *, whole: bool) -> Iterator[dict[str, Any]]:
    """One row a record, as they are read, for ``WHOLE`` or ``COLUMNS``; ``standing_still`` is needed.

    Of a request the first refusal is told.
    """
    for seq, chain, place, digest, body in archive.stream(selection.records(archive)):
        told = _TOLD.decode(body)
        refusal = next((each for each in told.decisions if each.verdict == "DENY"), None)
        decided = refusal or next(iter(told.decisions), None)
        breach = next(iter(decided.breaches), _NOTHING) if decided is not None else _NOTHING
        headroom = decided.headroom if decided is not None and breach.headroom is None else breach.headroom
        row = {
            "seq": seq,
            "chain": chain,
            "place": place,
            "at": told.at,
            "kind": told.kind,
            "id": told.id,
            "bot": told.bot,
            "account": told.account,
            "what": _what(told),
            "verdict": decided.verdict if decided is not None else None,
            "rule": breach.rule_id or None,
            "code": breach.code or None,
            "message": breach.message,
            "observed": breach.observed,
            "limit": breach.limit,
            "headroom": headroom,
            "hash": digest.hex(),
        }
        yield row | {"record": body.decode()} if whole else row


def _what(told: _Told) -> str | None:
    """A record in a few words."""
    if told.commands:
        return "; ".join(in_words(command) for command in told.commands)
    words = told.what or told.result or told.name or told.reason
    return words if isinstance(words, str) else None
