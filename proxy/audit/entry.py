"""Records checked at the door. One that cannot be read is kept as ``unreadable`` with its text, never dropped.

An entry's columns are derived from its bytes alone, the bytes that are hashed; so verify can derive them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from proxy.audit.chain import DESK
from proxy.audit.records import (
    ArrivingRecord,
    ConflictRecord,
    DecisionRecord,
    DocumentRecord,
    StoredRecord,
    UnreadableRecord,
)
from proxy.decoding import decoder
from proxy.store.codec import dump, load, plain
from proxy.venues.binance.client_ids import inward, reworded, tag


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """The text of a record, and what ``codec.load`` made of it for somebody who had to know."""

    text: str
    content: Any


RawRecord = Mapping[str, Any] | str | bytes | ReadRecord
"""A record as it arrives: decoded JSON, the text of it, or both."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NAME_CHARACTERS_MAX: Final = 512
_COLUMN_CHARACTERS_MAX: Final = 512
_COLUMN_SHOWN: Final = 64
_WORDS_CHARACTERS_MAX: Final = 400
_ARRIVING: Final = decoder(ArrivingRecord)
_STORED: Final = decoder(StoredRecord)
_UNENCODABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


class Judgement(NamedTuple):
    """One breach of one command as a row; ``place`` 0 is the breach the bot was told, or no breach at all."""

    item: int
    place: int
    symbol: str | None
    verdict: str
    rule: str | None
    code: str | None
    headroom: str | None
    words: str


class Entry(NamedTuple):
    """A record ready for the archive. Everything but ``body`` is derived from ``body``, so verify can check it."""

    kind: str
    id: str
    identity: str
    chain: str
    at_us: int
    bot: str | None
    account: str | None
    body: bytes
    substance: bytes
    judgements: tuple[Judgement, ...]

    def judgement_rows(self, seq: int) -> list[tuple[object, ...]]:
        """The rows of the table ``judgements`` for this entry as record ``seq``, its columns in their order."""
        shared = (self.at_us, self.bot, self.account)
        return [
            (seq, row.item, row.place, *shared, row.symbol, row.verdict, row.rule, row.code, row.headroom, row.words)
            for row in self.judgements
        ]

    @property
    def columns(self) -> tuple[object, ...]:
        """The columns that are derived: chain, kind, identity, id, at_us, bot, account."""
        return (self.chain, self.kind, self.identity, self.id, self.at_us, self.bot, self.account)


def admit(raw: RawRecord, now: datetime) -> Entry:
    """``raw`` as an entry: itself when it is a valid record, otherwise an ``unreadable`` one that carries its text."""
    try:
        body = dump(_content(raw))
        return _entry(_ARRIVING.decode(body), body)
    except _UNENCODABLE as error:
        told = raw.text if isinstance(raw, ReadRecord) else raw
        return _unreadable(told, f"{type(error).__name__}: {error}", now)


def digest_of(raw: RawRecord) -> bytes | None:
    """Stands for a record's text, ``None`` where there is no text, or none that can be encoded."""
    text = raw.text if isinstance(raw, ReadRecord) else raw
    if isinstance(text, Mapping):
        return None
    try:
        return hashlib.sha256(text.encode() if isinstance(text, str) else text).digest()
    except UnicodeEncodeError:
        return None


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


def column(text: str) -> str:
    """``text`` as a column holds it: what no index or no database takes is told by a digest, so that it stays itself.

    PostgreSQL takes no NUL in text and no more than a third of a page in an index.
    """
    if "\0" not in text and len(text) <= _COLUMN_CHARACTERS_MAX:
        return text
    return f"{text[:_COLUMN_SHOWN].replace(chr(0), chr(0x2400))}…{_digest(text.encode())}"


def words_of(text: str) -> str:
    """``text`` as it is looked for: in small letters, and bounded."""
    return text.lower().replace("\0", "")[:_WORDS_CHARACTERS_MAX]


def micros(moment: datetime) -> int:
    """``moment`` as the archive sorts it: whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(at_us: int) -> datetime:
    """The moment ``micros`` wrote."""
    return _EPOCH + timedelta(microseconds=at_us)


def _content(raw: RawRecord) -> Any:
    match raw:
        case ReadRecord():
            return raw.content
        case str() | bytes():
            return load(raw)
        case _:
            return raw


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
    account = _column_or_none(getattr(record, "account", None))
    return Entry(
        kind=kind,
        id=column(record.id),
        identity=column(identity),
        chain=account or DESK,
        at_us=micros(record.at),
        bot=_column_or_none(getattr(record, "bot", None)),
        account=account,
        body=body,
        substance=substance,
        judgements=judgements,
    )


def _column_or_none(text: str | None) -> str | None:
    return None if text is None else column(text)


def _judgements(record: DecisionRecord) -> list[Judgement]:
    rows = []
    code = tag(record.account, record.bot)
    for item, (command, decision) in enumerate(zip(record.commands, record.decisions, strict=True)):
        symbol = command.get("symbol")
        shown = column(symbol) if isinstance(symbol, str) else None
        named = command.get("client_order_id")
        name = named if isinstance(named, str) else ""
        # The bot's own id and the venue's differ; people have either in their hands.
        names = f"{inward(name, code) or ''}\n{name}"
        if not decision.breaches:
            headroom = _column_or_none(decision.headroom)
            rows.append(Judgement(item, 0, shown, decision.verdict, None, None, headroom, words_of(names)))
        for place, breach in enumerate(decision.breaches):
            headroom = _column_or_none(decision.headroom if breach.headroom is None else breach.headroom)
            rows.append(
                Judgement(
                    item=item,
                    place=place,
                    symbol=shown,
                    verdict=decision.verdict,
                    rule=column(breach.rule_id),
                    code=column(breach.code),
                    headroom=headroom,
                    words=words_of(f"{names}\n{reworded(breach.message, code)}"),
                )
            )
    return rows


def _unreadable(raw: Mapping[str, Any] | str | bytes, reason: str, now: datetime) -> Entry:
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
