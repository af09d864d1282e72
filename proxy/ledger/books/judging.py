"""What the audit's records say about the orders bots asked for, as the ledger keeps it. Pure.

A record that is not of the expected shape is left out: it is the audit's to say so, and only a count rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from proxy.ledger.books.book import JudgedOrder, JudgedOutcome
from rules.model import OrderType

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_CONDITIONAL: Final = frozenset(each.value for each in OrderType if each.is_conditional)


def judged_orders(record: Mapping[str, Any]) -> list[JudgedOrder]:
    """The orders a decision record places, and the prices they were judged on where they arrive at once."""
    commands, decisions = record.get("commands"), record.get("decisions")
    at_us, markets = _micros(record.get("at")), _mapping(_mapping(record.get("snapshot")).get("markets"))
    if not isinstance(commands, list) or not isinstance(decisions, list) or at_us is None:
        return []
    withheld = _mapping(record.get("withheld"))
    found = []
    for place, (command, decision) in enumerate(zip(commands, decisions, strict=False)):
        if not isinstance(command, dict) or command.get("type") != "PlaceOrder":
            continue
        # A conditional order arrives when its trigger is reached, hours later and at other prices: nothing measures it.
        arrives = str(command.get("order_type")) not in _CONDITIONAL
        market = _mapping(markets.get(str(command.get("symbol")))) if arrives else {}
        found.append(
            JudgedOrder(
                request=str(record.get("id")),
                item=place,
                bot=str(record.get("bot")),
                symbol=str(command.get("symbol")),
                at_us=at_us,
                client_order_id=str(command.get("client_order_id") or ""),
                refused=_mapping(decision).get("verdict") == "DENY" or str(place) in withheld,
                bid=_text(market.get("bid_price")),
                ask=_text(market.get("ask_price")),
                mark=_text(market.get("mark_price")),
            )
        )
    return found


def judged_outcomes(record: Mapping[str, Any]) -> list[JudgedOutcome]:
    """What an outcome record says of the request's orders, one by one where it does."""
    request, result, answered_us = str(record.get("id")), record.get("result"), _micros(record.get("answered_at"))
    items = record.get("items")
    told = [each for each in items if isinstance(each, dict) and "place" in each] if isinstance(items, list) else []
    if told:
        return [
            JudgedOutcome(
                request=request,
                item=int(each["place"]),
                result=str(each.get("outcome")).upper(),
                answered_us=answered_us,
            )
            for each in told
        ]
    return [JudgedOutcome(request=request, item=None, result=str(result).upper(), answered_us=answered_us)]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _micros(moment: object) -> int | None:
    try:
        return (datetime.fromisoformat(str(moment)) - _EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError):
        return None
