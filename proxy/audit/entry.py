"""Records checked at the door. One that cannot be read is kept as ``unreadable`` with its text, never dropped.

An entry's columns are derived from its bytes alone, the bytes that are hashed; so verify can derive them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from proxy.audit.records import (
    ArrivingRecord,
    ConflictRecord,
    DecisionRecord,
    DocumentRecord,
    StoredRecord,
    UnreadableRecord,
)
from proxy.store.codec import dump, load, plain

RawRecord = Mapping[str, Any] | str | bytes
"""A record as it arrives: decoded JSON, or the text of it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_CHARACTERS_MAX: Final = 512
_ARRIVING: Final = msgspec.json.Decoder(ArrivingRecord)
_STORED: Final = msgspec.json.Decoder(StoredRecord)
_UNENCODABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One breach of one command as a row; ``place`` 0 is the breach the bot was told, or no breach at all."""

    item: int
    place: int
    symbol: str | None
    verdict: str
    rule: str | None
    code: str | None
    headroom: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record ready for the archive. Everything but ``body`` is derived from ``body``, so verify can check it."""

    kind: str
    id: str
    identity: str
    at_us: int
    bot: str | None
    account: str | None
    body: bytes
    substance: bytes
    judgements: tuple[Judgement, ...]

    def judgement_rows(self, seq: int) -> list[tuple[object, ...]]:
        """The rows of the table ``judgements`` for this entry as record ``seq``."""
        shared = (self.at_us, self.bot, self.account)
        return [
            (seq, row.item, row.place, *shared, row.symbol, row.verdict, row.rule, row.code, row.headroom)
            for row in self.judgements
        ]


def admit(raw: RawRecord, now: datetime) -> Entry:
    """``raw`` as an entry: itself when it is a valid record, otherwise an ``unreadable`` one that carries its text."""
    try:
        body = dump(load(raw) if isinstance(raw, str | bytes) else raw)
        return _entry(_ARRIVING.decode(body), body)
    except _UNENCODABLE as error:
        return _unreadable(raw, f"{type(error).__name__}: {error}", now)


def stored_entry(body: bytes) -> Entry:
    """The entry whose ``body`` the archive holds. Raises ``msgspec.MsgspecError`` or ``ValueError``."""
    return _entry(_STORED.decode(body), body)


def conflicting(entry: Entry) -> Entry:
    """``entry`` as a conflict: the record whole, under a name of its own, the first arrival untouched."""
    record = load(entry.body)
    envelope = {
        "kind": "conflict",
        "id": entry.identity,
        "at": record["at"],
        "desk": record["desk"],
        "of": entry.kind,
        "record": record,
    }
    return stored_entry(dump(envelope))


def micros(moment: datetime) -> int:
    """``moment`` as the archive sorts it: whole microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(at_us: int) -> datetime:
    """The moment ``micros`` wrote."""
    return _EPOCH + timedelta(microseconds=at_us)


def _entry(record: StoredRecord, body: bytes) -> Entry:
    kind = str(record.__struct_config__.tag)
    identity, substance = record.id, body
    judgements: tuple[Judgement, ...] = ()
    match record:
        case DocumentRecord():
            # Every gate may publish the same document at its own time; the content is what must not differ.
            identity, substance = f"{record.name}@{record.version}", dump(record.content)
        case ConflictRecord():
            identity = f"{record.of}:{record.id}:{_digest(dump(record.record))}"
        case UnreadableRecord():
            identity, substance = _digest(record.raw.encode()), record.raw.encode()
        case DecisionRecord():
            judgements = tuple(_judgements(record))
        case _:
            pass
    return Entry(
        kind=kind,
        id=record.id,
        identity=identity,
        at_us=micros(record.at),
        bot=getattr(record, "bot", None),
        account=getattr(record, "account", None),
        body=body,
        substance=substance,
        judgements=judgements,
    )


def _judgements(record: DecisionRecord) -> list[Judgement]:
    rows = []
    for item, (command, decision) in enumerate(zip(record.commands, record.decisions, strict=True)):
        symbol = command.get("symbol")
        shown = symbol if isinstance(symbol, str) else None
        if not decision.breaches:
            rows.append(Judgement(item, 0, shown, decision.verdict, None, None, decision.headroom))
        for place, breach in enumerate(decision.breaches):
            headroom = decision.headroom if breach.headroom is None else breach.headroom
            rows.append(Judgement(item, place, shown, decision.verdict, breach.rule_id, breach.code, headroom))
    return rows


def _unreadable(raw: RawRecord, reason: str, now: datetime) -> Entry:
    text = _text(raw)
    named = raw.get("id") if isinstance(raw, Mapping) else None
    name = named if isinstance(named, str) and 0 < len(named) <= _NAME_CHARACTERS_MAX else _digest(text.encode())
    envelope = {
        "kind": "unreadable",
        "id": _encodable(name),
        "at": plain(now),
        "desk": "",
        "reason": _encodable(reason),
        "raw": text,
    }
    return stored_entry(dump(envelope))


def _text(raw: RawRecord) -> str:
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "backslashreplace")
    if isinstance(raw, str):
        return _encodable(raw)
    try:
        return dump(raw).decode()
    except _UNENCODABLE:
        return ascii(raw)  # Lone surrogates and numbers beyond JSON's: everything stays, as Python spells it.


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
