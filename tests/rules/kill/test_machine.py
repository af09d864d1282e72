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
    Cause,
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
from rules.kill.flatten import REFUSALS_MAX
from rules.kill.legs import LotSize, OpenLeg, OrderKind, RestingOrder
from rules.kill.machine import DEADLINE, begin, evolve, next_action, replay
from rules.kill.rounds import CALM_SPAN, CANCEL_ROUNDS_MAX, PARTIAL_READS_MAX, ROUNDS_MAX
from rules.kill.settings import Flatten
from rules.kill.state import KillState, advice, left
from rules.model import PositionSide, Side

T0 = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ENGAGED = Engaged(at=T0, by="ann", reason="test", deadline=T0 + DEADLINE)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


LOT = LotSize(step=Decimal("0.001"), quantity_min=Decimal("0.001"), quantity_max=Decimal(120))


def a_leg(quantity: str, symbol: str = "BTCUSDT", side: PositionSide = PositionSide.BOTH, **more: object) -> OpenLeg:
    """Without a mark price, so that it goes at the market, unless told otherwise."""
    known: dict[str, object] = {"market_lot": LOT, "limit_lot": LOT, "tick_size": Decimal("0.01")}
    return OpenLeg(symbol=symbol, position_side=side, quantity=Decimal(quantity), **(known | more))  # type: ignore[arg-type]


def priced(quantity: str, symbol: str = "BTCUSDT", **more: object) -> OpenLeg:
    return a_leg(quantity, symbol, mark_price=Decimal(100), **more)


def a_survey(
    seconds: float, *legs: OpenLeg, plain: str = "", conditional: str = "", algo: str = "", **more: object
) -> Surveyed:
    return Surveyed(
        at=at(seconds),
        plain_orders=tuple(RestingOrder(symbol=symbol, order_id=f"p{symbol}") for symbol in plain.split()),
        conditional_orders=tuple(RestingOrder(symbol=symbol, order_id=f"c{symbol}") for symbol in conditional.split()),
        algo_orders=tuple(RestingOrder(symbol=symbol, order_id=f"a{symbol}") for symbol in algo.split()),
        positions=legs,
        **more,  # type: ignore[arg-type]
    )


def a_cancel(symbol: str, kind: OrderKind) -> CancelStep:
    return CancelStep(symbol=symbol, kind=kind, order_ids=(f"{kind.value[0].lower()}{symbol}",))


def settle(state: KillState, seconds: float, filled: str = "") -> KillState:
    """Every close of the round is taken, and filled in full unless told otherwise."""
    for step in state.closes:
        quantity = Decimal(filled) if filled else step.quantity
        state = evolve(state, CloseSent(at=at(seconds), step=step, filled_quantity=quantity))
    return state


def after(*events: Event) -> KillState:
    state = replay((ENGAGED, KeysDisabled(at=at(0), latched=True), *events))
    assert state is not None
    return state


def test_keys_are_disabled_before_anything_is_read():
    state = begin(ENGAGED)
    assert next_action(state) == DisableKeys()
    assert evolve(state, a_survey(1)) == state
    assert next_action(evolve(state, KeysDisabled(at=at(0), latched=False))) == Survey()


