"""What the evidence says of an account: each condition of the automatic triggers, met, not met, or not known.

Soft signs ask for a reduction, hard ones for a kill. A hard one needs a second source where there is one, read anew by
the kill's own hands. What is old says nothing: an account nobody can follow is reduced, and killed only if the kill's
own hands see it open after a long while. A kill of what is flat is pointless and never asked for a loss, so that a
person who re-arms after one is not stopped again before anything was opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from rules.ages import seconds
from rules.kill.evidence import AccountSeen, Evidence, ForecastSeen, OrdersSeen, Results
from rules.kill.settings import Triggers
from rules.kill.views import any_met, watched_views
from rules.rule import show, show_percent

ZERO: Final = Decimal(0)

Fact = TypeVar("Fact", AccountSeen, Results, ForecastSeen)

DUST: Final = Decimal("0.01")
"""A share of the equity: legs that are worth less together are no reason to close anything."""


class Action(StrEnum):
    """What a ruling asks for."""

    NONE = "none"
    REDUCE = "reduce"
    KILL = "kill"


class Trigger(StrEnum):
    """What was seen."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    LIQUIDATION = "liquidation"
    UNREAD = "unread"
    UNRECORDED_ORDERS = "unrecorded_orders"
    OUTSIDE_ORDERS = "outside_orders"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One condition as it stands: ``met`` is ``None`` when that cannot be said. ``stamp`` is the evidence's time."""

    trigger: Trigger
    action: Action
    met: bool | None
    stamp: datetime
    reason: str
    needed: int
    lasting: timedelta = timedelta(0)
    look: bool = False


def signs(evidence: Evidence, settings: Triggers) -> Iterator[Sign]:
    """Every condition that the settings watch."""
    yield from _losses(Trigger.DAILY_LOSS, settings.daily_loss_reduce, settings.daily_loss_kill, evidence, settings)
    yield from _losses(Trigger.DRAWDOWN, settings.drawdown_reduce, settings.drawdown_kill, evidence, settings)
    yield from _liquidation(evidence, settings)
    yield from _unread(evidence, settings)
    yield from _orders(Trigger.UNRECORDED_ORDERS, evidence.unrecorded, settings.unrecorded_orders_kill, evidence)
    yield from _orders(Trigger.OUTSIDE_ORDERS, evidence.outside, settings.outside_orders_kill, evidence)
    if settings.anomaly_reduce is not None:
        yield Sign(
            trigger=Trigger.ANOMALY,
            action=Action.REDUCE,
            met=evidence.anomaly >= settings.anomaly_reduce,
            stamp=evidence.at,
            reason=f"the anomaly score has been {show(evidence.anomaly)} for {settings.anomaly_for_s} s",
            needed=settings.confirmations,
            lasting=seconds(settings.anomaly_for_s),
        )


def _losses(
    trigger: Trigger, soft: Decimal | None, hard: Decimal | None, evidence: Evidence, settings: Triggers
) -> Iterator[Sign]:
    """The record says what was lost; the kill's hands say what the account is worth now. A kill needs both."""
    results = _fresh(evidence.results, evidence, settings)
    bases = _bases(trigger, results) if results is not None else ()
    lost = max((_lost(base, results.equity) for base in bases), default=ZERO) if results is not None else None
    words = "of the highest equity is lost" if trigger is Trigger.DRAWDOWN else "of the equity is lost in a day"
    if soft is not None:
        yield Sign(
            trigger=trigger,
            action=Action.REDUCE,
            met=None if lost is None else lost >= soft,
            stamp=results.as_of if results is not None else evidence.at,
            reason=f"{show_percent(lost or ZERO)} {words}",
            needed=settings.confirmations,
        )
    if hard is None:
        return
    reading = _fresh(evidence.reading, evidence, settings)
    reached = lost is not None and lost >= hard
    met: bool | None = False
    if lost is None or (reached and reading is None):
        met = None
    elif reached and reading is not None:
        met = _is_open(reading, evidence.book) and max(_lost(base, reading.equity) for base in bases) >= hard
    yield Sign(
        trigger=trigger,
        action=Action.KILL,
        met=met,
        stamp=reading.as_of if reading is not None else evidence.at,
        reason=f"{show_percent(lost or ZERO)} {words}, and the venue says the same",
        needed=settings.confirmations,
        look=reached and (evidence.book is None or bool(evidence.book.legs)),
    )


def _bases(trigger: Trigger, results: Results) -> tuple[Decimal, ...]:
    """What losses are measured from, in quote currency: the equity before each window's result, or the peak."""
    if trigger is Trigger.DRAWDOWN:
        return (results.equity_peak,)
    return (results.equity - results.day, results.equity - results.rolling)


def _lost(base: Decimal, equity: Decimal) -> Decimal:
    """The fraction of ``base`` that is gone; an account that began with nothing has nothing to lose."""
    return (base - equity) / base if base > ZERO else ZERO


