"""What the audit is told, checked at the door. A record that cannot be read is kept as ``unreadable``, never dropped.

The structs are a light view: they name what the archive needs for its columns and leave the rest of the record alone,
because the bytes are what is hashed, and a newer gate may write more than this version knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from proxy.store.codec import dump, load, plain

RawRecord = Mapping[str, Any] | str | bytes
"""A record as it arrives: decoded JSON, or the text of it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Common(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    id: _Name
    at: _Moment
    desk: str


class IntentRecord(_Common, frozen=True, tag="intent"):
    """Write-ahead: what was asked for, before anything was sent."""

    bot: str
    account: str
    key_hint: str
    route: str
    commands: tuple[dict[str, Any], ...]


class BreachView(msgspec.Struct, frozen=True):
    """The part of a breach the archive's columns show."""

    rule_id: str
    code: str
    message: str = ""
    observed: str = ""
    limit: str = ""
    headroom: str | None = None
    level: str = ""
    advice: str = ""


class JudgementView(msgspec.Struct, frozen=True):
    """The part of a decision the archive's columns show."""

    verdict: Literal["ALLOW", "DENY"]
    breaches: tuple[BreachView, ...] = ()
    headroom: str | None = None


class DecisionRecord(_Common, frozen=True, tag="decision"):
    """What was decided, on what, under which policy."""

    bot: str
    account: str
    route: str
    intent: str
    commands: tuple[dict[str, Any], ...]
    snapshot: dict[str, Any]
    decisions: tuple[JudgementView, ...]
    policy_version: str

    def __post_init__(self) -> None:
        if len(self.commands) != len(self.decisions):
            raise ValueError("as many decisions as commands are needed")


class OutcomeRecord(_Common, frozen=True, tag="outcome"):
    """What the venue answered. UNKNOWN means that nobody knows yet."""

    result: Literal["ACCEPTED", "REJECTED", "UNKNOWN", "NOT_SENT"]
    http_status: int | None = None
    venue_code: int | str | None = None
    items: tuple[Any, ...] = ()
    sent_at: str | None = None
    answered_at: str | None = None
    bot: str | None = None
    account: str | None = None


class DocumentRecord(_Common, frozen=True, tag="document"):
    """A state that decisions name by ``name@version`` instead of repeating it."""

    name: _Name
    version: str
    content: Any


class EventRecord(_Common, frozen=True, tag="event"):
    """Something a person or the guard did: a kill, a re-arm, a key disabled."""

    what: str
    by: str
    detail: dict[str, Any]


class ConflictRecord(_Common, frozen=True, tag="conflict"):
    """A second, different record under an identity already taken. Only the archive writes it."""

    of: str
    record: dict[str, Any]


class UnreadableRecord(_Common, frozen=True, tag="unreadable"):
    """Something that is no record. Only the archive writes it."""

    reason: str
    raw: str


_Arriving = IntentRecord | DecisionRecord | OutcomeRecord | DocumentRecord | EventRecord
_Stored = _Arriving | ConflictRecord | UnreadableRecord
_ARRIVING: Final = msgspec.json.Decoder(_Arriving)
_STORED: Final = msgspec.json.Decoder(_Stored)
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


def _entry(record: _Stored, body: bytes) -> Entry:
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
    name = named if isinstance(named, str) and 0 < len(named) <= 512 else _digest(text.encode())
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
