"""The entries that were not sent, out of the audit: whose they were, which rule kept them back, and how often.

A bot that retries means one order. The same order refused again, each time within a minute of the last, is one intent;
and one that was sent after all within that minute was only late, so it is no refusal to value.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from proxy.audit.pictures import UNREADABLE
from proxy.decoding import build
from proxy.store.codec import build_command, build_decision
from rules.decision import Breach, Decision, Verdict
from rules.model import Intent, PlaceOrder

REPEATED_WITHIN: Final = timedelta(seconds=60)

INTENTS_MAX: Final = 10_000
"""Intents of the last minute that are kept to tell repeats by; beyond it the oldest are not waited for."""

_AMENDED: Final = "amends: what they would have changed is not followed"
_SENT: Final = "sent after all within a minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """An entry, or the part of one, that a rule kept from the venue; first asked for at ``at``, ``times`` in all.

    ``mark`` is the mark price it was judged on. With ``reported`` the rule only reported, and the order was sent.
    """

    id: str
    at: datetime
    bot: str
    account: str
    venue: str
    rule: str
    code: str
    order: PlaceOrder
    mark: Decimal | None
    next_funding_at: datetime | None
    times: int = 1
    reported: bool = False


@dataclass(slots=True)
class _Open:
    first: Unsent
    times: int
    last: datetime


class Refusals:
    """Reads decision records, oldest first, a record and the intents of the last minute in memory at a time.

    With ``rule``, only what that rule refused or reported is given and counted.
    """

    def __init__(self, rule: str | None = None) -> None:
        self._rule = rule
        self.left_out: Counter[str] = Counter()
        """Refused commands that are not given as intents, by reason."""
        self._open: OrderedDict[tuple[object, ...], _Open] = OrderedDict()

    def read(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Unsent]:
        """Every intent that was refused, when its repeats are known, and every order that was only reported."""
        for record in records:
            try:
                found, sent, amends = _read(record)
                at = build(record["at"], datetime)
            except UNREADABLE:
                self.left_out["records that cannot be read back"] += 1
                continue
            self.left_out.update(_AMENDED for refused_by in amends if self._wanted(refused_by))
            yield from self._closed_before(at - REPEATED_WITHIN)
            for order in sent:
                late = self._open.pop(_key(record, order), None)
                if late is not None and self._wanted(late.first.rule):
                    self.left_out[_SENT] += late.times
            for unsent in found:
                if not unsent.reported:
                    yield from self._refused(_key(record, unsent.order), unsent)
                elif self._wanted(unsent.rule):
                    yield unsent
        while self._open:
            yield from self._close_oldest()

    def _wanted(self, rule: str) -> bool:
        return self._rule is None or rule == self._rule

    def _refused(self, key: tuple[object, ...], unsent: Unsent) -> Iterator[Unsent]:
        known = self._open.pop(key, None) or _Open(unsent, 0, unsent.at)
        known.times, known.last = known.times + 1, unsent.at
        self._open[key] = known
        if len(self._open) > INTENTS_MAX:
            yield from self._close_oldest()

    def _closed_before(self, at: datetime) -> Iterator[Unsent]:
        while self._open and next(iter(self._open.values())).last < at:
            yield from self._close_oldest()

    def _close_oldest(self) -> Iterator[Unsent]:
        _, oldest = self._open.popitem(last=False)
        if self._wanted(oldest.first.rule):
            yield replace(oldest.first, times=oldest.times)


def unsent_of(record: Mapping[str, Any]) -> tuple[Unsent, ...]:
    """The entries one decision record kept from the venue. Raises what ``UNREADABLE`` names."""
    return tuple(unsent for unsent in _read(record)[0] if not unsent.reported)


def _read(record: Mapping[str, Any]) -> tuple[list[Unsent], list[PlaceOrder], list[str]]:
    """What was kept back or only reported, what was sent, whole or in part, as it was asked for, and by which rules
    amends were refused."""
    found: list[Unsent] = []
    sent: list[PlaceOrder] = []
    amends: list[str] = []
    withheld = record.get("withheld") or {}
    for place, (command, decided) in enumerate(zip(record["commands"], record["decisions"], strict=True)):
        decision = build_decision(decided)
        if decision.intent is not Intent.ENTRY:
            continue
        order = build_command(command)
        breach = build(withheld[str(place)], Breach) if str(place) in withheld else None
        if breach is None and decision.verdict is Verdict.DENY:
            breach = _told(decision)
        if not isinstance(order, PlaceOrder):
            amends += [breach.rule_id] if breach is not None else []
        elif breach is not None:
            found.append(_unsent(record, order, breach))
        else:
            sent.append(order)
            cut, went = _cut_off(order, decision)
            if cut is not None:
                found.append(_unsent(record, cut, decision.trimmed_by[0]))
            # Under every rule that objects, but once: a limit may stand at several levels and be broken at each.
            objecting = {each.rule_id: each for each in reversed(decision.would_deny)}
            found += [replace(_unsent(record, went, each), reported=True) for each in objecting.values()]
    return found, sent, amends


def _told(decision: Decision) -> Breach:
    if not decision.breaches:
        raise ValueError("a refusal without its reason")
    return decision.breaches[0]


def _cut_off(order: PlaceOrder, decision: Decision) -> tuple[PlaceOrder | None, PlaceOrder]:
    """The part of an entry that was sized down which was not sent, ``None`` without one, and the part that was."""
    effective = decision.effective
    if decision.trimmed_from is None or not isinstance(effective, PlaceOrder) or effective.quantity is None:
        return None, order
    return replace(order, quantity=decision.trimmed_from - effective.quantity), effective


def _unsent(record: Mapping[str, Any], order: PlaceOrder, breach: Breach) -> Unsent:
    picture = record["snapshot"]
    market = (picture.get("markets") or {}).get(order.symbol) or {}
    mark, stamp = market.get("mark_price"), market.get("next_funding_at")
    return Unsent(
        id=record["id"],
        at=build(record["at"], datetime),
        bot=record["bot"],
        account=record["account"],
        venue=_venue(picture),
        rule=breach.rule_id,
        code=breach.code,
        order=order,
        mark=None if mark is None else Decimal(mark),
        next_funding_at=None if stamp is None else build(stamp, datetime),
    )


def _venue(picture: Mapping[str, Any]) -> str:
    """The instruments a decision names are those of its venue: ``instruments:VENUE@VERSION``."""
    reference = str((picture.get("instruments") or {}).get("$ref", ""))
    return reference.removeprefix("instruments:").partition("@")[0]


def _key(record: Mapping[str, Any], order: PlaceOrder) -> tuple[object, ...]:
    """What makes two orders the same intent: everything but the name the bot gave it and how it wants to be told."""
    return record["bot"], record["account"], replace(order, client_order_id=None, response_type=None, good_till_ms=None)