def _liquidation(evidence: Evidence, settings: Triggers) -> Iterator[Sign]:
    """First source: the guard's own distance in measured volatility, and a forecast where one is stated. Either is
    enough, and neither silences the other. Second source: the venue's own liquidation price of a leg that the first
    has near, read anew."""
    book = _fresh(evidence.book, evidence, settings)
    forecast = _fresh(evidence.forecast, evidence, settings)
    soft, hard = watched_views(book, forecast, settings)
    if soft:
        reached = [view for view in soft if view.soft]
        yield Sign(
            trigger=Trigger.LIQUIDATION,
            action=Action.REDUCE,
            met=any_met(view.soft for view in soft),
            stamp=book.as_of if book is not None else evidence.at,
            reason=(reached or soft)[0].reason,
            needed=settings.confirmations,
        )
    if not hard:
        return
    reading = _fresh(evidence.reading, evidence, settings)
    reached = [view for view in hard if view.hard]
    near = [view for view in reached if reading is not None and _is_near(reading, view.symbol, settings)]
    met = any_met(view.hard for view in hard)
    if reached:
        met = None if reading is None else bool(near)
    reason = (near or reached or hard)[0].reason
    yield Sign(
        trigger=Trigger.LIQUIDATION,
        action=Action.KILL,
        met=met,
        stamp=reading.as_of if reading is not None else evidence.at,
        reason=f"{reason}, and by the venue's own price within {show_percent(settings.liquidation_distance_kill)}",
        needed=settings.confirmations,
        look=bool(reached),
    )


def _is_near(reading: AccountSeen, symbol: str, settings: Triggers) -> bool:
    legs = [leg for leg in reading.legs if symbol in ("", leg.symbol)]
    return any(leg.distance is not None and leg.distance <= settings.liquidation_distance_kill for leg in legs)


def _unread(evidence: Evidence, settings: Triggers) -> Iterator[Sign]:
    """An account with positions that cannot be followed: reduced on its age alone, killed only on a fresh reading."""
    book = evidence.book
    if book is None:
        return
    age = evidence.at - book.as_of
    reason = f"the account has not been read for {int(age.total_seconds())} s while positions were open"
    open_ = bool(book.legs)
    if settings.unread_reduce_s is not None:
        yield Sign(
            trigger=Trigger.UNREAD,
            action=Action.REDUCE,
            met=open_ and age >= seconds(settings.unread_reduce_s),
            stamp=evidence.at,
            reason=reason,
            needed=settings.confirmations,
        )
    if settings.unread_kill_s is None:
        return
    late = open_ and age >= seconds(settings.unread_kill_s)
    reading = _fresh(evidence.reading, evidence, settings)
    met: bool | None = False
    if late:
        met = _is_open(reading, evidence.book) if reading is not None else None
    yield Sign(
        trigger=Trigger.UNREAD,
        action=Action.KILL,
        met=met,
        stamp=reading.as_of if reading is not None else evidence.at,
        reason=f"{reason}, and the venue answers the kill",
        needed=settings.confirmations,
        look=late,
    )


def _orders(trigger: Trigger, seen: OrdersSeen, most: int | None, evidence: Evidence) -> Iterator[Sign]:
    """Orders that no intent stands behind. Each is a confirmation of its own; they are two sources by nature, for the
    venue shows what the guard's records do not. An outside order by itself is the policy's ``outside_activity``."""
    if most is None:
        return
    stamp = seen.newest or evidence.at
    what = (
        "bear the guard's mark and are in no record" if trigger is Trigger.UNRECORDED_ORDERS else "are not the guard's"
    )
    reason = f"{seen.count} orders {what}"
    yield Sign(trigger=trigger, action=Action.KILL, met=seen.count >= most, stamp=stamp, reason=reason, needed=1)
    if trigger is Trigger.UNRECORDED_ORDERS:
        yield Sign(trigger=trigger, action=Action.REDUCE, met=seen.count > 0, stamp=stamp, reason=reason, needed=1)


def _is_open(seen: AccountSeen, book: AccountSeen | None) -> bool:
    """Whether there is anything worth closing. A leg whose notional is not in dollars, by the guard's own ``book``, is
    never too small for it."""
    uncounted = {leg.symbol for leg in book.legs if not leg.at_par} if book is not None else set()
    if any(leg.symbol in uncounted for leg in seen.legs):
        return True
    worth = sum((leg.notional for leg in seen.legs), ZERO)
    return worth > ZERO and worth >= DUST * seen.equity


def _fresh(fact: Fact | None, evidence: Evidence, settings: Triggers) -> Fact | None:
    """The fact, unless it is too old to confirm anything, or of a time that has not come."""
    if fact is None or abs(evidence.at - fact.as_of) > seconds(settings.facts_age_max_s):
        return None
    return fact
