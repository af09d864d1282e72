"""What the audit is told: the record of an intent, of a decision and of an outcome, each a dict for ``codec.dump``.

Its values are of the house or bytes that are written already, so that nothing is made plain first and encoded then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Raw

from proxy.store.codec import once_for_all, written_command, written_decision, written_snapshot
from rules.decision import Breach, Decision
from rules.derived import Derived, room
from rules.facts import AccountRecord
from rules.model import Command
from rules.snapshot import Snapshot


def new_decision_id() -> str:
    """A name for one request: time-ordered, unguessable, short enough to sit inside a client order id."""
    return f"{time.time_ns() // 1000:x}{os.urandom(5).hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Derived):
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
            "at": at,
            "desk": self.desk,
            "bot": self.bot,
            "account": self.account,
            "route": self.route,
        }

    def intent(self, at: datetime, commands: Sequence[Command]) -> dict[str, Any]:
        """The write-ahead record: what was asked, before anything was judged."""
        return self._record("intent", at) | {
            "key_hint": self.key_hint,
            "commands": self._written(commands),
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

        The account, its record and the instruments are named by version, not repeated.
        """
        account, written = snapshot.account, self._written(commands)
        picture = written_snapshot(snapshot)
        if account is not None:
            picture["account"] = {"$ref": f"account:{account.name}@{account.version}"}
        if snapshot.record is not None:
            picture["record"] = snapshot.record.found(_named)
        picture["instruments"] = {
            "$ref": f"instruments:{self.venue}@{instruments_version}",
            "symbols": sorted(snapshot.instruments),
        }
        return self._record("decision", snapshot.now) | {
            "intent": decisions[0].intent,
            "commands": written,
            "snapshot": picture,
            "decisions": [
                # Most orders are judged as they were asked for.
                written_decision(each, text if each.effective is command else written_command(each.effective))
                for each, command, text in zip(decisions, commands, written, strict=True)
            ],
            "withheld": {str(place): breach for place, breach in withheld.items()},
            "policy_version": decisions[0].policy_version,
        }

    def _written(self, commands: Sequence[Command]) -> list[Raw]:
        """The commands' bytes: of one request they stand in the intent and in the decision."""
        known = room(self).get("commands")
        if known is None or known[0] is not commands:
            known = room(self)["commands"] = commands, [written_command(command) for command in commands]
        written: list[Raw] = known[1]
        return written

    def outcome(
        self,
        result: str,
        *,
        sent_at: datetime,
        answered_at: datetime,
        http_status: int | None = None,
        venue_code: int | None = None,
        recv_window_ms: int | None = None,
        items: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """What became of it at the venue. ``recv_window_ms`` is what it was signed with, ``None`` when it was not."""
        return self._record("outcome", answered_at) | {
            "result": result,
            "http_status": http_status,
            "venue_code": venue_code,
            "recv_window_ms": recv_window_ms,
            "items": [dict(item) for item in items],
            "sent_at": sent_at,
            "answered_at": answered_at,
        }


def _named(record: AccountRecord) -> Raw:
    """The record's name, and of which symbols there was something in it; of which bot says the picture."""
    return once_for_all({"$ref": f"record:{record.account}@{record.version}", "symbols": record.symbols()})
