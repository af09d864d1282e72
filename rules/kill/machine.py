"""The kill switch of one account as a pure state machine: what has happened, what is therefore to be done next.

``ENGAGED → KEYS_DISABLED → CANCELLING ⇄ FLATTENING → VERIFYING → FLAT``, or ``FLAT_EXCEPT_DUST``, or ``DEGRADED``.
It believes nothing but surveys: FLAT takes three calm ones in a row, at least six seconds from first to third. There is
no way from an end back to trading; re-arming is another act, by a person. It knows no clock, no venue, no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar, assert_never

from rules.kill.events import (
    Action,
    Cancel,
    CancelFailed,
    CancelSent,
    CancelStep,
    Close,
    CloseFailed,
    CloseRejected,
    CloseSent,
    CloseStep,
    DeadlinePassed,
    DisableKeys,
    Engaged,
    Event,
    Finish,
    KeysDisabled,
    OpenLeg,
    Phase,
    Resumed,
    Survey,
    Surveyed,
    SurveyFailed,
    Wait,
    Waited,
)
from rules.model import Side

DEADLINE: Final = timedelta(seconds=60)
CALM_READS: Final = 3
# Binance answered "does not exist" for more than two seconds about orders that it then executed (ccxt issue 1786).
CALM_SPAN: Final = timedelta(seconds=6)
ROUNDS_MAX: Final = 200
# Orders that survive so many cancel rounds no longer keep positions open: a reduce-only close beside them adds no risk.
CANCEL_ROUNDS_MAX: Final = 3
REFUSALS_MAX: Final = 8
PAUSE_MIN: Final = timedelta(milliseconds=200)
PAUSE_MAX: Final = timedelta(seconds=2)

_Step = TypeVar("_Step")


@dataclass(frozen=True, slots=True, kw_only=True)
class KillState:
    """All that the events so far amount to."""

    phase: Phase
    deadline: datetime
    survey: Surveyed | None = None
    cancels: tuple[CancelStep, ...] = ()
    closes: tuple[CloseStep, ...] = ()
    wait_until: datetime | None = None
    calm_since: datetime | None = None
    calm_reads: int = 0
    rounds: int = 0
    pauses: int = 0
    cancel_rounds: int = 0
    close_sequence: int = 0
    refusals: tuple[tuple[str, int], ...] = ()
    error: str = ""
    why: str = ""

    def refused(self, leg: OpenLeg) -> int:
        """How often the venue has refused to close this leg."""
        return dict(self.refusals).get(leg.key, 0)


def begin(engaged: Engaged) -> KillState:
    """The state after the press."""
    return KillState(phase=Phase.ENGAGED, deadline=engaged.deadline)


def replay(events: Iterable[Event]) -> KillState | None:
    """The state after these events, ``None`` before the first."""
    state: KillState | None = None
    for event in events:
        state = evolve(state, event)
    return state


def next_action(state: KillState) -> Action:
    """What to do now. The same for the same state, so that a crash between two steps costs nothing."""
    if state.phase.final:
        return Finish()
    if state.phase is Phase.ENGAGED:
        return DisableKeys()
    if state.wait_until is not None:
        return Wait(min(state.wait_until, state.deadline))
    if state.cancels:
        return Cancel(state.cancels)
    if state.closes:
        return Close(state.closes)
    return Survey()


def evolve(state: KillState | None, event: Event) -> KillState:
    """The state after ``event``. An end stays an end, whatever arrives late."""
    if state is None:
        assert isinstance(event, Engaged), "a kill begins with a press"  # noqa: S101 - a journal without it is a bug
        return begin(event)
    if state.phase.final:
        return state
    match event:
        case Engaged():
            return state  # A second press joins the job that runs.
        case KeysDisabled():
            return replace(state, phase=Phase.KEYS_DISABLED) if state.phase is Phase.ENGAGED else state
        case Surveyed():
            return _surveyed(state, event)
        case SurveyFailed():
            return _unread(state, event)
        case CancelSent(step=cancel):
            return _settled(replace(state, cancels=_without(state.cancels, cancel)), event.at)
        case CancelFailed(step=cancel):
            state = replace(state, cancels=_without(state.cancels, cancel), error=event.error)
            return _settled(state, event.at, event.retry_after)
        case CloseSent(step=close):
            return _settled(replace(state, closes=_without(state.closes, close)), event.at)
        case CloseFailed(step=close):
            state = replace(state, closes=_without(state.closes, close), error=event.error)
            return _settled(state, event.at, event.retry_after)
        case CloseRejected(step=close):
            return _settled(_refused(state, close, event.error), event.at)
        case Waited():
            return replace(state, wait_until=None)
        case Resumed():
            return _resumed(state, event)
        case DeadlinePassed():
            return _degraded(state, "time is up")
        case _:
            assert_never(event)


def left(state: KillState) -> tuple[str, ...]:
    """What the last survey still showed, in words."""
    if state.survey is None:
        return () if state.phase is Phase.FLAT else ("unknown: the venue could not be read",)
    orders = [f"order {order.order_id} {order.symbol}" for order in state.survey.plain_orders]
    conditionals = [f"conditional order {order.order_id} {order.symbol}" for order in state.survey.conditional_orders]
    legs = [f"position {leg.key} {leg.quantity}" for leg in state.survey.positions]
    return (*orders, *conditionals, *legs)


def advice(state: KillState) -> str:
    """What a person can do about what is left; empty where nothing needs doing."""
    match state.phase:
        case Phase.FLAT_EXCEPT_DUST:
            return "what is left is below the venue's minimum order; close it in the venue's own app if it matters"
        case Phase.DEGRADED:
            return "log in at the venue itself, cancel and close what is listed, then press again to have it verified"
        case _:
            return ""


def _surveyed(state: KillState, survey: Surveyed) -> KillState:
    """Decide the next round on what was read: cancel, else close, else count the calm."""
    if state.phase is Phase.ENGAGED:
        return state  # Nobody may read himself into flatness while bots can still enter.
    before = state.survey
    state = replace(state, survey=survey, rounds=state.rounds + 1, cancels=(), closes=(), wait_until=None)
    cancels = _cancels(survey)
    legs = [leg for leg in survey.positions if leg.closable > 0]
    willing = [leg for leg in legs if state.refused(leg) < REFUSALS_MAX]
    if not cancels and not legs:
        return _calm(state, survey.at)
    state = replace(state, calm_since=None, calm_reads=0)
    if state.rounds >= ROUNDS_MAX:
        return _degraded(state, f"not flat after {ROUNDS_MAX} rounds")
    if not cancels and not willing:
        return _degraded(state, f"the venue refuses to close {', '.join(leg.key for leg in legs)}")
    state = _paced(state, before, survey)
    if cancels and (state.cancel_rounds < CANCEL_ROUNDS_MAX or not willing):
        return replace(state, phase=Phase.CANCELLING, cancels=cancels, cancel_rounds=state.cancel_rounds + 1)
    closes = tuple(_close(leg, state.close_sequence + number) for number, leg in enumerate(willing, start=1))
    return replace(
        state,
        phase=Phase.FLATTENING,
        closes=closes,
        cancel_rounds=0,
        close_sequence=state.close_sequence + len(closes),
    )


def _calm(state: KillState, at: datetime) -> KillState:
    """Nothing (but dust) in this read-back: enough of them, long enough apart, end the kill."""
    since = at if state.calm_since is None else state.calm_since
    reads = state.calm_reads + 1
    state = replace(state, phase=Phase.VERIFYING, calm_since=since, calm_reads=reads, pauses=0, cancel_rounds=0)
    if reads >= CALM_READS and at - since >= CALM_SPAN:
        dust = state.survey is not None and bool(state.survey.positions)
        return replace(state, phase=Phase.FLAT_EXCEPT_DUST if dust else Phase.FLAT)
    due = since + CALM_SPAN * min(reads, CALM_READS - 1) / (CALM_READS - 1)
    # Only a clock that was set back asks for more reads than three; then they come at the slowest pace, bounded.
    if state.rounds >= ROUNDS_MAX:
        return _degraded(state, f"not verified after {ROUNDS_MAX} rounds")
    return replace(state, wait_until=due if due > at else at + PAUSE_MAX)


def _paced(state: KillState, before: Surveyed | None, now: Surveyed) -> KillState:
    """Without progress since the last survey the machine slows down, so as not to earn a ban by its own hand."""
    if before is None or _work(now) < _work(before):
        return replace(state, pauses=0)
    return replace(state, pauses=state.pauses + 1)


def _work(survey: Surveyed) -> tuple[int, Decimal]:
    orders = len(survey.plain_orders) + len(survey.conditional_orders)
    return orders, sum((abs(leg.quantity) for leg in survey.positions), Decimal(0))


def _cancels(survey: Surveyed) -> tuple[CancelStep, ...]:
    plain = sorted({order.symbol for order in survey.plain_orders})
    conditional = sorted({order.symbol for order in survey.conditional_orders})
    return (
        *(CancelStep(symbol=symbol, conditional=False) for symbol in plain),
        *(CancelStep(symbol=symbol, conditional=True) for symbol in conditional),
    )


def _close(leg: OpenLeg, sequence: int) -> CloseStep:
    side = Side.SELL if leg.quantity > 0 else Side.BUY
    return CloseStep(leg=leg, side=side, quantity=leg.closable, sequence=sequence)


def _without(steps: tuple[_Step, ...], done: _Step) -> tuple[_Step, ...]:
    return tuple(step for step in steps if step != done)


def _settled(state: KillState, at: datetime, retry_after: float | None = None) -> KillState:
    """A step is over. A demand to stay away drops the rest of the round; a fruitless round ends in a pause."""
    if retry_after is not None:
        until = at + timedelta(seconds=retry_after)
        until = until if state.wait_until is None else max(until, state.wait_until)
        return replace(state, cancels=(), closes=(), wait_until=until)
    if state.cancels or state.closes or state.wait_until is not None or not state.pauses:
        return state
    return replace(state, wait_until=at + _pause(state.pauses))


def _pause(number: int) -> timedelta:
    # The exponent is bounded before the power is taken: 2 to the 200th is no timedelta.
    return min(PAUSE_MIN * (1 << min(number - 1, 8)), PAUSE_MAX)


def _unread(state: KillState, failed: SurveyFailed) -> KillState:
    state = replace(state, rounds=state.rounds + 1, pauses=state.pauses + 1, error=failed.error, wait_until=None)
    if state.rounds >= ROUNDS_MAX:
        return _degraded(state, f"not flat after {ROUNDS_MAX} rounds")
    return _settled(state, failed.at, failed.retry_after)


def _refused(state: KillState, close: CloseStep, error: str) -> KillState:
    refusals = dict(state.refusals) | {close.leg.key: state.refused(close.leg) + 1}
    return replace(state, closes=_without(state.closes, close), refusals=tuple(sorted(refusals.items())), error=error)


def _resumed(state: KillState, resumed: Resumed) -> KillState:
    # A wait is kept: it may be a ban, and a crash does not end it.
    return replace(state, cancels=(), closes=(), calm_since=None, calm_reads=0, deadline=resumed.deadline)


def _degraded(state: KillState, why: str) -> KillState:
    last = f"; the last trouble was: {state.error}" if state.error else ""
    return replace(state, phase=Phase.DEGRADED, cancels=(), closes=(), wait_until=None, why=why + last)
