"""The audit's records as the events that the anomaly score reads. No state but which orders are waited for.

Entries and amends count, and cancels for the churn they make; exits are never held against a bot, nor what the
score's own rule refused: a bot that is slowed down would be slowed for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from proxy.decoding import build
from proxy.signals.evidence.event import OrderEvent
from proxy.store.codec import build_command, build_snapshot
from rules.decision import Breach, Verdict
from rules.exposure import held_order, order_value
from rules.flow.staged_response import StagedResponse
from rules.model import AmendOrder, CancelOrder, Command, Intent, PlaceOrder, Side
from rules.snapshot import Snapshot

WAITED_FOR_MAX: Final = 4_096
BPS: Final = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What is read of a decision."""

    verdict: Verdict
    intent: Intent
    breaches: tuple[Breach, ...]


class OrderStream:
    """Reads decisions and the outcomes of those that were entries."""

    def __init__(self) -> None:
        self._waited_for: dict[str, None] = {}

    def read(self, record: Mapping[str, Any]) -> list[OrderEvent]:
        """The events in one record; none in what is of another kind, or cannot be read."""
        if record.get("kind") == "outcome":
            return self._outcome(record)
        if record.get("kind") != "decision":
            return []
        found = decided(record)
        if any(event.type in ("new", "amend") and event.rejected is None for event in found):
            self._waited_for[str(record.get("id"))] = None
            if len(self._waited_for) > WAITED_FOR_MAX:
                del self._waited_for[next(iter(self._waited_for))]
        return found

    def _outcome(self, record: Mapping[str, Any]) -> list[OrderEvent]:
        if self._waited_for.pop(str(record.get("id")), self) is self:
            return []
        try:
            sent = datetime.fromisoformat(record["sent_at"]).timestamp()
            answered = datetime.fromisoformat(record["answered_at"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return []  # The archive keeps unreadable records; there is nothing to learn from them.
        result = record.get("result")
        rejected = None if result not in ("ACCEPTED", "REJECTED") else result == "REJECTED"
        return [OrderEvent(ts=answered, type="answer", round_trip_ms=1000.0 * (answered - sent), rejected=rejected)]


def decided(record: Mapping[str, Any]) -> list[OrderEvent]:
    """The entries, amends and cancels of one decision record."""
    try:
        commands = [build_command(command) for command in record["commands"]]
        snapshot = _looked_at(record["snapshot"], commands)
        decisions = [build(decision, _Judged) for decision in record["decisions"]]
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        return []
    events = (_event(each, verdict, snapshot) for each, verdict in zip(commands, decisions, strict=False))
    return [event for event in events if event is not None]


def _looked_at(picture: Mapping[str, Any], commands: Iterable[Command]) -> Snapshot:
    """Of a decision's snapshot the moment and the prices of what was ordered.

    The rest, above all what the bot tried before, is most of the record, and every order of the desk comes by here.
    """
    markets = picture["markets"]
    named = {command.symbol for command in commands if isinstance(command, PlaceOrder | AmendOrder)}
    return build_snapshot(
        {
            "now": picture["now"],
            "bot": picture["bot"],
            "account": None,
            "controls": picture["controls"],
            "markets": {symbol: markets[symbol] for symbol in named if symbol in markets},
        }
    )


def _event(command: Command, decision: _Judged, snapshot: Snapshot) -> OrderEvent | None:
    at = snapshot.now.timestamp()
    if isinstance(command, CancelOrder):
        return OrderEvent(ts=at, type="cancel", symbol=command.symbol or "")
    if decision.intent is not Intent.ENTRY or not isinstance(command, PlaceOrder | AmendOrder):
        return None
    if _is_refused_by_score(decision):
        return None
    held = held_order(command, snapshot)
    return OrderEvent(
        ts=at,
        type="new" if isinstance(command, PlaceOrder) else "amend",
        symbol=command.symbol,
        side=command.side.value.lower(),
        notional=float(order_value(held, snapshot)) if held is not None else None,
        distance_bps=_distance(command, snapshot),
        rejected=True if decision.verdict is Verdict.DENY else None,
    )


def _is_refused_by_score(decision: _Judged) -> bool:
    """Whether nothing but the score's own rule refused it."""
    return decision.verdict is Verdict.DENY and {each.rule_id for each in decision.breaches} == {StagedResponse.rule_id}


def _distance(command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> float | None:
    """Basis points from the mark, positive where the order gives away more than the mark; ``None`` without a price."""
    market = snapshot.markets.get(command.symbol)
    if market is None or command.price is None or market.mark_price <= 0:
        return None
    above = BPS * (float(command.price / market.mark_price) - 1.0)
    return above if command.side is Side.BUY else -above
