"""The kill switch decides rightly, whatever the venue answers."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.kill.events import (
    Cancel,
    CancelFailed,
    CancelSent,
    CancelStep,
    Close,
    CloseFailed,
    CloseRejected,
    CloseSent,
    DeadlinePassed,
    DisableKeys,
    Engaged,
    Event,
    Finish,
    KeysDisabled,
    OpenLeg,
    Phase,
    RestingOrder,
    Resumed,
    Survey,
    Surveyed,
    SurveyFailed,
    Wait,
    Waited,
)
from rules.kill.machine import (
    CALM_SPAN,
    CANCEL_ROUNDS_MAX,
    DEADLINE,
    REFUSALS_MAX,
    ROUNDS_MAX,
    KillState,
    advice,
    begin,
    evolve,
    left,
    next_action,
    replay,
)
from rules.model import PositionSide, Side

T0 = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ENGAGED = Engaged(at=T0, by="ann", reason="test", deadline=T0 + DEADLINE)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_leg(quantity: str, symbol: str = "BTCUSDT", side: PositionSide = PositionSide.BOTH, **limits: str) -> OpenLeg:
    known = {"step_size": "0.001", "quantity_min": "0.001", "quantity_max": "120"} | limits
    exact = {name: Decimal(value) for name, value in known.items()}
    return OpenLeg(symbol=symbol, position_side=side, quantity=Decimal(quantity), **exact)


def a_survey(seconds: float, *legs: OpenLeg, plain: str = "", conditional: str = "") -> Surveyed:
    return Surveyed(
        at=at(seconds),
        plain_orders=tuple(RestingOrder(symbol=symbol, order_id=f"p{symbol}") for symbol in plain.split()),
        conditional_orders=tuple(RestingOrder(symbol=symbol, order_id=f"c{symbol}") for symbol in conditional.split()),
        positions=legs,
    )


def after(*events: Event) -> KillState:
    state = replay((ENGAGED, KeysDisabled(at=at(0), latched=True), *events))
    assert state is not None
    return state


def test_keys_are_disabled_before_anything_is_read():
    state = begin(ENGAGED)
    assert next_action(state) == DisableKeys()
    assert evolve(state, a_survey(1)) == state
    assert next_action(evolve(state, KeysDisabled(at=at(0), latched=False))) == Survey()


def test_orders_of_both_kinds_are_cancelled_before_positions_are_closed():
    state = after(a_survey(1, a_leg("1"), plain="BTCUSDT ETHUSDT", conditional="BTCUSDT"))
    assert state.phase is Phase.CANCELLING
    assert next_action(state) == Cancel(
        (
            CancelStep(symbol="BTCUSDT", conditional=False),
            CancelStep(symbol="ETHUSDT", conditional=False),
            CancelStep(symbol="BTCUSDT", conditional=True),
        )
    )


def test_a_close_rests_on_a_survey_without_orders_and_is_followed_by_another():
    state = after(a_survey(1, a_leg("1.5"), a_leg("-3", "ETHUSDT")))
    action = next_action(state)
    assert isinstance(action, Close)
    assert [(step.side, step.quantity) for step in action.steps] == [
        (Side.SELL, Decimal("1.5")),
        (Side.BUY, Decimal(3)),
    ]
    for step in action.steps:
        state = evolve(state, CloseSent(at=at(2), step=step))
    assert next_action(state) == Survey()


def test_a_large_position_is_closed_in_slices_with_a_read_before_each():
    state = after(a_survey(1, a_leg("300")))
    quantities = []
    for number, remaining in enumerate(("180", "60", "0"), start=2):
        action = next_action(state)
        assert isinstance(action, Close)
        quantities.append(action.steps[0].quantity)
        state = evolve(state, CloseSent(at=at(number), step=action.steps[0]))
        assert next_action(state) == Survey()
        state = evolve(state, a_survey(number, *([a_leg(remaining)] if remaining != "0" else [])))
    assert quantities == [120, 120, 60]
    assert state.phase is Phase.VERIFYING


def test_both_legs_of_a_hedged_symbol_are_closed_each_on_its_own_side():
    legs = (a_leg("5", side=PositionSide.LONG), a_leg("-3", side=PositionSide.SHORT))
    action = next_action(after(a_survey(1, *legs)))
    assert isinstance(action, Close)
    closes = [(step.leg.position_side, step.side, step.quantity) for step in action.steps]
    assert closes == [(PositionSide.LONG, Side.SELL, 5), (PositionSide.SHORT, Side.BUY, 3)]


@pytest.mark.parametrize(("times", "phase"), [((1, 4, 7), Phase.FLAT), ((1, 4, 6.9), Phase.VERIFYING)])
def test_flat_takes_three_calm_reads_over_six_seconds(times: tuple[float, ...], phase: Phase):
    assert after(*(a_survey(time) for time in times)).phase is phase


def test_two_calm_reads_are_not_enough_however_far_apart():
    assert after(a_survey(1), a_survey(30)).phase is Phase.VERIFYING


def test_a_conditional_order_that_reopens_starts_the_count_anew():
    state = after(a_survey(1), a_survey(4), a_survey(6, a_leg("0.5")), a_survey(7.5))
    assert state.phase is Phase.VERIFYING
    assert state.calm_reads == 1
    assert next_action(state) == Wait(at(7.5) + CALM_SPAN / 2)


def test_dust_is_reported_and_not_called_flat():
    dust = a_leg("0.0004")
    state = after(a_survey(1, dust), a_survey(4, dust), a_survey(7, dust))
    assert state.phase is Phase.FLAT_EXCEPT_DUST
    assert left(state) == ("position BTCUSDT/BOTH 0.0004",)
    assert advice(state) == (
        "what is left is below the venue's minimum order; close it in the venue's own app if it matters"
    )


def test_a_ban_is_waited_out_and_the_rest_of_the_round_is_dropped():
    state = after(a_survey(1, plain="BTCUSDT ETHUSDT"))
    action = next_action(state)
    assert isinstance(action, Cancel)
    state = evolve(state, CancelFailed(at=at(2), step=action.steps[0], error="418", retry_after=20))
    assert next_action(state) == Wait(at(22))
    assert next_action(evolve(state, Waited(at=at(22)))) == Survey()
    state = evolve(state, CancelSent(at=at(2), step=action.steps[1]))
    assert next_action(state) == Wait(at(22))
    assert next_action(evolve(state, Waited(at=at(22)))) == Survey()


def test_a_ban_longer_than_the_deadline_ends_degraded_with_what_is_left():
    state = after(a_survey(1, a_leg("2")), SurveyFailed(at=at(2), error="banned", retry_after=3600))
    assert next_action(state) == Wait(T0 + DEADLINE)
    state = evolve(state, DeadlinePassed(at=T0 + DEADLINE))
    assert state.phase is Phase.DEGRADED
    assert left(state) == ("position BTCUSDT/BOTH 2",)
    assert "banned" in state.why
    assert advice(state) == (
        "log in at the venue itself, cancel and close what is listed, then press again to have it verified"
    )


def test_a_venue_never_read_leaves_the_unknown():
    state = after(SurveyFailed(at=at(1), error="down"), DeadlinePassed(at=at(60)))
    assert left(state) == ("unknown: the venue could not be read",)


def test_what_still_runs_needs_no_advice():
    assert advice(after(a_survey(1, a_leg("2")))) == ""


def test_an_order_that_will_not_be_cancelled_does_not_trap_the_position():
    state = after()
    for number in range(CANCEL_ROUNDS_MAX):
        state = evolve(state, a_survey(number, a_leg("1"), plain="ETHUSDT"))
        assert state.phase is Phase.CANCELLING
        state = evolve(state, CancelFailed(at=at(number), step=state.cancels[0], error="no"))
        state = evolve(state, Waited(at=at(number)))
    state = evolve(state, a_survey(9, a_leg("1"), plain="ETHUSDT"))
    assert state.phase is Phase.FLATTENING


def test_a_leg_the_venue_refuses_to_close_again_and_again_is_named():
    state = after()
    for number in range(REFUSALS_MAX):
        state = evolve(state, a_survey(number, a_leg("1")))
        state = evolve(state, CloseRejected(at=at(number), step=state.closes[0], error="-4131 no liquidity"))
    state = evolve(state, a_survey(30, a_leg("1")))
    assert state.phase is Phase.DEGRADED
    assert "BTCUSDT/BOTH" in state.why and "-4131" in state.why


def test_fruitless_rounds_slow_down_but_a_shrinking_position_does_not():
    stuck = after(a_survey(1, a_leg("1")), a_survey(2, a_leg("1")))
    stuck = evolve(stuck, CloseSent(at=at(2), step=stuck.closes[0]))
    assert isinstance(next_action(stuck), Wait)
    shrinking = after(a_survey(1, a_leg("3")), a_survey(2, a_leg("1")))
    shrinking = evolve(shrinking, CloseSent(at=at(2), step=shrinking.closes[0]))
    assert next_action(shrinking) == Survey()


def test_a_resumed_job_reads_first_and_counts_the_calm_anew():
    resumed = Resumed(at=at(100), deadline=at(160))
    state = after(a_survey(1), a_survey(4), Waited(at=at(5)), resumed)
    assert (state.calm_reads, state.deadline) == (0, at(160))
    closing = evolve(after(a_survey(1, a_leg("1"))), resumed)
    assert next_action(closing) == Survey()


@pytest.mark.parametrize(
    "event", [a_survey(1, a_leg("1")), SurveyFailed(at=at(1), error="down"), a_survey(1)], ids=("busy", "down", "calm")
)
def test_rounds_are_bounded_even_where_time_stands_still(event: Event):
    state = after(*[event] * (ROUNDS_MAX - 1))
    assert not state.phase.final
    state = evolve(state, event)
    assert state.phase is Phase.DEGRADED
    assert str(ROUNDS_MAX) in state.why


def test_an_end_stays_an_end():
    flat = after(a_survey(1), a_survey(4), a_survey(7))
    for event in (a_survey(8, a_leg("1")), DeadlinePassed(at=at(99)), Resumed(at=at(9), deadline=at(69)), ENGAGED):
        assert evolve(flat, event) == flat
    assert next_action(flat) == Finish()


# Properties: a hostile venue answers at random, a scribe checks every step.


class Ordeal:
    """Drives the machine to its end against random answers."""

    def __init__(self, chance: random.Random, calm_share: float) -> None:
        self.chance = chance
        self.calm_share = calm_share
        self.now = T0
        self.events: list[Event] = []
        self.state: KillState | None = None
        self.closes: list[tuple[Surveyed | None, Close]] = []
        self.sequences: set[int] = set()
        self.feed(ENGAGED)

    def feed(self, event: Event) -> KillState:
        self.events.append(event)
        self.state = evolve(self.state, event)
        return self.state

    def run(self) -> KillState:
        state = self.state
        assert state is not None
        for _ in range(60 * ROUNDS_MAX):
            self.now += timedelta(milliseconds=self.chance.randint(1, 400))
            action = next_action(state)
            if isinstance(action, Finish):
                return state
            if self.now >= state.deadline:
                state = self.feed(DeadlinePassed(at=self.now))
                continue
            state = self.answer(state, action)
        raise AssertionError("the machine does not end")

    def answer(self, state: KillState, action: object) -> KillState:
        chance = self.chance
        if chance.random() < 0.01:
            return self.feed(Resumed(at=self.now, deadline=state.deadline))
        match action:
            case DisableKeys():
                return self.feed(KeysDisabled(at=self.now, latched=chance.random() < 0.5))
            case Survey():
                if chance.random() < 0.1:
                    return self.feed(SurveyFailed(at=self.now, error="down", retry_after=self.penalty()))
                return self.feed(self.survey())
            case Cancel(steps=cancels):
                for cancel in cancels:
                    failed = CancelFailed(at=self.now, step=cancel, error="x", retry_after=self.penalty())
                    self.feed(chance.choice((CancelSent(at=self.now, step=cancel), failed)))
            case Close(steps=closes):
                self.closes.append((state.survey, action))
                for close in closes:
                    assert close.sequence not in self.sequences, "a client order id used twice"
                    self.sequences.add(close.sequence)
                    failed = CloseFailed(at=self.now, step=close, error="x", retry_after=self.penalty())
                    rejected = CloseRejected(at=self.now, step=close, error="-2022")
                    self.feed(chance.choice((CloseSent(at=self.now, step=close), failed, rejected)))
            case Wait(until=until):
                self.now = max(self.now, until)
                if self.now < state.deadline:
                    self.feed(Waited(at=self.now))
        assert self.state is not None
        return self.state

    def penalty(self) -> float | None:
        return self.chance.choice((None, None, None, 0.0, 1.0, 5.0))

    def survey(self) -> Surveyed:
        chance = self.chance
        if chance.random() < self.calm_share:
            return Surveyed(at=self.now, plain_orders=(), conditional_orders=(), positions=())
        symbols = ("A", "B", "C")
        sides = tuple(PositionSide)
        legs = {}
        for _ in range(chance.randint(0, 3)):
            quantity = Decimal(chance.randint(-400_000, 400_000)) / 10_000
            limits = {"step_size": "0.01", "quantity_min": "0.05", "quantity_max": "15"}
            leg = a_leg(str(quantity or 1), chance.choice(symbols), chance.choice(sides), **limits)
            legs[leg.key] = leg if chance.random() < 0.7 else replace(leg, quantity_max=None, step_size=None)
        orders = [RestingOrder(symbol=chance.choice(symbols), order_id=str(i)) for i in range(chance.randint(0, 3))]
        middle = chance.randint(0, len(orders))
        return Surveyed(
            at=self.now,
            plain_orders=tuple(orders[:middle]),
            conditional_orders=tuple(orders[middle:]),
            positions=tuple(legs.values()),
        )


ordeals = st.builds(Ordeal, st.integers(0, 2**64).map(random.Random), st.sampled_from((0.0, 0.3, 0.8, 0.97)))


@given(ordeals)
@settings(max_examples=150, deadline=None)
def test_whatever_the_venue_answers_the_machine_ends_and_flat_is_proven(ordeal: Ordeal):
    final = ordeal.run()
    assert final.rounds <= ROUNDS_MAX
    if final.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST):
        since = max((i for i, event in enumerate(ordeal.events) if isinstance(event, Resumed)), default=0)
        surveys = [event for event in ordeal.events[since:] if isinstance(event, Surveyed)]
        calm = []
        for survey in reversed(surveys):
            if survey.plain_orders or survey.conditional_orders or any(leg.closable for leg in survey.positions):
                break
            calm.append(survey)
        assert len(calm) >= 3
        assert calm[0].at - calm[-1].at >= CALM_SPAN
        assert (final.phase is Phase.FLAT) == (not surveys[-1].positions)
    else:
        assert final.phase is Phase.DEGRADED
        assert final.why


@given(ordeals)
@settings(max_examples=150, deadline=None)
def test_closes_reduce_what_was_last_read_and_come_after_cancels(ordeal: Ordeal):
    ordeal.run()
    for survey, action in ordeal.closes:
        assert survey is not None
        read = {leg.key: leg for leg in survey.positions}
        assert len({step.leg.key for step in action.steps}) == len(action.steps), "one order a leg and a read"
        for step in action.steps:
            leg = read[step.leg.key]
            assert 0 < step.quantity <= abs(leg.quantity)
            assert leg.quantity_max is None or step.quantity <= leg.quantity_max
            assert step.side.sign == (-1 if leg.quantity > 0 else 1)
    busy_reads = 0
    for event in ordeal.events:
        if isinstance(event, Surveyed):
            busy = bool(event.plain_orders or event.conditional_orders)
            busy_reads = busy_reads + 1 if busy else 0
        elif isinstance(event, CloseSent | CloseFailed | CloseRejected):
            assert busy_reads == 0 or busy_reads > CANCEL_ROUNDS_MAX, "closed before cancelling was tried"


@given(ordeals)
@settings(max_examples=60, deadline=None)
def test_a_replay_gives_the_same_state_and_any_prefix_can_be_carried_on(ordeal: Ordeal):
    final = ordeal.run()
    assert replay(ordeal.events) == final
    cut = ordeal.chance.randint(1, len(ordeal.events))
    again = Ordeal(ordeal.chance, 1.0)
    again.events, again.state, again.now = ordeal.events[:cut], replay(ordeal.events[:cut]), ordeal.now
    again.sequences.clear()
    again.feed(Resumed(at=again.now, deadline=again.now + DEADLINE))
    assert again.run().phase.final
