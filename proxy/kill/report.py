"""What a kill did, computed from its journal alone: whoever started or joined it gets the same account of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from proxy.kill.journal import Job
from rules.kill.events import (
    CancelFailed,
    CancelSent,
    CloseFailed,
    CloseRejected,
    CloseSent,
    DeadlinePassed,
    Engaged,
    Event,
    KeysDisabled,
    OpenLeg,
    Phase,
    Resumed,
    Surveyed,
    SurveyFailed,
    Waited,
)
from rules.kill.machine import CALM_READS, advice, left, replay


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """One line of the story."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPosition:
    """How much of a leg is gone since it was seen largest, by our orders or by anybody's."""

    symbol: str
    position_side: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """One account's kill.

    ``flat_ms`` is the time from the press to the first of the last calm read-backs, ``verified_ms`` to the end.
    ``cancelled`` counts orders, plain and conditional, that were seen and are gone. ``trouble`` is the guard's own.
    """

    job_id: str
    account: str
    scope: str
    by: str
    reason: str
    started_at: datetime
    phase: Phase
    flat: bool
    blocked_ms: float | None
    flat_ms: float | None
    verified_ms: float | None
    latched: bool
    cancelled: int
    closed: tuple[ClosedPosition, ...]
    read_backs: tuple[datetime, ...]
    left: tuple[str, ...]
    why: str
    advice: str
    joined: bool
    trouble: str
    steps: tuple[StepTaken, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReport:
    """A press and what became of every account it covers. ``flat`` only if all of them are and there was one."""

    scope: str
    by: str
    reason: str
    started_at: datetime
    blocked_ms: float | None
    generation: int | None
    flat: bool
    phase: Phase
    accounts: tuple[AccountReport, ...]
    trouble: str


def account_report(job: Job, events: list[Event], *, joined: bool = False, trouble: str = "") -> AccountReport:
    """The report of one journal, finished or not."""
    state = replay(events)
    surveys = [event for event in events if isinstance(event, Surveyed)]
    phase = state.phase if state else Phase.ENGAGED
    calm = _last_calm_reads(surveys) if phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST) else ()
    return AccountReport(
        job_id=job.job_id,
        account=job.account,
        scope=job.scope,
        by=job.by,
        reason=job.reason,
        started_at=job.started_at,
        phase=phase,
        flat=phase is Phase.FLAT,
        blocked_ms=job.blocked_ms,
        flat_ms=_milliseconds(job, calm[0]) if calm else None,
        verified_ms=_milliseconds(job, calm[-1]) if calm else None,
        latched=any(event.latched for event in events if isinstance(event, KeysDisabled)),
        cancelled=_cancelled(surveys),
        closed=_closed(surveys),
        read_backs=calm,
        left=left(state) if state else ("unknown: the kill has not begun",),
        why=state.why if state else "",
        advice=advice(state) if state else "",
        joined=joined,
        trouble=trouble,
        steps=tuple(StepTaken(at=event.at, what=_words(event)) for event in events),
    )


def worst(phases: tuple[Phase, ...]) -> Phase:
    """The phase that describes several accounts: the one furthest from flat, DEGRADED before all."""
    order = (Phase.DEGRADED, *(phase for phase in Phase if not phase.final), Phase.FLAT_EXCEPT_DUST, Phase.FLAT)
    return min(phases, key=order.index, default=Phase.ENGAGED)


def _last_calm_reads(surveys: list[Surveyed]) -> tuple[datetime, ...]:
    calm: list[datetime] = []
    for survey in reversed(surveys):
        busy = survey.plain_orders or survey.conditional_orders or any(leg.closable for leg in survey.positions)
        if busy:
            break
        calm.insert(0, survey.at)
    # More than three were read only when a failing read or a crash came between; the last ones carry the verdict.
    return tuple(calm) if len(calm) >= CALM_READS else ()


def _cancelled(surveys: list[Surveyed]) -> int:
    seen = {order for survey in surveys for order in (*survey.plain_orders, *survey.conditional_orders)}
    last = {order for survey in surveys[-1:] for order in (*survey.plain_orders, *survey.conditional_orders)}
    return len(seen - last)


def _closed(surveys: list[Surveyed]) -> tuple[ClosedPosition, ...]:
    largest: dict[str, OpenLeg] = {}
    for leg in (leg for survey in surveys for leg in survey.positions):
        if leg.key not in largest or abs(leg.quantity) > abs(largest[leg.key].quantity):
            largest[leg.key] = leg
    now = {leg.key: leg.quantity for survey in surveys[-1:] for leg in survey.positions}
    return tuple(
        ClosedPosition(
            symbol=leg.symbol, position_side=leg.position_side.value, quantity=leg.quantity - now.get(key, Decimal(0))
        )
        for key, leg in sorted(largest.items())
        if leg.quantity != now.get(key)
    )


def _milliseconds(job: Job, at: datetime) -> float:
    return round((at - job.started_at).total_seconds() * 1000, 1)


def _words(event: Event) -> str:
    match event:
        case Engaged():
            return f"engaged by {event.by}: {event.reason}"
        case KeysDisabled():
            return "entries blocked" + ("" if event.latched else "; the shared store could not be told")
        case Surveyed():
            orders, conditionals = len(event.plain_orders), len(event.conditional_orders)
            return f"read {orders} orders, {conditionals} conditional orders, {len(event.positions)} positions"
        case SurveyFailed():
            return f"could not read: {event.error}"
        case CancelSent():
            return f"cancelled {_kind(event.step.conditional)} of {event.step.symbol}"
        case CancelFailed():
            return f"could not cancel {_kind(event.step.conditional)} of {event.step.symbol}: {event.error}"
        case CloseSent():
            return f"closing {event.step.side.value} {event.step.quantity} {event.step.leg.key}"
        case CloseFailed() | CloseRejected():
            return f"could not close {event.step.quantity} {event.step.leg.key}: {event.error}"
        case Waited():
            return "waited"
        case Resumed():
            return "taken over after a crash"
        case DeadlinePassed():
            return "time is up"
        case _:
            assert_never(event)


def _kind(conditional: bool) -> str:
    return "conditional orders" if conditional else "orders"
