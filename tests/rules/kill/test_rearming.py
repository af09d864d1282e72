"""F22: no way from killed to active in one step, and none that one person, or a bot, walks alone at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.kill.rearming import (
    APPROVAL_S,
    GRACE_S,
    KILLED,
    Event,
    NotNow,
    Opened,
    Passed,
    Pressed,
    Rearming,
    Request,
    Requested,
    Stage,
    Withdrawn,
    evolve,
)
from rules.kill.settings import Rearm
from rules.loosening import Needs

T0 = datetime(2026, 11, 27, 12, tzinfo=UTC)
TERMS = Rearm(delay_s=900, reduce_only_s=300, ramp_s=1000, ramp_start=Decimal("0.25"))
TWO = replace(TERMS, needs=Needs.TWO_PEOPLE)
LADDER = [Stage.KILLED, Stage.REQUESTED, Stage.REDUCING, Stage.RAMPING, Stage.ACTIVE]


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def asked(terms: Rearm = TERMS) -> Requested:
    return Requested(request=Request(by="ann", reason="mended it", at=T0, policy="ab" * 8), terms=terms)


def walked(*events: Event, state: Rearming = KILLED) -> Rearming:
    for event in events:
        state = evolve(state, event)
    return state


def test_f22_a_scope_comes_back_in_five_stages():
    state = walked(asked())
    stages = [KILLED.stage, state.stage]
    for event in (Opened(at=after(60), by="ben"), Passed(at=after(360)), Passed(at=after(1360))):
        state = evolve(state, event)
        stages.append(state.stage)
    assert stages == LADDER


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((asked(), asked()), "ann has asked already; withdraw that first"),
        (
            (asked(), Opened(at=after(1), by="ben"), asked()),
            "it is coming back already; its limits grow with time alone",
        ),
        ((Withdrawn(),), "nobody has asked for it"),
        ((Opened(at=after(1), by="ben"),), "nobody has asked for it"),
        ((asked(), Opened(at=after(1), by="ben"), Opened(at=after(2), by="cy")), "nobody has asked for it"),
        ((asked(), Opened(at=after(1), by="ann")), "ann asked for it: somebody else must approve"),
        ((asked(TWO), Opened(at=after(9_999))), "it needs somebody else"),
        ((asked(), Opened(at=after(899))), "the delay is not over"),
    ],
)
def test_what_may_not_be_now_is_said_in_words(events: tuple[Event, ...], why: str):
    state = walked(*events[:-1])
    with pytest.raises(NotNow) as refusal:
        evolve(state, events[-1])
    assert str(refusal.value) == why


def test_reduce_only_lasts_as_long_as_it_says():
    reducing = walked(asked(), Opened(at=after(60), by="ben"))
    assert evolve(reducing, Passed(at=after(359))).stage is Stage.REDUCING
    assert evolve(reducing, Passed(at=after(360))).stage is Stage.RAMPING


def test_the_limits_begin_with_their_first_share_to_the_second():
    ramping = walked(asked(replace(TERMS, ramp_s=10)), Opened(at=after(60), by="ben"), Passed(at=after(360)))
    shares = [ramping.share(after(seconds)) for seconds in (300, 360, 361, 370, 371)]
    assert shares == [Decimal(share) for share in ("0.25", "0.25", "0.32", "1", "1")]


_people = st.sampled_from(["ann", "ben", ""])
_moments = st.integers(0, 10_000).map(after)
_terms = st.sampled_from([TERMS, TWO])
_events = st.one_of(
    _terms.map(asked),
    st.just(Withdrawn()),
    st.just(Pressed()),
    st.builds(Opened, at=_moments, by=_people),
    st.builds(Passed, at=_moments),
)


@given(st.lists(_events, max_size=12))
def test_f22_no_event_skips_a_stage_and_only_another_person_or_the_delay_opens(events: list[Event]):
    state = KILLED
    for event in events:
        try:
            following = evolve(state, event)
        except NotNow:
            continue
        step = LADDER.index(following.stage) - LADDER.index(state.stage)
        # The only way up is one stage; the only ways down end where nothing is let in.
        assert step in (0, 1) or following.stage is Stage.KILLED
        if state.stage is Stage.REQUESTED and following.stage is Stage.REDUCING:
            assert isinstance(event, Opened)
            assert state.request is not None
            assert event.by not in ("", state.request.by) or (state.due is not None and event.at >= state.due)
        state = following


@given(st.lists(_events.filter(lambda event: not isinstance(event, Opened)), max_size=12))
def test_f22_nothing_but_an_opening_lets_anything_in(events: list[Event]):
    state = KILLED
    for event in events:
        try:
            state = evolve(state, event)
        except NotNow:
            continue
        assert state.stage in (Stage.KILLED, Stage.REQUESTED)
        assert state.share(after(10_000)) == 0


@pytest.mark.parametrize("by", ["", "ann"])
def test_f22_a_request_is_not_enough(by: str):
    with pytest.raises(NotNow, match=r"the delay is not over|somebody else"):
        walked(asked(), Opened(at=after(899), by=by))


def test_f22_the_delay_opens_alone_when_the_policy_says_so_and_never_where_two_people_decide():
    assert walked(asked(), Opened(at=after(900))).stage is Stage.REDUCING
    with pytest.raises(NotNow, match="it needs somebody else"):
        walked(asked(TWO), Opened(at=after(10_000)))
    assert walked(asked(TWO), Opened(at=after(1), by="ben")).approved_by == "ben"


@pytest.mark.parametrize("event", [Opened(at=after(5000), by="ben"), Withdrawn()])
def test_f22_there_is_nothing_to_open_or_withdraw_where_nobody_asked(event: Event):
    with pytest.raises(NotNow, match="nobody has asked"):
        walked(event)


def test_f22_asking_twice_does_not_restart_the_delay():
    with pytest.raises(NotNow, match="ann has asked already"):
        walked(asked(), asked())


@pytest.mark.parametrize("stage", LADDER)
def test_f22_a_press_undoes_everything_whatever_the_stage(stage: Stage):
    state = replace(walked(asked(), Opened(at=after(60), by="ben")), stage=stage)
    assert evolve(state, Pressed()) == KILLED


def test_f22_asking_anew_neither_shortens_nor_ends_the_probation():
    with pytest.raises(NotNow, match="coming back already"):
        walked(asked(), Opened(at=after(60), by="ben"), Passed(at=after(360)), asked())


def test_limits_grow_evenly_from_the_start_to_whole():
    state = walked(asked(), Opened(at=T0, by="ben"))
    assert state.share(after(299)) == 0
    state = evolve(state, Passed(at=after(300)))
    assert [state.share(after(300 + passed)) for passed in (0, 100, 500, 999, 1000, 5000)] == [
        Decimal(each) for each in ("0.25", "0.32", "0.62", "0.99", "1.00", "1.00")
    ]
    assert evolve(state, Passed(at=after(1299))).stage is Stage.RAMPING
    assert evolve(state, Passed(at=after(1300))).share(after(0)) == 1


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_a_share_only_grows_with_time(one: int, other: int):
    ramping = walked(asked(), Opened(at=T0, by="ben"), Passed(at=after(300)))
    earlier, later = sorted((one, other))
    assert ramping.share(after(earlier)) <= ramping.share(after(later)) <= 1


def test_a_clock_that_goes_back_gives_no_more_than_the_start():
    ramping = walked(asked(), Opened(at=T0, by="ben"), Passed(at=after(300)))
    assert ramping.share(after(-5000)) == Decimal("0.25")


def test_a_long_absence_is_one_stage_a_look():
    state = walked(asked(), Opened(at=T0, by="ben"), Passed(at=after(1_000_000)))
    assert state.stage is Stage.RAMPING
    assert evolve(state, Passed(at=after(1_000_000))).stage is Stage.ACTIVE


def test_a_request_lapses():
    assert walked(asked()).due == after(900)
    assert walked(asked()).lapses == after(900 + GRACE_S)
    assert walked(asked(TWO)).due is None
    assert walked(asked(TWO)).lapses == after(APPROVAL_S)
    opened = walked(asked(), Opened(at=after(60), by="ben"))
    assert (opened.due, opened.lapses, opened.ramps_at, opened.full_at) == (None, None, after(360), after(1360))
    assert (KILLED.due, KILLED.lapses, KILLED.ramps_at, KILLED.full_at) == (None, None, None, None)
