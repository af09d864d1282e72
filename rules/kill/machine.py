"""The kill switch of one account as a pure state machine: what has happened, what is therefore to be done next.

``ENGAGED → KEYS_DISABLED → CANCELLING ⇄ FLATTENING → VERIFYING → FLAT``, or ``FLAT_EXCEPT_DUST``, or ``DEGRADED``.
It believes nothing but surveys: FLAT takes three calm ones in a row, at least six seconds from first to third. There is
no way from an end back to trading; re-arming is another act, by a person. It knows no clock, no venue, no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeVar, assert_never

from rules.ages import seconds
from rules.kill.events import (
    Action,
    Cancel,
    CancelFailed,
    CancelSent,
    Cause,
    Close,
    CloseFailed,
    CloseRejected,
    CloseSent,
    CloseStep,
    Costed,
    CostEstimated,
    DeadlinePassed,
    DisableKeys,
    Engaged,
    Event,
    Finish,
    KeysDisabled,
    Phase,
    Refusal,
    Resumed,
    Survey,
    Surveyed,
    SurveyFailed,
    Tallied,
    Tally,
    Wait,
    Waited,
)
from rules.kill.flatten import UnderWay
from rules.kill.rounds import CALM_SPAN, PARTIAL_READS_MAX, ROUNDS_MAX, degraded, next_round, pause
from rules.kill.state import KillState

DEADLINE: Final = timedelta(seconds=60)
# Each is asked for by itself, once it is calm; more than these would spend what the venue still grants.
UNSETTLED_MAX: Final = 50

_Step = TypeVar("_Step")


def begin(engaged: Engaged) -> KillState:
    """The state after the press."""
    return KillState(
        phase=Phase.ENGAGED,
        deadline=engaged.deadline,
        flatten=engaged.flatten,
        wait_until=engaged.silent_until,
    )


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
    if state.tally_due:
        return Tally(state.unsettled, state.traded)
    if state.wait_until is not None:
        return Wait(min(state.wait_until, state.deadline))
    if state.cancels:
        return Cancel(state.cancels)
    if state.closes:
        return Close(state.closes)
    closing = state.sure and state.phase is Phase.FLATTENING and state.partial_reads < PARTIAL_READS_MAX
    return Survey(orders=not closing and state.lists_at is None)


def evolve(state: KillState | None, event: Event) -> KillState:
    """The state after ``event``. An end stays an end, whatever arrives late."""
    if state is None:
        assert isinstance(event, Engaged), "a kill begins with a press"  # noqa: S101 - a journal without it is a bug
        return begin(event)
    if state.phase.final:
        return state
    match event:
        case Engaged() | CostEstimated() | Costed():
            return state  # A second press joins the job that runs; costs are only told.
        case KeysDisabled():
            return _keys_disabled(state)
        case Surveyed():
            # Nobody may read himself into flatness while bots can still enter.
            return state if state.phase is Phase.ENGAGED else next_round(state, event)
        case SurveyFailed():
            return _unread(state, event)
        case CancelSent(step=cancel):
            return _settled(replace(state, cancels=_without(state.cancels, cancel)), event.at)
        case CancelFailed(step=cancel):
            state = replace(state, cancels=_without(state.cancels, cancel), sure=False, error=event.error)
            return _settled(state, event.at, event.retry_after)
        case CloseSent():
            return _settled(_taken(state, event), event.at)
        case CloseFailed():
            return _settled(_lost(state, (event.step,), event.at, event.error), event.at, event.retry_after)
        case CloseRejected():
            return _settled(_refused(state, event), event.at)
        case Tallied():
            state = replace(state, tally_due=False, tallied=True)
            return state if event.retry_after is None else _settled(state, event.at, event.retry_after)
        case Waited():
            return _waited(state)
        case Resumed():
            return _resumed(state, event)
        case DeadlinePassed():
            return degraded(state, "time is up")
        case _:
            assert_never(event)


def _keys_disabled(state: KillState) -> KillState:
    if state.phase is not Phase.ENGAGED:
        return state
    state = replace(state, phase=Phase.KEYS_DISABLED)
    if state.wait_until is not None and state.wait_until >= state.deadline:
        return _banned(state, state.wait_until)
    return state


def _unread(state: KillState, failed: SurveyFailed) -> KillState:
    state = replace(
        state,
        rounds=state.rounds + 1,
        pauses=state.pauses + 1,
        denials=state.denials + 1 if failed.refused else 0,
        error=failed.error,
        sure=False,
        lists_at=None,
        reachable=failed.retry_after is not None,  # Who demands silence has been reached.
        wait_until=None,
    )
    if state.rounds >= ROUNDS_MAX:
        return degraded(state, f"not done after {ROUNDS_MAX} rounds")
    return _settled(state, failed.at, failed.retry_after)


def _waited(state: KillState) -> KillState:
    """A wait is over, and with it, if it was the last before that, the time in which no orders are asked for."""
    if state.lists_at is not None and state.wait_until is not None and state.wait_until >= state.lists_at:
        state = replace(state, lists_at=None)
    return replace(state, wait_until=None)


def _taken(state: KillState, sent: CloseSent) -> KillState:
    step = sent.step
    memory = state.remembered(step.leg)
    if sent.filled_quantity:
        memory = replace(memory, refusals=0)
    if step.price is not None and sent.filled_quantity < step.quantity:
        # What did not fill within its band asks for a wider one.
        memory = replace(memory, rung=max(memory.rung, step.rung + 1))
    return replace(state.learnt([(step.leg.key, memory)]), closes=_without(state.closes, step))


def _lost(state: KillState, steps: tuple[CloseStep, ...], at: datetime, error: str) -> KillState:
    """Closes of unknown outcome: they may still fill for a while, and count as under way as long."""
    unknown = tuple(
        UnderWay(leg=step.leg.key, quantity=step.quantity, leg_size=step.leg.size, until=at + CALM_SPAN)
        for step in steps
    )
    closes = tuple(step for step in state.closes if step not in steps)
    return replace(
        state,
        closes=closes,
        under_way=(*state.under_way, *unknown),
        unsettled=(*state.unsettled, *steps)[-UNSETTLED_MAX:],
        sure=False,
        error=error or state.error,
    )


def _refused(state: KillState, rejected: CloseRejected) -> KillState:
    """Learn from a refusal. Everything is read before the next close: the leg may be gone, or another one, or held."""
    step = rejected.step
    memory = state.remembered(step.leg)
    match rejected.refusal:
        case Refusal.MARKET_PRICE:
            memory = replace(memory, market_refused=True)
        case Refusal.LIMIT_PRICE if step.rung:
            memory = replace(memory, rung=step.rung - 1, refusals=memory.refusals + 1)
        case Refusal.LIMIT_PRICE:
            # Not even the narrowest band lies within the venue's bounds: the mark is not where the venue's prices are.
            over = rejected.at - seconds(state.flatten.ladder_s)
            memory = replace(memory, since=over, refusals=memory.refusals + 1)
        case Refusal.HALTED:
            memory = replace(memory, halted=True)
        case Refusal.CLOCK:
            pass
        case Refusal.REDUCE_ONLY | Refusal.OTHER:
            memory = replace(memory, refusals=memory.refusals + 1)
        case _:
            assert_never(rejected.refusal)
    state = state.learnt([(step.leg.key, memory)])
    return replace(state, closes=_without(state.closes, step), sure=False, error=rejected.error)


def _settled(state: KillState, at: datetime, retry_after: float | None = None) -> KillState:
    """A step is over. A demand to stay away drops the rest of the round; a fruitless round ends in a pause."""
    if retry_after is not None:
        until = at + timedelta(seconds=retry_after)
        until = until if state.wait_until is None else max(until, state.wait_until)
        # What was not sent yet is dropped; what was, is answered by events of its own.
        state = _lost(replace(state, cancels=()), state.closes, at, "")
        return _banned(state, until) if until >= state.deadline else replace(state, wait_until=until)
    if state.cancels or state.closes or state.wait_until is not None or not state.pauses:
        return state
    return replace(state, wait_until=at + pause(state.pauses))


def _banned(state: KillState, until: datetime) -> KillState:
    return degraded(state, f"the venue demands silence until {until:%H:%M:%S} UTC", Cause.BANNED, until)


def _resumed(state: KillState, resumed: Resumed) -> KillState:
    # A wait is kept: it may be a ban, and a crash does not end it.
    state = _lost(state, state.closes, resumed.at, "")
    state = replace(state, cancels=(), tally_due=False, calm_since=None, calm_reads=0, deadline=resumed.deadline)
    state = replace(state, gaps=0, lists_at=None)
    if state.wait_until is not None and state.wait_until >= state.deadline:
        return _banned(state, state.wait_until)
    return state


def _without(steps: tuple[_Step, ...], done: _Step) -> tuple[_Step, ...]:
    return tuple(step for step in steps if step != done)
