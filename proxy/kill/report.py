"""What a kill did, computed from its journal alone: whoever started or joined it gets the same account of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, assert_never

from proxy.kill.in_flight import InFlight
from proxy.kill.journal import Job
from rules.kill.cost import Cost, CostEstimate
from rules.kill.events import (
    CancelFailed,
    CancelSent,
    Cause,
    CloseFailed,
    CloseRejected,
    CloseSent,
    Costed,
    CostEstimated,
    DeadlinePassed,
    Engaged,
    Event,
    KeysDisabled,
    Phase,
    Resumed,
    Surveyed,
    SurveyFailed,
    Tallied,
    Waited,
)
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.kill.machine import replay
from rules.kill.reckoning import filled_by_leg, reckoned
from rules.kill.rounds import CALM_READS
from rules.kill.state import advice, left


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """One line of the story."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPosition:
    """How much of a leg is gone since it was seen largest; ``filled`` of it, without a sign, by the kill's own closes.

    The rest was closed by others: orders of a bot still on their way, a liquidation, auto-deleveraging.
    """

    symbol: str
    position_side: str
    quantity: Decimal
    filled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """One account's kill.

    ``exposed_ms`` is the time from the press to the first reading from which on no position was seen, ``flat_ms`` to
    the first of the last calm read-backs, ``verified_ms`` to the end. ``cancelled`` counts orders of every kind that
    were seen and are gone. ``unlisted`` names the kinds of orders that the venue does not list at the address we read.
    ``cause``, ``retry_at`` and ``cause_symbols`` say, for a machine, why it ended DEGRADED and when to begin again:
    ``retry_at`` only where the venue named a time. ``trouble`` is the guard's own.
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
    exposed_ms: float | None
    flat_ms: float | None
    verified_ms: float | None
    latched: bool
    cancelled: int
    closed: tuple[ClosedPosition, ...]
    read_backs: tuple[datetime, ...]
    unlisted: tuple[str, ...]
    left: tuple[str, ...]
    why: str
    cause: Cause | None
    retry_at: datetime | None
    cause_symbols: tuple[str, ...]
    advice: str
    cost_estimate: CostEstimate | None
    cost: Cost | None
    joined: bool
    trouble: str
    steps: tuple[StepTaken, ...]

    @property
    def left_open(self) -> bool:
        """Whether it ended with more open than what is too small for the venue to take."""
        return self.phase is Phase.DEGRADED

    def read_after(self, moment: datetime | None) -> bool:
        """Whether the last calm reading began after a moment, as far as is known: not before the reading before it
        had ended. The clock of whoever else ran a job is not ours."""
        return moment is not None and not self.joined and len(self.read_backs) > 1 and moment <= self.read_backs[-2]


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReport:
    """A press and what became of every account it covers. ``flat`` only if all of them are and there was one.

    ``not_touched`` are those that nobody could reach for, with the reason: then it is neither flat nor done.
    ``in_flight`` says what was on the wire, where that was followed by whoever had no warden.
    """

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
    not_touched: tuple[str, ...] = ()
    in_flight: InFlight | None = None


_KINDS: Final = {
    OrderKind.PLAIN: "orders",
    OrderKind.CONDITIONAL: "conditional orders",
    OrderKind.ALGO: "algo orders",
}


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
        exposed_ms=_exposed_ms(job, surveys) if phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST) else None,
        flat_ms=_milliseconds(job, calm[0]) if calm else None,
        verified_ms=_milliseconds(job, calm[-1]) if calm else None,
        latched=any(event.latched for event in events if isinstance(event, KeysDisabled)),
        cancelled=_cancelled(surveys),
        closed=_closed(surveys, filled_by_leg(events)),
        read_backs=calm,
        unlisted=tuple(sorted({what for survey in surveys for what in survey.unlisted})),
        left=left(state) if state else ("unknown: the kill has not begun",),
        why=state.why if state else "",
        cause=state.cause if state else None,
        retry_at=state.retry_at if state else None,
        cause_symbols=state.cause_symbols if state else (),
        advice=advice(state) if state else "",
        cost_estimate=next((event.estimate for event in events if isinstance(event, CostEstimated)), None),
        cost=reckoned(events),
        joined=joined,
        trouble=trouble,
        steps=tuple(StepTaken(at=event.at, what=_words(event)) for event in events),
    )


def lacking(report: KillReport, not_touched: Sequence[str]) -> KillReport:
    """The report of a press that had no hands for some of its accounts."""
    if not not_touched:
        return report
    return replace(report, flat=False, phase=Phase.DEGRADED, not_touched=tuple(not_touched))


def worst(phases: tuple[Phase, ...]) -> Phase:
    """The phase that describes several accounts: the one furthest from flat, DEGRADED before all."""
    order = (Phase.DEGRADED, *(phase for phase in Phase if not phase.final), Phase.FLAT_EXCEPT_DUST, Phase.FLAT)
    return min(phases, key=order.index, default=Phase.ENGAGED)


def _exposed_ms(job: Job, surveys: list[Surveyed]) -> float | None:
    """From the press to the first reading of the last unbroken run of them that showed nothing to be closed."""
    since: datetime | None = None
    for survey in surveys:
        exposed = not survey.positions_read or any(leg.closable for leg in survey.positions)
        since = None if exposed else since or survey.at
    return _milliseconds(job, since) if since is not None else None


def _last_calm_reads(surveys: list[Surveyed]) -> tuple[datetime, ...]:
    calm: list[datetime] = []
    for survey in reversed(surveys):
        quiet = survey.complete and not survey.unread and not survey.orders
        if not quiet or any(leg.closable for leg in survey.positions):
            break
        calm.insert(0, survey.at)
    # More than three were read only when a failing read or a crash came between; the last ones carry the verdict.
    return tuple(calm) if len(calm) >= CALM_READS else ()


_OrdersOf = Callable[[Surveyed], tuple[RestingOrder, ...]]

_READ_AS: Final[tuple[tuple[_OrdersOf, tuple[str, ...]], ...]] = (
    (lambda survey: survey.plain_orders, ("orders: ", "triggered orders of ")),
    (lambda survey: survey.conditional_orders, ("conditional orders: ",)),
    (lambda survey: survey.algo_orders, ("algo orders: ",)),
)
"""The orders of a reading by kind, and how its ``unread`` begins where they, or some of them, were not read."""


def _cancelled(surveys: list[Surveyed]) -> int:
    """Orders seen that are gone, each kind by the last reading that read it: what was not read may rest yet."""
    return sum(_gone(surveys, orders_of, words) for orders_of, words in _READ_AS)


def _gone(surveys: list[Surveyed], orders_of: _OrdersOf, words: tuple[str, ...]) -> int:
    gone, seen = 0, set[RestingOrder]()
    for survey in surveys:
        now = set(orders_of(survey))
        seen |= now
        if survey.complete and not survey.misses(*words):
            gone = len(seen - now)
    return gone


def _closed(surveys: list[Surveyed], filled: Mapping[str, Decimal]) -> tuple[ClosedPosition, ...]:
    largest: dict[str, OpenLeg] = {}
    for leg in (leg for survey in surveys for leg in survey.positions):
        if leg.key not in largest or abs(leg.quantity) > abs(largest[leg.key].quantity):
            largest[leg.key] = leg
    read = [survey for survey in surveys if survey.positions_read]
    now = {leg.key: leg.quantity for survey in read[-1:] for leg in survey.positions}
    return tuple(
        ClosedPosition(
            symbol=leg.symbol,
            position_side=leg.position_side.value,
            quantity=leg.quantity - now.get(key, Decimal(0)),
            filled=filled.get(key, Decimal(0)),
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
            return _read(event)
        case SurveyFailed():
            return f"could not read: {event.error}"
        case CancelSent():
            return f"cancelled {_KINDS[event.step.kind]} of {event.step.symbol}"
        case CancelFailed():
            return f"could not cancel {_KINDS[event.step.kind]} of {event.step.symbol}: {event.error}"
        case CloseSent():
            at = "at the market" if event.step.price is None else f"at {event.step.price} or better"
            return (
                f"closing {event.step.side.value} {event.step.quantity} {event.step.leg.key} {at}: "
                f"{event.filled_quantity} filled"
            )
        case CloseFailed() | CloseRejected():
            return f"could not close {event.step.quantity} {event.step.leg.key}: {event.error}"
        case CostEstimated():
            shown = f"{event.estimate.in_book * 100:.0f} % of it stands in the book"
            return f"closing {event.estimate.notional:.2f} is expected to cost {event.estimate.cost:.2f}; {shown}"
        case Tallied():
            return f"learnt the fees of {len(event.fees)} closes" if not event.error else f"no tally: {event.error}"
        case Costed():
            return f"closing {event.cost.notional:.2f} has cost {event.cost.slippage:.2f} and {_fees(event.cost)}"
        case Waited():
            return "waited"
        case Resumed():
            return "taken over after a crash"
        case DeadlinePassed():
            return "time is up"
        case _:
            assert_never(event)


def _read(survey: Surveyed) -> str:
    if not survey.complete:
        return f"read {len(survey.positions)} positions"
    orders, conditionals, algos = len(survey.plain_orders), len(survey.conditional_orders), len(survey.algo_orders)
    unread = f"; not read: {', '.join(survey.unread)}" if survey.unread else ""
    return (
        f"read {orders} orders, {conditionals} conditional orders, {algos} algo orders, "
        f"{len(survey.positions)} positions{unread}"
    )


def _fees(cost: Cost) -> str:
    fees = ", ".join(f"{amount} {asset}" for asset, amount in sorted(cost.fees.items())) or "none"
    return f"fees {fees}" if cost.fees_known else f"fees {fees}, not all known"