def test_orders_of_every_kind_are_cancelled_before_positions_are_closed():
    state = after(a_survey(1, a_leg("1"), plain="BTCUSDT ETHUSDT", conditional="BTCUSDT", algo="SOLUSDT"))
    assert state.phase is Phase.CANCELLING
    assert next_action(state) == Cancel(
        (
            a_cancel("SOLUSDT", OrderKind.ALGO),
            a_cancel("BTCUSDT", OrderKind.PLAIN),
            a_cancel("ETHUSDT", OrderKind.PLAIN),
            a_cancel("BTCUSDT", OrderKind.CONDITIONAL),
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
    assert next_action(settle(state, 2)) == Survey(orders=False), "nothing says that there are orders"


def test_a_large_position_is_closed_in_slices_with_a_read_before_each():
    state = after(a_survey(1, a_leg("300")))
    quantities = []
    for number, remaining in enumerate(("180", "60", "0"), start=2):
        action = next_action(state)
        assert isinstance(action, Close)
        quantities.append(action.steps[0].quantity)
        state = settle(state, number)
        assert isinstance(next_action(state), Survey)
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
    assert state.wait_until == at(7.5) + CALM_SPAN / 2


def test_dust_is_reported_and_not_called_flat():
    dust = a_leg("0.0004", side=PositionSide.LONG)
    state = after(a_survey(1, dust), a_survey(4, dust), a_survey(7, dust))
    assert state.phase is Phase.FLAT_EXCEPT_DUST
    assert left(state) == ("position BTCUSDT/LONG 0.0004",)
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
    assert state.phase is Phase.DEGRADED, "nobody learns anything by waiting for the deadline"
    assert (state.cause, state.retry_at) == (Cause.BANNED, at(3602))
    assert left(state) == ("position BTCUSDT/BOTH 2",)
    assert "banned" in state.why
    assert advice(state) == (
        "the venue will not hear us before 2026-11-24 13:00:02 UTC; log in at the venue itself and close what is "
        "listed, or wait: then press again"
    )


def test_a_venue_never_read_leaves_the_unknown():
    state = after(SurveyFailed(at=at(1), error="down"), DeadlinePassed(at=at(60)))
    assert left(state) == ("unknown: the venue could not be read",)
    assert state.cause is Cause.UNREACHABLE


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
        state = evolve(state, CloseRejected(at=at(number), step=state.closes[0], error="-2010 no"))
    state = evolve(state, a_survey(30, a_leg("1")))
    assert state.phase is Phase.DEGRADED
    assert "BTCUSDT/BOTH" in state.why and "-2010" in state.why
    assert state.cause is Cause.REFUSED


def test_fruitless_rounds_slow_down_but_a_shrinking_position_does_not():
    stuck = after(a_survey(1, a_leg("1")), a_survey(2, a_leg("1")))
    stuck = evolve(stuck, CloseSent(at=at(2), step=stuck.closes[0]))
    assert isinstance(next_action(stuck), Wait)
    shrinking = after(a_survey(1, a_leg("3")), a_survey(2, a_leg("1")))
    assert isinstance(next_action(settle(shrinking, 2)), Survey)


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


def test_between_closes_positions_alone_are_read_but_never_often_and_never_after_trouble():
    state = settle(after(a_survey(1, a_leg("300"))), 1)
    for number in range(PARTIAL_READS_MAX):
        assert next_action(state) == Survey(orders=False)
        state = settle(evolve(state, a_survey(2 + number, a_leg(f"{290 - number}"), complete=False)), 2)
    assert next_action(state) == Survey()

    state = settle(after(a_survey(1, a_leg("1"))), 1)
    assert next_action(evolve(state, a_survey(2, complete=False))) == Survey(), "only a whole reading is calm"

    state = after(a_survey(1, a_leg("1")))
    lost = CloseFailed(at=at(1), step=state.closes[0], error="lost")
    assert next_action(evolve(state, lost)) == Survey()
    refused = CloseRejected(at=at(1), step=state.closes[0], error="-2022", refusal=Refusal.REDUCE_ONLY)
    assert next_action(evolve(state, refused)) == Survey()


def test_what_could_not_be_read_is_not_calm():
    state = after(*(a_survey(seconds, unread=("algo orders: down",)) for seconds in (1, 4, 7, 10)))
    assert state.phase is Phase.VERIFYING and state.calm_reads == 0
    state = evolve(state, DeadlinePassed(at=at(60)))
    assert (state.cause, left(state)) == (Cause.UNREACHABLE, ("unknown: algo orders: down",))


def test_a_kind_of_order_that_the_venue_does_not_list_keeps_nobody_from_being_flat():
    assert after(*(a_survey(seconds, unlisted=("algo orders: 404",)) for seconds in (1, 4, 7))).phase is Phase.FLAT


def test_a_close_that_did_not_fill_goes_again_in_a_wider_band_then_at_the_market():
    state, bands = after(), []
    for number in range(7):
        state = evolve(state, a_survey(number, priced("1")))
        bands.append((state.closes[0].price, state.closes[0].rung))
        state = evolve(settle(state, number, filled="0.5"), Waited(at=at(number)))
    prices = [price for price, _ in bands]
    assert prices[:5] == [Decimal(price) for price in ("99.8", "99.6", "99.2", "98.4", "98")]
    assert prices[5:] == [None, None], "five seconds after the first close"
    assert [rung for _, rung in bands] == [0, 1, 2, 3, 4, 0, 0]


def test_a_close_that_filled_stays_in_its_band():
    state = settle(after(a_survey(1, priced("2"))), 1)
    assert evolve(state, a_survey(2, priced("1"), complete=False)).closes[0].rung == 0


def test_a_limit_outside_the_bounds_of_the_venue_comes_nearer_and_at_last_goes_to_the_market():
    def refuse(state: KillState, seconds: float) -> KillState:
        refused = CloseRejected(at=at(seconds), step=state.closes[0], error="-4024", refusal=Refusal.LIMIT_PRICE)
        return evolve(evolve(state, refused), Waited(at=at(seconds)))

    state = evolve(settle(after(a_survey(1, priced("1"))), 1, filled="0.1"), a_survey(1.2, priced("0.9")))
    assert state.closes[0].rung == 1
    state = evolve(refuse(state, 1.2), a_survey(1.4, priced("0.9")))
    assert state.closes[0].rung == 0
    state = evolve(refuse(state, 1.4), a_survey(1.6, priced("0.9")))
    assert state.closes[0].price is None


def test_a_market_order_for_which_there_is_no_price_becomes_a_limit_order_at_the_bound_of_the_venue():
    leg = priced("1", price_floor=Decimal(95))
    state = after(a_survey(0, leg))
    for number in range(6):
        state = evolve(evolve(settle(state, number, filled="0"), Waited(at=at(number))), a_survey(number, leg))
    assert state.closes[0].price is None
    refused = CloseRejected(at=at(6), step=state.closes[0], error="-4131", refusal=Refusal.MARKET_PRICE)
    state = evolve(evolve(evolve(state, refused), Waited(at=at(6))), a_survey(7, leg))
    assert state.closes[0].price == 95
    assert state.remembered(leg).refusals == 0, "an empty book is no reason to give a leg up"


def test_a_leg_that_fills_now_and_then_is_not_given_up_for_its_refusals():
    state = after()
    for number in range(REFUSALS_MAX * 3):
        state = evolve(state, a_survey(number, a_leg(str(100 - number))))
        if number % 4 == 3:
            state = settle(state, number)
        else:
            state = evolve(state, CloseRejected(at=at(number), step=state.closes[0], error="-2010 no"))
        state = evolve(state, Waited(at=at(number)))
    assert not state.phase.final


def test_a_symbol_that_does_not_trade_is_waited_for_by_somebody_else():
    state = after(a_survey(1, a_leg("1", "LUNAUSDT", trading=False)))
    assert (state.phase, state.cause, state.cause_symbols) == (Phase.DEGRADED, Cause.CLOSED, ("LUNAUSDT",))
    assert "LUNAUSDT does not trade now" in advice(state)


def test_a_symbol_found_halted_only_when_closed_does_not_hold_up_the_others():
    state = after(a_survey(1, a_leg("1"), a_leg("1", "LUNAUSDT")))
    halted = next(step for step in state.closes if step.leg.symbol == "LUNAUSDT")
    state = evolve(state, CloseRejected(at=at(1), step=halted, error="-4108", refusal=Refusal.HALTED))
    state = evolve(settle(state, 1), a_survey(2, a_leg("1", "LUNAUSDT")))
    assert (state.cause, state.cause_symbols) == (Cause.CLOSED, ("LUNAUSDT",))


def test_orders_of_a_halted_symbol_are_cancelled_all_the_same():
    state = after(a_survey(1, a_leg("1", "LUNAUSDT", trading=False), plain="LUNAUSDT"))
    assert next_action(state) == Cancel((a_cancel("LUNAUSDT", OrderKind.PLAIN),))


def test_a_close_of_unknown_outcome_holds_back_its_hedge_until_it_is_known():
    legs = (priced("1000", "BTCUSDT"), priced("-1000", "ETHUSDT"))
    state = after(a_survey(1, *legs))
    assert {step.quantity for step in state.closes} == {120}, "the venue's maximum; the limit would allow 250"
    state = replace(after(), flatten=Flatten(naked_notional_max=Decimal(1_000)))
    state = evolve(state, a_survey(1, *legs))
    assert {step.quantity for step in state.closes} == {10}
    for step in state.closes:
        state = evolve(state, CloseFailed(at=at(1), step=step, error="lost"))
    state = evolve(state, a_survey(2, *legs))
    assert state.closes == () and isinstance(next_action(state), Wait)
    state = evolve(evolve(state, Waited(at=at(7))), a_survey(7, *legs))
    assert {step.quantity for step in state.closes} == {10}


def test_a_crash_leaves_what_was_being_sent_under_way():
    legs = (priced("1000", "BTCUSDT"), priced("-1000", "ETHUSDT"))
    state = evolve(replace(after(), flatten=Flatten(naked_notional_max=Decimal(1_000))), a_survey(1, *legs))
    state = evolve(evolve(state, Resumed(at=at(2), deadline=at(62))), a_survey(2, *legs))
    assert state.closes == () and isinstance(next_action(state), Wait)


def test_dust_is_tried_once_with_a_larger_order():
    state = after(a_survey(1, a_leg("0.0004")))
    assert [step.quantity for step in state.closes] == [LOT.smallest]
    state = evolve(state, CloseRejected(at=at(1), step=state.closes[0], error="-4003"))
    state = evolve(state, a_survey(1.2, a_leg("0.0004")))
    assert state.phase is Phase.VERIFYING and not state.closes


def test_no_more_orders_are_sent_than_the_venue_takes():
    legs = [a_leg("1", f"S{number:03}") for number in range(300)]
    state = after(a_survey(1, *legs))
    assert len(state.closes) == 250
    state = evolve(settle(state, 1), a_survey(2, *legs[250:]))
    assert not state.closes and isinstance(next_action(state), Wait)
    state = evolve(evolve(state, Waited(at=at(11))), a_survey(11.1, *legs[250:]))
    assert len(state.closes) == 50


def test_once_it_is_calm_the_closes_are_tallied_and_once_only():
    state = after(a_survey(1, a_leg("1"), a_leg("1", "ETHUSDT")))
    lost = state.closes[0]
    state = evolve(settle(evolve(state, CloseFailed(at=at(1), step=lost, error="lost")), 1), a_survey(2))
    assert next_action(state) == Tally((lost,), ("BTCUSDT", "ETHUSDT"))
    state = evolve(state, Tallied(at=at(2)))
    assert next_action(state) == Wait(at(5))
    assert isinstance(next_action(evolve(evolve(state, Waited(at=at(5))), a_survey(5))), Wait)
    assert isinstance(next_action(after(a_survey(1))), Wait), "nothing was closed"


def test_a_ban_known_from_an_earlier_job_is_waited_out_before_the_first_request():
    state = evolve(begin(replace(ENGAGED, silent_until=at(20))), KeysDisabled(at=at(0), latched=True))
    assert next_action(state) == Wait(at(20))
    state = evolve(begin(replace(ENGAGED, silent_until=at(99))), KeysDisabled(at=at(0), latched=True))
    assert (state.cause, state.retry_at) == (Cause.BANNED, at(99))


def test_time_that_runs_out_beside_a_venue_that_answers_is_just_that():
    state = after(a_survey(1, a_leg("1")), DeadlinePassed(at=at(60)))
    assert (state.cause, state.retry_at) == (Cause.TIME, None)


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
            case Survey(orders=orders):
                if chance.random() < 0.1:
                    return self.feed(SurveyFailed(at=self.now, error="down", retry_after=self.penalty()))
                return self.feed(self.survey() if orders else self.positions())
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
                    rejected = CloseRejected(at=self.now, step=close, error="x", refusal=chance.choice(tuple(Refusal)))
                    filled = close.quantity * chance.randint(0, 4) / 4
                    sent = CloseSent(at=self.now, step=close, filled_quantity=filled)
                    self.feed(chance.choice((sent, failed, rejected)))
            case Tally():
                self.feed(Tallied(at=self.now, retry_after=self.penalty()))
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
            lot = LotSize(step=Decimal("0.01"), quantity_min=Decimal("0.05"), quantity_max=Decimal(15))
            known = lot if chance.random() < 0.7 else None
            mark = Decimal(100) if chance.random() < 0.7 else None
            more = {"market_lot": known, "limit_lot": known, "mark_price": mark, "trading": chance.random() < 0.95}
            leg = a_leg(str(quantity or 1), chance.choice(symbols), chance.choice(sides), **more)
            legs[leg.key] = leg
        orders = [RestingOrder(symbol=chance.choice(symbols), order_id=str(i)) for i in range(chance.randint(0, 3))]
        middle = chance.randint(0, len(orders))
        return Surveyed(
            at=self.now,
            plain_orders=tuple(orders[:middle]),
            conditional_orders=tuple(orders[middle:]),
            positions=tuple(legs.values()),
            unread=("algo orders: no answer",) if chance.random() < 0.1 else (),
        )

    def positions(self) -> Surveyed:
        return replace(self.survey(), plain_orders=(), conditional_orders=(), complete=False)


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
            if survey.orders or survey.unread or not survey.complete or any(leg.closable for leg in survey.positions):
                break
            calm.append(survey)
        assert len(calm) >= 3
        assert calm[0].at - calm[-1].at >= CALM_SPAN
        assert (final.phase is Phase.FLAT) == (not surveys[-1].positions)
    else:
        assert final.phase is Phase.DEGRADED
        assert final.why and final.cause is not None


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
            assert 0 < step.quantity <= (abs(leg.quantity) if leg.closable else LOT.smallest * 50)
            assert leg.market_lot is None or step.quantity <= leg.market_lot.quantity_max
            assert step.side.sign == (-1 if leg.quantity > 0 else 1)
    busy_reads = 0
    for event in ordeal.events:
        if isinstance(event, Surveyed) and event.complete:
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
