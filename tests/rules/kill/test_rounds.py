"""One round of a kill after another: how fast they come, what each keeps of the last, and why there is no more."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.venues.binance.usage import KILL_PRICES
from rules.kill.events import (
    Cause,
    CloseFailed,
    CloseRejected,
    DeadlinePassed,
    Phase,
    Refusal,
    Survey,
    SurveyFailed,
    Wait,
    Waited,
)
from rules.kill.flatten import REFUSALS_MAX, LegMemory
from rules.kill.machine import evolve, next_action
from rules.kill.rounds import (
    CALM_SPAN,
    CANCEL_ROUNDS_MAX,
    FAST_ROUNDS,
    ORDERS_MAX,
    ORDERS_SPAN,
    PAUSE_MAX,
    ROUNDS_MAX,
    degraded,
    pause,
)
from rules.kill.state import KillState, advice, left
from rules.model import PositionSide
from tests.rules.kill.test_machine import a_leg, a_survey, after, at, priced, settle


def test_a_pause_doubles_up_to_two_seconds():
    assert [pause(number).total_seconds() for number in (1, 2, 3, 4, 5, 99)] == [0.2, 0.4, 0.8, 1.6, 2, 2]


def test_no_two_closes_of_a_job_have_one_number():
    legs = a_leg("300"), a_leg("300", "ETHUSDT")
    state = after(a_survey(1, *legs))
    assert [step.sequence for step in state.closes] == [1, 2]
    state = evolve(settle(state, 1), a_survey(2, *(replace(leg, quantity=Decimal(180)) for leg in legs)))
    assert [step.sequence for step in state.closes] == [3, 4]


def test_a_step_carries_its_leg_without_its_book():
    (step,) = after(a_survey(1, priced("1", book=()))).closes
    assert step.leg == priced("1")


def test_a_rung_beyond_the_ladder_is_its_last():
    state = after()
    leg = priced("1")
    state = evolve(state.learnt([(leg.key, LegMemory(rung=99))]), a_survey(1, leg))
    assert state.closes[0].rung == 4


# How fast.


def fruitless(rounds: int) -> KillState:
    """So many readings of the same leg."""
    return after(*(a_survey(1 + number, a_leg("1")) for number in range(rounds)))


def test_every_round_without_progress_lengthens_the_pause():
    assert [fruitless(rounds).pauses for rounds in (1, 2, 3, 4)] == [0, 1, 2, 3]


def test_progress_takes_the_pauses_back_until_there_were_many_rounds():
    smaller = a_survey(99, a_leg("0.5"))
    assert evolve(fruitless(FAST_ROUNDS - 1), smaller).pauses == 0
    assert evolve(fruitless(FAST_ROUNDS), smaller).pauses == 1, "many rounds in a row have to be slower"


def test_an_order_less_is_progress_and_a_smaller_leg_is():
    def pauses(*surveys: object) -> int:
        return after(*surveys).pauses  # type: ignore[arg-type]

    assert pauses(a_survey(1, plain="BTCUSDT ETHUSDT"), a_survey(2, plain="BTCUSDT")) == 0
    assert pauses(a_survey(1, plain="BTCUSDT"), a_survey(2, plain="BTCUSDT")) == 1
    assert pauses(a_survey(1, a_leg("1")), a_survey(2, a_leg("0.9"))) == 0


def test_calm_takes_the_pauses_and_the_cancel_rounds_back():
    state = after(*(a_survey(number, plain="BTCUSDT") for number in range(CANCEL_ROUNDS_MAX)), a_survey(9))
    assert (state.pauses, state.cancel_rounds) == (0, 0)


def test_closing_takes_the_cancel_rounds_back():
    surveys = [a_survey(number, a_leg("1"), plain="BTCUSDT") for number in range(CANCEL_ROUNDS_MAX + 1)]
    state = after(*surveys)
    assert (state.phase, state.cancel_rounds) == (Phase.FLATTENING, 0)
    assert evolve(state, surveys[0]).phase is Phase.CANCELLING, "orders are tried again before the next closes"


def test_a_round_begins_with_nothing_left_of_the_last():
    closing = after(a_survey(1, a_leg("1")))
    state = evolve(replace(closing, wait_until=at(50)), a_survey(2, plain="BTCUSDT"))
    assert (state.closes, state.wait_until) == ((), None)
    state = evolve(state, a_survey(3, a_leg("1")))
    assert state.cancels == ()


def test_what_was_not_read_or_still_rests_keeps_the_next_reading_whole():
    for more in ({"unread": ("algo orders: down",)}, {"plain": "ETHUSDT"}):
        surveys = [a_survey(number, a_leg("1"), **more) for number in range(CANCEL_ROUNDS_MAX + 1)]  # type: ignore[arg-type]
        state = after(*surveys)
        assert state.phase is Phase.FLATTENING and not state.sure
    assert after(a_survey(1, a_leg("1"))).sure


def test_orders_count_towards_the_limit_of_the_venue_for_ten_seconds():
    legs = [a_leg("1", f"S{number:03}") for number in range(ORDERS_MAX + 1)]
    state = settle(after(a_survey(1, *legs)), 1)
    late = a_survey(1 + ORDERS_SPAN.total_seconds(), legs[-1])
    assert len(evolve(state, late).closes) == 1, "ten seconds on they count no more"
    early = evolve(state, a_survey(10.9, legs[-1]))
    assert early.closes == () and early.wait_until == at(1) + ORDERS_SPAN
    assert (early.phase, evolve(state, a_survey(5, legs[-1])).wait_until) == (Phase.FLATTENING, at(5) + pause(1))


def test_what_is_under_way_is_looked_for_after_a_pause_and_at_the_latest_when_its_time_is_up():
    legs = priced("1000", "BTCUSDT"), priced("-1000", "ETHUSDT")
    state = replace(after(), flatten=replace(after().flatten, naked_notional_max=Decimal(1_000)))
    state = evolve(state, a_survey(1, *legs))
    for step in state.closes:
        state = evolve(state, CloseFailed(at=at(1), step=step, error="lost"))
    held = evolve(state, a_survey(2, *legs, plain="BTCUSDT"))
    assert held.phase is Phase.CANCELLING
    held = evolve(replace(held, cancel_rounds=CANCEL_ROUNDS_MAX), a_survey(3, *legs))
    assert (held.phase, next_action(held)) == (Phase.FLATTENING, Wait(at(3) + pause(1)))
    late = evolve(replace(state, pauses=9), a_survey(6.5, *legs))
    assert next_action(late) == Wait(at(1) + CALM_SPAN)


# The calm.


def test_calm_readings_come_three_seconds_apart_and_slower_where_the_clock_is_set_back():
    state = after(a_survey(1))
    assert next_action(state) == Wait(at(4))
    state = evolve(state, a_survey(4))
    assert next_action(state) == Wait(at(7))
    state = evolve(state, a_survey(6.9))
    assert next_action(state) == Wait(at(7)), "the six seconds are not over"
    back = after(a_survey(1), a_survey(2), a_survey(-5))
    assert (back.calm_reads, next_action(back)) == (3, Wait(at(7)))


def test_a_calm_reading_that_comes_when_it_is_due_waits_for_the_next_at_the_slowest_pace():
    state = after(a_survey(1), a_survey(7))
    assert (state.calm_reads, state.phase) == (2, Phase.VERIFYING)
    assert next_action(state) == Wait(at(7) + PAUSE_MAX)
    assert next_action(after(a_survey(1), a_survey(20))) == Wait(at(20) + PAUSE_MAX)


def test_what_cannot_be_read_starts_the_calm_anew_and_is_asked_for_again():
    unread = ("algo orders: down", "plain orders: down")
    state = after(a_survey(1), a_survey(4), a_survey(5, unread=unread))
    assert (state.calm_since, state.calm_reads, next_action(state)) == (None, 0, Wait(at(5) + PAUSE_MAX))
    assert evolve(state, DeadlinePassed(at=at(60))).why.endswith(
        "the last trouble was: algo orders: down; plain orders: down"
    )
    assert left(state) == (), "only at the end it is what is left"


LACKING: dict[str, tuple[str, ...]] = {"unread": ("algo orders: down",)}
POSITIONS_WEIGHT = 5


def played(*, down_s: float) -> tuple[KillState, list[float], list[float]]:
    """A job on an empty account whose list is away for so long; when it asked for all, and when for positions alone."""
    state, now = after(), 0.0
    found: dict[bool, list[float]] = {True: [], False: []}
    while not state.phase.final:
        match next_action(state):
            case Wait(until=until):
                now = max(now, (until - at(0)).total_seconds())
                state = evolve(state, Waited(at=at(now)) if now < 60 else DeadlinePassed(at=at(60)))
            case Survey(orders=True):
                found[True].append(now)
                state = evolve(state, a_survey(now, **(LACKING if now < down_s else {})))  # type: ignore[arg-type]
            case _:
                found[False].append(now)
                state = evolve(state, a_survey(now, complete=False))
    return state, found[True], found[False]


def test_a_job_that_cannot_be_proven_asks_for_the_lists_more_and_more_seldom_and_for_positions_all_the_time():
    state, whole, positions = played(down_s=60)
    assert (state.cause, state.why) == (Cause.UNREACHABLE, "time is up; the last trouble was: algo orders: down")
    assert left(state) == ("unknown: algo orders: down",)
    assert whole[:5] == [0, 2, 6, 14, 22]
    looks = sorted(whole + positions)
    assert max(later - sooner for sooner, later in itertools.pairwise(looks)) <= PAUSE_MAX.total_seconds()
    weight = len(whole) * KILL_PRICES.survey + len(positions) * POSITIONS_WEIGHT
    assert weight < len(looks) * KILL_PRICES.survey / 2


@pytest.mark.parametrize(("lacking", "waits"), [("algo orders", [2, 4, 8, 8]), ("orders", [2, 4, 4, 4])])
def test_what_may_rest_unseen_is_asked_for_sooner_than_what_the_other_service_lists(lacking: str, waits: list[int]):
    state, found = after(), []
    for number in range(4):
        state = evolve(state, a_survey(number, unread=(f"{lacking}: down",)))
        assert state.lists_at is not None
        found.append((state.lists_at - at(number)).total_seconds())
    assert found == waits


@pytest.mark.parametrize("down_s", [10, 20, 30, 40, 50, 51])
def test_a_list_that_comes_back_in_time_is_asked_for_in_time(down_s: float):
    assert played(down_s=down_s)[0].phase is Phase.FLAT


def test_what_opens_in_a_gap_is_closed_at_once_and_after_it_all_is_read():
    state = after(a_survey(0, **LACKING), Waited(at=at(2)), a_survey(2, **LACKING), Waited(at=at(4)))  # type: ignore[arg-type]
    assert next_action(state) == Survey(orders=False)
    state = evolve(state, a_survey(4, a_leg("1"), complete=False))
    assert [step.leg.symbol for step in state.closes] == ["BTCUSDT"]
    state = evolve(settle(state, 4), Waited(at=at(5)))
    assert (state.gaps, next_action(state)) == (0, Survey())
    assert after(a_survey(0, **LACKING), a_survey(1)).gaps == 0  # type: ignore[arg-type]


BLIND = {"unread": ("positions: down",)}


def test_positions_that_were_not_read_are_asked_for_again_at_once_and_are_never_calm():
    state = after(a_survey(1, a_leg("1"), plain="ETHUSDT"), a_survey(2, **BLIND))  # type: ignore[arg-type]
    assert (state.calm_reads, next_action(state)) == (0, Wait(at(2) + pause(1)))
    state = evolve(evolve(state, Waited(at=at(3))), a_survey(3, **BLIND))  # type: ignore[arg-type]
    assert (state.sure, next_action(state)) == (False, Wait(at(3) + pause(2)))
    for seconds in range(4, 60, 3):
        state = evolve(state, a_survey(seconds, **BLIND))  # type: ignore[arg-type]
        assert not state.phase.final and state.calm_reads == 0
    ended = evolve(state, DeadlinePassed(at=at(60)))
    assert (ended.phase, ended.cause, left(ended)) == (
        Phase.DEGRADED,
        Cause.UNREACHABLE,
        ("unknown: positions: down",),
    )
    blind = after(*(a_survey(number, **BLIND) for number in range(ROUNDS_MAX)))  # type: ignore[arg-type]
    assert blind.phase is Phase.DEGRADED


def test_orders_are_cancelled_though_the_positions_were_not_read():
    state = after(a_survey(1, plain="BTCUSDT", **BLIND))  # type: ignore[arg-type]
    assert (state.phase, [step.symbol for step in state.cancels]) == (Phase.CANCELLING, ["BTCUSDT"])


def test_a_close_of_unknown_outcome_is_not_seen_to_have_filled_by_a_reading_without_positions():
    state = after(a_survey(1, a_leg("1")))
    (step,) = state.closes
    state = evolve(state, CloseFailed(at=at(1), step=step, error="lost"))
    assert evolve(state, a_survey(2, **BLIND)).under_way == state.under_way  # type: ignore[arg-type]
    assert evolve(state, a_survey(2)).under_way == ()


def test_flat_is_flat_with_nothing_due():
    state = evolve(settle(after(a_survey(1, a_leg("1"))), 1), a_survey(2))
    flat = evolve(evolve(state, a_survey(5)), a_survey(8))
    assert (flat.phase, flat.tally_due) == (Phase.FLAT, False)


def test_a_later_close_is_tallied_too():
    state = evolve(settle(after(a_survey(1, a_leg("1"))), 1), a_survey(2))
    assert state.tally_due
    again = replace(state, tally_due=False, tallied=True)
    again = evolve(settle(evolve(again, a_survey(3, a_leg("1"))), 3), a_survey(4))
    assert again.tally_due


# The end without success.


def test_at_the_end_nothing_more_is_sent_asked_or_waited_for():
    state = degraded(
        replace(after(a_survey(1, a_leg("1"))), cancels=after(a_survey(1, plain="BTCUSDT")).cancels, tally_due=True),
        "because",
    )
    assert (state.cancels, state.closes, state.tally_due, state.wait_until) == ((), (), False, None)
    assert state.why == "because"
    assert degraded(replace(after(), wait_until=at(9), error="-1 no"), "because").wait_until is None
    assert degraded(replace(after(), error="-1 no"), "because").why == "because; the last trouble was: -1 no"


def test_a_refused_leg_and_a_halted_one_are_told_apart_and_named():
    legs = a_leg("1"), a_leg("1", "ETHUSDT")
    given_up = [(leg.key, LegMemory(refusals=REFUSALS_MAX)) for leg in legs]
    refused = evolve(after().learnt(given_up), a_survey(1, *legs))
    assert (refused.cause, refused.cause_symbols) == (Cause.REFUSED, ())
    assert refused.why == "the venue refuses to close BTCUSDT/BOTH, ETHUSDT/BOTH"
    halted = after(a_survey(1, *(replace(leg, trading=False) for leg in legs)))
    assert (halted.cause, halted.cause_symbols) == (Cause.CLOSED, ("BTCUSDT", "ETHUSDT"))
    assert halted.why == "the venue takes no orders for what is left: BTCUSDT/BOTH, ETHUSDT/BOTH"
    assert advice(halted).startswith("BTCUSDT, ETHUSDT does not trade now")


def test_a_leg_that_is_given_up_is_held_as_given_up_whatever_else_is_halted():
    given_up, halted = a_leg("1"), a_leg("1", "LUNAUSDT", trading=False)
    state = evolve(after().learnt([(given_up.key, LegMemory(refusals=REFUSALS_MAX))]), a_survey(1, given_up, halted))
    assert (state.cause, state.cause_symbols) == (Cause.CLOSED, ("LUNAUSDT",))


def test_halted_symbols_are_named_only_where_they_are_the_cause():
    state = after(a_survey(1, a_leg("1"), a_leg("1", "LUNAUSDT", trading=False)))
    assert degraded(state, "x", Cause.CLOSED).cause_symbols == ("LUNAUSDT",)
    assert degraded(state, "x", Cause.BANNED).cause_symbols == ()
    assert degraded(after(), "x", Cause.CLOSED).cause_symbols == (), "nothing was ever read"


@pytest.mark.parametrize(
    ("survey", "unreachable", "cause"),
    [
        (a_survey(1, a_leg("1")), False, Cause.TIME),
        (a_survey(1, a_leg("1")), True, Cause.UNREACHABLE),
        (None, False, Cause.UNREACHABLE),
        (a_survey(1, unread=("algo orders: down",)), False, Cause.UNREACHABLE),
        (a_survey(1, a_leg("1"), unread=("algo orders: down",)), False, Cause.TIME),
        (a_survey(1, plain="BTCUSDT"), False, Cause.TIME),
        (a_survey(1, a_leg("0.0004", side=PositionSide.LONG), unread=("algo orders: down",)), False, Cause.UNREACHABLE),
    ],
)
def test_when_the_time_is_up_the_cause_is_made_out_from_what_is_left(survey, unreachable, cause):
    state = after(*([survey] if survey else []), *([SurveyFailed(at=at(2), error="down")] if unreachable else []))
    assert evolve(state, DeadlinePassed(at=at(60))).cause is cause


def test_legs_refused_up_to_the_last_are_the_cause_and_one_that_is_not_is_none():
    leg, other = a_leg("1"), a_leg("1", "ETHUSDT")
    state = after(a_survey(1, leg))
    assert degraded(state.learnt([(leg.key, LegMemory(refusals=REFUSALS_MAX))]), "x").cause is Cause.REFUSED
    assert degraded(state.learnt([(leg.key, LegMemory(refusals=REFUSALS_MAX - 1))]), "x").cause is Cause.TIME
    both = after(a_survey(1, leg, other))
    assert degraded(both.learnt([(leg.key, LegMemory(refusals=REFUSALS_MAX))]), "x").cause is Cause.TIME


# What is said of it.


def test_what_is_left_is_named_by_kind():
    state = after(a_survey(1, a_leg("-2"), plain="BTCUSDT", conditional="ETHUSDT", algo="SOLUSDT"))
    assert left(state) == (
        "order pBTCUSDT BTCUSDT",
        "conditional order cETHUSDT ETHUSDT",
        "algo order aSOLUSDT SOLUSDT",
        "position BTCUSDT/BOTH -2",
    )


def test_what_ended_well_or_for_no_known_cause_needs_no_advice():
    assert advice(after(a_survey(1), a_survey(4), a_survey(7))) == ""
    ended = after(a_survey(1, a_leg("1")), DeadlinePassed(at=at(60)))
    assert advice(ended) == (
        "log in at the venue itself, cancel and close what is listed, then press again to have it verified"
    )
    assert advice(replace(ended, cause=None)) == ""
    assert advice(replace(after(), cause=Cause.TIME)) == "", "it still runs"


def test_a_ban_without_an_end_is_told_as_one():
    banned = degraded(after(a_survey(1, a_leg("1"))), "x", Cause.BANNED)
    assert advice(banned).startswith("the venue will not hear us before a time it does not say; log in")


def test_a_refusal_is_remembered_leg_by_leg():
    state = after(a_survey(1, a_leg("1"), a_leg("1", "ETHUSDT")))
    for step in reversed(state.closes):
        state = evolve(state, CloseRejected(at=at(1), step=step, error="no", refusal=Refusal.OTHER))
    assert [(key, memory.refusals) for key, memory in state.memory] == [("BTCUSDT/BOTH", 1), ("ETHUSDT/BOTH", 1)]
