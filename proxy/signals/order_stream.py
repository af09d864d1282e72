"""The audit's records as the events that the anomaly score reads. No state but which orders are waited for.

Entries and amends count, and cancels for the churn they make; exits are never held against a bot. Nor is what the
guard refused for reasons of its own (a stop, a stream with a gap), or for the score itself: a bot that is slowed down
would be slowed for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from proxy.decoding import build
from proxy.signals.evidence.event import OrderEvent
from proxy.store.codec import build_command
from rules.decision import Breach, Verdict
from rules.exposure import held_order, order_value
from rules.flow.message_rate import MessageRate
from rules.flow.staged_response import StagedResponse
from rules.flow.trading_state import TradingStateGate
from rules.market.data_freshness import DataFreshness
from rules.model import AmendOrder, CancelOrder, Command, Intent, PlaceOrder, Side
from rules.snapshot import Snapshot

WAITED_FOR_MAX: Final = 4_096
BPS: Final = 10_000.0

_NOT_THE_BOT_S: Final = frozenset({StagedResponse.rule_id, TradingStateGate.rule_id, DataFreshness.rule_id})
"""Rules that refuse for what the guard, or the score, has made of the bot's world."""

_TIGHTENED: Final = _NOT_THE_BOT_S | {MessageRate.rule_id}
"""With the rate, whose limit the score tightens: what it alone refuses at a score above 0 counts for pace only."""

_OF_THE_ORDER: Final = frozenset({"UNKNOWN_SYMBOL", "SYMBOL_NOT_TRADING", "QUOTE_NOT_JUDGED"})
"""What ``data_freshness`` says of the order, and not of the guard."""


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
        found = _decided(record)
        if any(sent for _, sent in found):
            self._waited_for[str(record.get("id"))] = None
            if len(self._waited_for) > WAITED_FOR_MAX:
                del self._waited_for[next(iter(self._waited_for))]
        return [event for event, _ in found]

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


def _decided(record: Mapping[str, Any]) -> list[tuple[OrderEvent, bool]]:
    """The entries, amends and cancels of one decision record, each with whether it is an entry that was let through."""
    try:
        commands = [build_command(command) for command in record["commands"]]
        snapshot = _looked_at(record["snapshot"], commands)
        anomaly = float(record["snapshot"]["anomaly"])
        decisions = [build(decision, _Judged) for decision in record["decisions"]]
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        return []
    return [
        (event, event.type != "cancel" and decision.verdict is Verdict.ALLOW)
        for command, decision in zip(commands, decisions, strict=False)
        if (event := _event(command, decision, snapshot, anomaly)) is not None
    ]


def _looked_at(picture: Mapping[str, Any], commands: Iterable[Command]) -> Snapshot:
    """Of a decision's snapshot the moment and the prices of what was ordered.

    The rest, above all what the bot tried before, is most of the record, and every order of the desk comes by here.
    """
    markets = picture["markets"]
    named = {command.symbol for command in commands if isinstance(command, PlaceOrder | AmendOrder)}
    looked_at = {
        "now": picture["now"],
        "bot": picture["bot"],
        "account": None,
        "controls": picture["controls"],
        "markets": {symbol: markets[symbol] for symbol in named if symbol in markets},
    }
    return build(looked_at, Snapshot)


def _event(command: Command, decision: _Judged, snapshot: Snapshot, anomaly: float) -> OrderEvent | None:
    at = snapshot.now.timestamp()
    if isinstance(command, CancelOrder):
        return OrderEvent(ts=at, type="cancel", symbol=command.symbol or "")
    if decision.intent is not Intent.ENTRY or not isinstance(command, PlaceOrder | AmendOrder):
        return None
    refused = _refused_by(decision)
    if _is_the_guard_s(refused):
        return None
    held = held_order(command, snapshot)
    return OrderEvent(
        ts=at,
        type="new" if isinstance(command, PlaceOrder) else "amend",
        symbol=command.symbol,
        side=command.side.value.lower(),
        notional=float(order_value(held, snapshot)) if held is not None else None,
        distance_bps=_distance(command, snapshot),
        rejected=True if refused and not (anomaly > 0 and refused <= _TIGHTENED) else None,
    )


def _refused_by(decision: _Judged) -> frozenset[str]:
    """The rules that refused it, or what they say of the order itself."""
    if decision.verdict is not Verdict.DENY:
        return frozenset()
    return frozenset(each.code if each.code in _OF_THE_ORDER else each.rule_id for each in decision.breaches)


def _is_the_guard_s(refused: frozenset[str]) -> bool:
    """Whether it was refused, and by nothing that says anything of the bot. A rate that is above its limit while the
    score refuses has been tightened by the score."""
    if StagedResponse.rule_id in refused:
        return refused <= _TIGHTENED
    return bool(refused) and refused <= _NOT_THE_BOT_S


def _distance(command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> float | None:
    """Basis points from the mark, positive where the order gives away more than the mark; ``None`` without a price."""
    market = snapshot.markets.get(command.symbol)
    if market is None or command.price is None or market.mark_price <= 0:
        return None
    above = BPS * (float(command.price / market.mark_price) - 1.0)
    return above if command.side is Side.BUY else -above
