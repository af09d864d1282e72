"""From a reading of the venue to the next round: cancel, else close, else count the calm, else give up and say why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from rules.kill.events import CancelStep, Cause, CloseStep, Phase, Surveyed
from rules.kill.flatten import REFUSALS_MAX, PlannedClose, bands, halted, plan_closes, still_under_way
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.kill.state import KillState

CALM_READS: Final = 3
# Binance answered "does not exist" for more than two seconds about orders that it then executed (ccxt issue 1786).
CALM_SPAN: Final = timedelta(seconds=6)
ROUNDS_MAX: Final = 200
# Orders that survive so many cancel rounds no longer keep positions open: a reduce-only close beside them adds no risk.
CANCEL_ROUNDS_MAX: Final = 3
PARTIAL_READS_MAX: Final = 4
"""So often in a row positions may be read without the orders, while nothing says that there are any."""

PAUSE_MIN: Final = timedelta(milliseconds=200)
PAUSE_MAX: Final = timedelta(seconds=2)
PAUSE_GAP_MAX: Final = timedelta(seconds=8)
"""The longest pause before the orders are asked for again while all that could be read shows nothing; the positions,
which something unseen may open again, are read after ``PAUSE_MAX`` each time, at a seventeenth of the price."""

PAUSE_UNSEEN_MAX: Final = timedelta(seconds=4)
"""That pause where plain or conditional orders could not be read: most orders are of these, and they rest unseen."""

GAP_CLOSES_BEFORE: Final = CALM_SPAN + timedelta(seconds=3)
"""So long before the deadline the orders are asked for at the latest: what is read by then can still be proven flat."""
# Binance takes 300 orders in ten seconds from one account ("Exchange Information", rateLimits, seen 2026-11); bots may
# have spent some of them just before the press.
ORDERS_MAX: Final = 250
ORDERS_SPAN: Final = timedelta(seconds=10)
# A reading weighs 5 to 90 of the 2,400 a minute that an address has: many rounds in a row have to be slower.
FAST_ROUNDS: Final = 20


def next_round(state: KillState, survey: Surveyed) -> KillState:
    """Decide on what was read."""
    before = state.survey
    state = _taken_in(state, survey)
    cancels = _cancels(survey)
    closes = _plan(state, survey)
    open_legs = [leg for leg in survey.positions if leg.closable]
    if not cancels and not survey.positions_read:
        return _blind(state, survey)
    if not cancels and not closes and not open_legs:
        return _calm(state, survey) if survey.complete else _still_nothing(state, before, survey)
    state = replace(state, calm_since=None, calm_reads=0, gaps=0, lists_at=None)
    state = _in_bounds(_paced(state, before, survey))
    if state.phase.final:
        return state
    if cancels and (state.cancel_rounds < CANCEL_ROUNDS_MAX or not closes):
        return replace(state, phase=Phase.CANCELLING, cancels=cancels, cancel_rounds=state.cancel_rounds + 1)
    if closes:
        return _closing(state, closes, survey.at)
    return _held_back(state, open_legs, survey.at)


def degraded(state: KillState, why: str, cause: Cause | None = None, retry_at: datetime | None = None) -> KillState:
    """The end without success. Without a ``cause`` it is made out from what is left."""
    last = f"; the last trouble was: {state.error}" if state.error else ""
    cause = cause or _cause(state)
    symbols = _halted_symbols(state) if cause is Cause.CLOSED else ()
    return replace(
        state,
        phase=Phase.DEGRADED,
        cancels=(),
        closes=(),
        tally_due=False,
        wait_until=None,
        why=why + last,
        cause=cause,
        retry_at=retry_at,
        cause_symbols=symbols,
    )


def pause(number: int, least: timedelta = PAUSE_MIN, most: timedelta = PAUSE_MAX) -> timedelta:
    """How long to hold after so many fruitless rounds in a row."""
    # The exponent is bounded before the power is taken: 2 to the 200th is no timedelta.
    return min(least * (1 << min(number - 1, 8)), most)


def _taken_in(state: KillState, survey: Surveyed) -> KillState:
    recent = tuple(at for at in state.sent_at if at > survey.at - ORDERS_SPAN)
    clear = survey.complete and not survey.orders and not survey.unread
    return replace(
        state,
        survey=survey,
        rounds=state.rounds + 1,
        cancels=(),
        closes=(),
        wait_until=None,
        reachable=True,
        denials=0,
        lists_at=None if survey.complete else state.lists_at,
        sure=clear if survey.complete else state.sure,
        partial_reads=0 if survey.complete else state.partial_reads + 1,
        sent_at=recent,
        # Only a leg that was read can be seen to have shrunk.
        under_way=still_under_way(state.under_way, survey.positions, survey.at)
        if survey.positions_read
        else state.under_way,
    )


def _plan(state: KillState, survey: Surveyed) -> tuple[PlannedClose, ...]:
    return plan_closes(
        survey.positions,
        state.flatten,
        now=survey.at,
        memory=dict(state.memory),
        under_way=state.under_way,
        most=max(ORDERS_MAX - len(state.sent_at), 0),
    )


def _closing(state: KillState, closes: tuple[PlannedClose, ...], at: datetime) -> KillState:
    steps = tuple(_step(state, close, state.close_sequence + number) for number, close in enumerate(closes, start=1))
    lessons = []
    for close in closes:
        memory = state.remembered(close.leg)
        rounded_up = memory.rounded_up or not close.leg.closable
        lessons.append((close.leg.key, replace(memory, since=memory.since or at, rounded_up=rounded_up)))
    return replace(
        state.learnt(lessons),
        phase=Phase.FLATTENING,
        closes=steps,
        traded=tuple(sorted({*state.traded, *(step.leg.symbol for step in steps)})),
        tallied=False,
        cancel_rounds=0,
        close_sequence=state.close_sequence + len(steps),
        sent_at=(*state.sent_at, *(at for _ in steps)),
    )


def _step(state: KillState, close: PlannedClose, sequence: int) -> CloseStep:
    rung = min(state.remembered(close.leg).rung, len(bands(state.flatten)) - 1)
    return CloseStep(
        leg=replace(close.leg, book=None),
        side=close.side,
        quantity=close.quantity,
        sequence=sequence,
        price=close.price,
        rung=rung if close.price is not None else 0,
    )


def _held_back(state: KillState, open_legs: list[OpenLeg], at: datetime) -> KillState:
    """Legs are open and nothing may be sent: because of what is under way, or of the order limit, or for good."""
    moments = [each.until for each in state.under_way]
    if len(state.sent_at) >= ORDERS_MAX:
        moments.append(min(state.sent_at) + ORDERS_SPAN)
    if moments:
        # What is under way may be seen to have filled long before its time is up.
        return replace(state, phase=Phase.FLATTENING, wait_until=min(*moments, at + pause(max(state.pauses, 1))))
    names = ", ".join(leg.key for leg in open_legs)
    if any(halted(leg, state.remembered(leg)) for leg in open_legs):
        return degraded(state, f"the venue takes no orders for what is left: {names}", Cause.CLOSED)
    return degraded(state, f"the venue refuses to close {names}", Cause.REFUSED)


def _blind(state: KillState, survey: Surveyed) -> KillState:
    """Nothing to cancel, and the positions were not read: they are asked for as soon as after a reading that failed."""
    pauses = state.pauses + 1
    error, wait_until = "; ".join(survey.unread), survey.at + pause(pauses)
    return _in_bounds(replace(state, pauses=pauses, calm_since=None, calm_reads=0, error=error, wait_until=wait_until))


def _calm(state: KillState, survey: Surveyed) -> KillState:
    """Nothing (but dust) in this read-back: enough of them, long enough apart, end the kill."""
    at, tally_due = survey.at, bool(state.traded) and not state.tallied
    state = replace(state, phase=Phase.VERIFYING, pauses=0, cancel_rounds=0, tally_due=tally_due)
    if survey.unread:
        # What could not be read is not known to be calm.
        gaps, error = state.gaps + 1, "; ".join(survey.unread)
        state = replace(state, calm_since=None, calm_reads=0, gaps=gaps, error=error)
        lists_at = _lists_at(state, survey)
        return _in_bounds(replace(state, lists_at=lists_at, wait_until=min(lists_at, at + PAUSE_MAX)))
    since = at if state.calm_since is None else state.calm_since
    reads = state.calm_reads + 1
    state = replace(state, calm_since=since, calm_reads=reads, gaps=0)
    if reads >= CALM_READS and at - since >= CALM_SPAN:
        phase = Phase.FLAT_EXCEPT_DUST if survey.positions else Phase.FLAT
        return replace(state, phase=phase, tally_due=False)
    due = since + CALM_SPAN * min(reads, CALM_READS - 1) / (CALM_READS - 1)
    # Only a clock that was set back asks for more reads than three; then they come at the slowest pace, bounded.
    return _in_bounds(replace(state, wait_until=due if due > at else at + PAUSE_MAX))


def _lists_at(state: KillState, survey: Surveyed) -> datetime:
    """When what was not read is asked for again: more and more seldom, but in time for a proof."""
    at, unseen = survey.at, survey.misses("orders: ", "conditional orders: ")
    due = at + pause(state.gaps, PAUSE_MAX, PAUSE_UNSEEN_MAX if unseen else PAUSE_GAP_MAX)
    if at + CALM_SPAN >= state.deadline:
        return due
    return min(due, max(state.deadline - GAP_CLOSES_BEFORE, at + PAUSE_MAX))


def _still_nothing(state: KillState, before: Surveyed | None, survey: Surveyed) -> KillState:
    """Positions alone were read and there are none: all is read next, or when it is due where it lacked something."""
    state = replace(state, sure=False)
    if before is not None and state.lists_at is not None:
        # What the last whole reading lacked is still not known.
        known = replace(before, positions=survey.positions)
        state = replace(state, survey=known, wait_until=min(state.lists_at, survey.at + PAUSE_MAX))
    return _in_bounds(state)


def _in_bounds(state: KillState) -> KillState:
    return degraded(state, f"not done after {ROUNDS_MAX} rounds") if state.rounds >= ROUNDS_MAX else state


def _paced(state: KillState, before: Surveyed | None, now: Surveyed) -> KillState:
    """Without progress since the last survey the machine slows down, so as not to earn a ban by its own hand."""
    if before is None or _work(now) < _work(before):
        return replace(state, pauses=1 if state.rounds > FAST_ROUNDS else 0)
    return replace(state, pauses=state.pauses + 1)


def _work(survey: Surveyed) -> tuple[int, Decimal]:
    return survey.orders, sum((leg.size for leg in survey.positions), Decimal(0))


def _cancels(survey: Surveyed) -> tuple[CancelStep, ...]:
    # What works by itself goes first: it places plain orders as long as it lives.
    kinds: tuple[tuple[OrderKind, tuple[RestingOrder, ...]], ...] = (
        (OrderKind.ALGO, survey.algo_orders),
        (OrderKind.PLAIN, survey.plain_orders),
        (OrderKind.CONDITIONAL, survey.conditional_orders),
    )
    return tuple(
        CancelStep(symbol=symbol, kind=kind, order_ids=tuple(o.order_id for o in orders if o.symbol == symbol))
        for kind, orders in kinds
        for symbol in sorted({order.symbol for order in orders})
    )


def _cause(state: KillState) -> Cause:
    if state.denials >= REFUSALS_MAX:
        return Cause.REFUSED
    if not state.reachable or state.survey is None:
        return Cause.UNREACHABLE
    legs = [leg for leg in state.survey.positions if leg.closable]
    if _halted_symbols(state):
        return Cause.CLOSED
    if legs and all(state.remembered(leg).refusals >= REFUSALS_MAX for leg in legs):
        return Cause.REFUSED
    return Cause.UNREACHABLE if state.survey.unread and not legs else Cause.TIME


def _halted_symbols(state: KillState) -> tuple[str, ...]:
    legs = state.survey.positions if state.survey is not None else ()
    return tuple(sorted({leg.symbol for leg in legs if leg.closable and halted(leg, state.remembered(leg))}))
