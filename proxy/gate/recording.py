"""What the audit is told: the record of an intent, of a decision and of an outcome, as plain JSON."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from proxy.store.codec import plain, plain_command, plain_decision, plain_snapshot
from rules.decision import Breach, Decision
from rules.model import Command
from rules.snapshot import Snapshot


def new_decision_id() -> str:
    """A name for one request: time-ordered, unguessable, short enough to sit inside a client order id."""
    return f"{time.time_ns() // 1000:x}{secrets.token_hex(5)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asked for what: the fields all records of one request share."""

    decision_id: str
    desk: str
    bot: str
    account: str
    venue: str
    key_hint: str
    route: str

    def _record(self, kind: str, at: datetime) -> dict[str, Any]:
        return {
            "kind": kind,
            "id": self.decision_id,
            "at": plain(at),
            "desk": self.desk,
            "bot": self.bot,
            "account": self.account,
            "route": self.route,
        }

    def intent(self, at: datetime, commands: Sequence[Command]) -> dict[str, Any]:
        """The write-ahead record: what was asked, before anything was judged."""
        return self._record("intent", at) | {
            "key_hint": self.key_hint,
            "commands": [plain_command(command) for command in commands],
        }

    def decision(
        self,
        snapshot: Snapshot,
        instruments_version: str,
        commands: Sequence[Command],
        decisions: Sequence[Decision],
        withheld: Mapping[int, Breach],
    ) -> dict[str, Any]:
        """What was decided, on what, and what was allowed and yet not sent, by place.

        The account and the instruments are named by version, not repeated.
        """
        picture = _picture(snapshot)
        if snapshot.account is not None:
            picture["account"] = {"$ref": f"account:{snapshot.account.name}@{snapshot.account.version}"}
        picture["instruments"] = {
            "$ref": f"instruments:{self.venue}@{instruments_version}",
            "symbols": sorted(snapshot.instruments),
        }
        return self._record("decision", snapshot.now) | {
            "intent": decisions[0].intent.value,
            "commands": [plain_command(command) for command in commands],
            "snapshot": picture,
            "decisions": [plain_decision(decision) for decision in decisions],
            "withheld": {str(place): plain(breach) for place, breach in withheld.items()},
            "policy_version": decisions[0].policy_version,
        }

    def outcome(
        self,
        result: str,
        *,
        sent_at: datetime,
        answered_at: datetime,
        http_status: int | None = None,
        venue_code: int | None = None,
        items: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """What became of it at the venue."""
        return self._record("outcome", answered_at) | {
            "result": result,
            "http_status": http_status,
            "venue_code": venue_code,
            "items": [dict(item) for item in items],
            "sent_at": plain(sent_at),
            "answered_at": plain(answered_at),
        }


def _picture(snapshot: Snapshot) -> dict[str, Any]:
    """``plain_snapshot`` without account and instruments; what many requests share is made plain once for all."""
    picture = plain_snapshot(
        replace(snapshot, account=None, instruments={}, markets={}, conditions=None, record=None, usual=None)
    )
    picture["markets"] = {symbol: market.found(plain) for symbol, market in snapshot.markets.items()}
    picture["conditions"] = snapshot.conditions.found(plain) if snapshot.conditions is not None else None
    picture["record"] = snapshot.record.found(plain) if snapshot.record is not None else None
    picture["usual"] = snapshot.usual.found(plain) if snapshot.usual is not None else None
    return picture
