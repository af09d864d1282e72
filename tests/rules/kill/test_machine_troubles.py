"""What the machine of a kill makes of trouble: what it keeps, drops, waits for, reads again and says at the end."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.kill.cost import estimate, reckon
from rules.kill.events import (
    Cancel,
    CancelFailed,
    CancelSent,
    Cause,
    CloseFailed,
    CloseRejected,
    CloseSent,
    Costed,
    CostEstimated,
    DeadlinePassed,
    Event,
    KeysDisabled,
    Phase,
    Refusal,
    Resumed,
    Survey,
    SurveyFailed,
    Tallied,
    Tally,
    Wait,
    Waited,
)
from rules.kill.flatten import REFUSALS_MAX
from rules.kill.machine import begin, evolve, next_action
from rules.kill.rounds import PAUSE_MAX, pause
from rules.kill.settings import Flatten
from rules.kill.state import KillState, advice, left
from tests.rules.kill.test_machine import ENGAGED, a_leg, a_survey, after, at, priced, settle


def closing(*, fruitless: bool = False) -> KillState:
    """Two closes are to be sent; a second reading of the same has asked for a slower pace."""
    legs = a_leg("1"), a_leg("1", "ETHUSDT")
    return after(a_survey(1, *legs), *([a_survey(2, *legs)] if fruitless else []))


def cancelling(*, fruitless: bool = False) -> KillState:
    """Two cancels are to be sent."""
    return after(*(a_survey(1 + number, plain="BTCUSDT ETHUSDT") for number in range(1 + fruitless)))


def why(state: KillState) -> str:
    return evolve(state, DeadlinePassed(at=at(60))).why


def test_a_journal_begins_with_a_press():
    with pytest.raises(AssertionError, match=r"^a kill begins with a press$"):
        evolve(None, Waited(at=at(1)))


def test_a_press_brings_its_own_settings():
    flatten = Flatten(naked_notional_max=Decimal(7))
    assert begin(replace(ENGAGED, flatten=flatten)).flatten == flatten


def test_a_second_press_and_what_is_only_told_change_nothing():
    state = closing()
    told = (ENGAGED, CostEstimated(at=at(2), estimate=estimate(())), Costed(at=at(2), cost=reckon((), {})))
    assert [evolve(state, event) for event in told] == [state] * 3


def test_a_ban_until_the_deadline_itself_leaves_no_time():
    banned = begin(replace(ENGAGED, silent_until=ENGAGED.deadline))
    assert evolve(banned, KeysDisabled(at=at(0), latched=True)).cause is Cause.BANNED
    assert evolve(closing(), SurveyFailed(at=at(30), error="x", retry_after=30)).cause is Cause.BANNED
    assert evolve(closing(), SurveyFailed(at=at(30), error="x", retry_after=29)).cause is None


# Steps, one by one.


def test_steps_that_are_answered_are_not_sent_again():
    state = cancelling()
    first, second = state.cancels
    assert next_action(evolve(state, CancelSent(at=at(1), step=first))) == Cancel((second,))
    assert next_action(evolve(state, CancelFailed(at=at(1), step=first, error="no"))) == Cancel((second,))
    state = closing()
    sent, left = state.closes
    assert evolve(state, CloseSent(at=at(1), step=sent, filled_quantity=Decimal(1))).closes == (left,)
    assert evolve(state, CloseFailed(at=at(1), step=sent, error="lost")).closes == (left,)


def test_a_fruitless_round_is_sent_whole_and_ends_in_a_pause():
    state = cancelling(fruitless=True)
    first, second = state.cancels
    state = evolve(state, CancelSent(at=at(2), step=first))
    assert next_action(state) == Cancel((second,)), "the round is not over"
    assert next_action(evolve(state, CancelSent(at=at(2), step=second))) == Wait(at(2) + pause(1))

    state = closing(fruitless=True)
    lost, refused = state.closes
    state = evolve(state, CloseFailed(at=at(2), step=lost, error="lost"))
    assert state.wait_until is None, "the round is not over"
    assert next_action(evolve(state, CloseFailed(at=at(2), step=refused, error="lost"))) == Wait(at(2) + pause(1))


def test_a_demand_of_the_venue_to_stay_away_is_kept_whoever_is_told_it():
    state = closing()
    demands = (
        CloseFailed(at=at(2), step=state.closes[0], error="429", retry_after=9),
        SurveyFailed(at=at(2), error="429", retry_after=9),
        Tallied(at=at(2), retry_after=9),
    )
    for demand in demands:
        assert next_action(evolve(state, demand)) == Wait(at(11))


def test_the_longer_of_two_demands_holds():
    state = cancelling()
    first, second = state.cancels
    for seconds in ((20, 5), (5, 20)):
        said = state
        for step, retry_after in zip((first, second), seconds, strict=True):
            said = evolve(said, CancelFailed(at=at(2), step=step, error="418", retry_after=retry_after))
        assert next_action(said) == Wait(at(22))


def test_a_tally_without_a_demand_goes_on_at_once():
    state = evolve(settle(after(a_survey(1, a_leg("1"))), 1), a_survey(2))
    assert isinstance(next_action(state), Tally)
    assert evolve(state, Tallied(at=at(2))).wait_until == state.wait_until


# What is read next.


def test_after_any_trouble_the_next_reading_is_whole():
    sure = settle(after(a_survey(1, a_leg("300"))), 1)
    assert next_action(sure) == Survey(orders=False)
    cancel = cancelling().cancels[0]
    late = evolve(sure, CancelFailed(at=at(2), step=cancel, error="lost"))
    assert next_action(late) == Survey()
    unread = evolve(evolve(sure, SurveyFailed(at=at(2), error="down")), Waited(at=at(3)))
    assert next_action(unread) == Survey()


def test_every_reading_that_fails_is_followed_by_a_longer_pause():
    state = settle(after(a_survey(1, a_leg("300"))), 1)
    for number in (1, 2, 3):
        state = evolve(state, SurveyFailed(at=at(number), error="down"))
        assert next_action(state) == Wait(at(number) + pause(number))
        state = evolve(state, Waited(at=at(number)))


def test_a_reading_that_fails_sets_its_own_pause_in_place_of_the_wait_between_calm_ones():
    state = evolve(after(a_survey(1)), SurveyFailed(at=at(2), error="down"))
    assert next_action(state) == Wait(at(2) + pause(1))


def test_refusals_of_everything_end_nothing_and_eight_in_a_row_are_the_cause_when_the_time_is_up():
    def refused(times: int) -> list[SurveyFailed]:
        return [SurveyFailed(at=at(number), error="-2014 key", refused=True) for number in range(times)]

    def ended(*events: Event) -> KillState:
        return after(*events, DeadlinePassed(at=at(60)))

    assert not after(*refused(3 * REFUSALS_MAX)).phase.final, "a key may be let in again"
    assert ended(*refused(REFUSALS_MAX - 1)).cause is Cause.UNREACHABLE
    last = ended(*refused(REFUSALS_MAX))
    assert (last.phase, last.cause, left(last)) == (
        Phase.DEGRADED,
        Cause.REFUSED,
        ("unknown: the venue could not be read",),
    )
    assert last.why == "time is up; the last trouble was: -2014 key"
    assert "shows nothing to our key" in advice(last)
    for other in (a_survey(7, unread=("orders: down",)), SurveyFailed(at=at(7), error="timeout")):
        assert ended(*refused(REFUSALS_MAX - 1), other, *refused(REFUSALS_MAX - 1)).cause is Cause.UNREACHABLE


def test_a_crash_in_a_gap_is_followed_by_a_whole_reading_as_soon_as_after_the_first():
    state = after(*(a_survey(number, unread=("algo orders: down",)) for number in range(5)))
    assert state.lists_at == at(4 + 8)
    resumed = evolve(state, Resumed(at=at(5), deadline=at(65)))
    assert isinstance(action := next_action(resumed), Wait) and action.until <= at(5) + PAUSE_MAX
    assert next_action(evolve(resumed, Waited(at=at(6)))) == Survey()
    assert evolve(resumed, a_survey(6, unread=("algo orders: down",))).lists_at == at(6) + PAUSE_MAX


# What is learnt.


@pytest.mark.parametrize(
    ("leg", "refusal", "refusals"),
    [
        (a_leg("1"), Refusal.OTHER, 3),
        (a_leg("1"), Refusal.REDUCE_ONLY, 3),
        (priced("1"), Refusal.LIMIT_PRICE, 3),
        (a_leg("1"), Refusal.MARKET_PRICE, 2),
        (a_leg("1"), Refusal.CLOCK, 2),
        (a_leg("1"), Refusal.HALTED, 2),
    ],
)
def test_only_a_refusal_that_we_cannot_mend_counts_towards_giving_a_leg_up(leg, refusal, refusals):
    state = after(a_survey(1, leg))
    state = state.learnt([(leg.key, replace(state.remembered(leg), refusals=2))])
    state = evolve(state, CloseRejected(at=at(1), step=state.closes[0], error="no", refusal=refusal))
    assert state.remembered(leg).refusals == refusals
    assert state.closes == () and next_action(state) == Survey()


def test_a_price_refused_on_a_rung_sends_the_leg_one_rung_back_and_counts():
    state = evolve(settle(after(a_survey(1, priced("1"))), 1, filled="0.1"), a_survey(2, priced("0.9")))
    refused = CloseRejected(at=at(2), step=state.closes[0], error="-4024", refusal=Refusal.LIMIT_PRICE)
    memory = evolve(state, refused).remembered(priced("1"))
    assert (state.closes[0].rung, memory.rung, memory.refusals) == (1, 0, 1)


def test_a_fill_wipes_out_the_refusals_before_it():
    leg = a_leg("1")
    state = after(a_survey(1, leg))
    state = state.learnt([(leg.key, replace(state.remembered(leg), refusals=2))])
    assert settle(state, 2, filled="0.1").remembered(leg).refusals == 0
    assert settle(state, 2, filled="0").remembered(leg).refusals == 2


# A crash.


def test_after_a_crash_nothing_is_sent_or_tallied_before_a_reading():
    resumed = Resumed(at=at(3), deadline=at(63))
    assert (evolve(cancelling(), resumed).cancels, next_action(evolve(cancelling(), resumed))) == ((), Survey())
    due = replace(evolve(settle(after(a_survey(1, a_leg("1"))), 1), a_survey(2)), wait_until=None)
    assert isinstance(next_action(due), Tally)
    assert next_action(evolve(due, resumed)) == Survey()


def test_calm_from_before_a_crash_does_not_count():
    state = after(a_survey(1), Resumed(at=at(4), deadline=at(64)), a_survey(5), a_survey(6), a_survey(7.5))
    assert state.phase is Phase.VERIFYING, "six seconds from the first reading since, not from the one before"


@pytest.mark.parametrize(("seconds", "cause"), [(62, None), (63, Cause.BANNED), (64, Cause.BANNED)])
def test_a_ban_outlives_a_crash(seconds: int, cause: Cause | None):
    banned = replace(after(a_survey(1, a_leg("1"))), wait_until=at(seconds))
    state = evolve(banned, Resumed(at=at(3), deadline=at(63)))
    assert (state.cause, state.retry_at) == (cause, at(seconds) if cause else None)


# What is said at the end.


def test_the_end_says_the_last_trouble():
    assert why(closing()) == "time is up"
    assert why(evolve(closing(), Resumed(at=at(3), deadline=at(60)))) == "time is up", "a crash is none of the venue's"
    state = closing()
    troubles = (
        CancelFailed(at=at(2), step=cancelling().cancels[0], error="-2011 no"),
        CloseFailed(at=at(2), step=state.closes[0], error="-2011 no"),
        CloseRejected(at=at(2), step=state.closes[0], error="-2011 no"),
        SurveyFailed(at=at(2), error="-2011 no"),
    )
    assert {why(evolve(state, trouble)) for trouble in troubles} == {"time is up; the last trouble was: -2011 no"}


@pytest.mark.parametrize(("retry_after", "cause"), [(None, Cause.UNREACHABLE), (1, Cause.TIME)])
def test_a_venue_that_demands_silence_has_been_reached(retry_after: float | None, cause: Cause):
    state = evolve(closing(), SurveyFailed(at=at(2), error="x", retry_after=retry_after))
    assert evolve(state, DeadlinePassed(at=at(60))).cause is cause
