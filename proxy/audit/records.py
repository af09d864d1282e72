"""What the audit is told: the kinds of record and what must be in them.

The structs are a light view: they name what the archive needs for its columns and leave the rest of the record alone,
because the bytes are what is hashed, and a newer gate may write more than this version knows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

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
    """What was decided, on what, under which policy. The snapshot is most of it, and is passed over unread."""

    bot: str
    account: str
    route: str
    intent: str
    commands: tuple[dict[str, Any], ...]
    snapshot: dict[str, msgspec.Raw]
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
    recv_window_ms: int | None = None
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


ArrivingRecord = IntentRecord | DecisionRecord | OutcomeRecord | DocumentRecord | EventRecord
"""What gates and warden may send."""

StoredRecord = ArrivingRecord | ConflictRecord | UnreadableRecord
"""What the archive may hold."""
