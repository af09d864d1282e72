"""Alerts are told once, repeated until heard, held in quiet hours, and never lost or silenced at kill level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.alerts.alert import Notice, Occasion, Report
from proxy.alerts.lifecycle import (
    AGAIN_AFTER,
    CROWD,
    GROUP_MAX,
    HELD_MAX,
    OPEN_MAX,
    PAST_MAX,
    REPEAT_AFTER,
    SETTLED_AFTER,
    Acknowledged,
    Event,
    Raised,
    Seen,
    State,
    Ticked,
    evolve,
    find,
)
from proxy.alerts.reports import report_of
from proxy.severity import Severity

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def a_report(key: str = "feed:main", severity: Severity = Severity.WARNING, *, news: bool = False) -> Report:
    return Report(key=key, what="feed", severity=severity, title=f"something with {key}", news=news)


@dataclass
class Desk:
    """The machine, its clock and what it told."""

    now: datetime = NOON
    state: State = field(default_factory=State)
    told: list[Notice] = field(default_factory=list)
    quiet: bool = False

    def does(self, event: Event, after: timedelta = timedelta()) -> list[Notice]:
        self.now += after
        self.state, notices = evolve(self.state, event, self.now, quiet=self.quiet)
        self.told += notices
        return list(notices)

    def sees(self, *reports: Report, for_s: float = 0) -> list[Notice]:
        """The same conditions every second for a while."""
        notices = []
        for _ in range(int(for_s) + 1):
            notices += self.does(Seen(reports), timedelta(seconds=1))
        return notices


def test_what_nobody_can_tell_yet_stays_as_it_is_and_what_is_so_is_told_all_the_same() -> None:
    desk = Desk()
    desk.sees(a_report("survey:main"), a_report("stop:desk", Severity.KILL), a_report("store"))
    desk.sees(a_report("survey:main"))
    before = dict(desk.state.open)
    assert before["store"].absent_since is not None
    desk.told.clear()
    unsure = frozenset(desk.state.open)
    assert desk.does(Seen((), unsure), SETTLED_AFTER * 2) == []
    assert desk.state.open == before, "neither over nor away"
    told = desk.does(Seen((a_report("survey:main", Severity.CRITICAL), a_report("feed:main")), unsure))
    assert [(each.occasion.value, each.alert.report.key) for each in told if each.alert is not None] == [
        ("again", "survey:main"),
        ("raised", "feed:main"),
    ]
    assert occasions(desk.sees(for_s=SETTLED_AFTER.total_seconds() + 1)) == ["cleared"] * 4


def occasions(notices: Sequence[Notice]) -> list[str]:
    return [notice.occasion.value for notice in notices]


def test_the_same_again_is_counted_and_told_once_until_the_window_is_over() -> None:
    desk = Desk()
    for _ in range(20):
        desk.does(Raised(a_report()), timedelta(seconds=5))
    assert occasions(desk.told) == ["raised"]
    assert desk.state.open["feed:main"].count == 20
    desk.does(Raised(a_report()), AGAIN_AFTER[Severity.WARNING])
    assert occasions(desk.told) == ["raised", "again"]


def test_what_gets_worse_is_told_at_once_and_takes_an_acknowledgement_back() -> None:
    desk = Desk()
    desk.sees(a_report())
    desk.does(Acknowledged(desk.state.open["feed:main"].id, "ann"))
    worse = desk.sees(a_report(severity=Severity.CRITICAL))
    assert occasions(worse) == ["again"]
    assert desk.state.open["feed:main"].acknowledged_by == ""


def test_news_is_told_within_the_window() -> None:
    desk = Desk()
    desk.does(Raised(a_report("stop:desk", Severity.KILL, news=True)))
    assert occasions(desk.does(Raised(a_report("stop:desk", Severity.KILL, news=True)))) == ["again"]


def test_kill_level_is_repeated_until_acknowledged_and_not_for_ever() -> None:
    desk = Desk()
    desk.does(Raised(a_report("stop:desk", Severity.KILL)))
    for _ in range(20_000):
        desk.does(Ticked(), timedelta(seconds=5))
    assert occasions(desk.told) == ["raised", *["repeated"] * len(REPEAT_AFTER)]

    other = Desk()
    other.does(Raised(a_report("stop:desk", Severity.KILL)))
    other.does(Ticked(), REPEAT_AFTER[0])
    other.does(Acknowledged(other.state.open["stop:desk"].id, "ann"))
    other.does(Ticked(), timedelta(days=1))
    assert occasions(other.told) == ["raised", "repeated", "acknowledged"]


def test_acknowledging_twice_keeps_the_first_name() -> None:
    desk = Desk()
    desk.sees(a_report("stop:desk", Severity.KILL))
    alert_id = desk.state.open["stop:desk"].id
    desk.does(Acknowledged(alert_id, "ann"))
    assert desk.does(Acknowledged(alert_id, "ben")) == []
    found = find(desk.state, alert_id)
    assert found is not None and found.acknowledged_by == "ann"


def test_what_was_acknowledged_does_not_ring_again_for_the_same() -> None:
    desk = Desk()
    desk.does(Raised(a_report(severity=Severity.CRITICAL)))
    desk.does(Acknowledged(desk.state.open["feed:main"].id, "ann"))
    assert desk.does(Raised(a_report(severity=Severity.CRITICAL)), timedelta(minutes=1)) == []
    assert desk.state.past[-1].count == 2
    again = desk.does(Raised(a_report(severity=Severity.CRITICAL)), timedelta(minutes=11))
    assert occasions(again) == ["raised"]


def test_what_keeps_coming_after_an_acknowledgement_is_told_again_when_that_is_a_window_old() -> None:
    desk = Desk()
    desk.does(Raised(a_report(severity=Severity.CRITICAL)))
    desk.does(Acknowledged(desk.state.open["feed:main"].id, "ann"), timedelta(minutes=8))
    heard_at = desk.now
    told_after = []
    for _ in range(8):
        if desk.does(Raised(a_report(severity=Severity.CRITICAL)), timedelta(minutes=5)):
            told_after.append(desk.now - heard_at)
    assert told_after == [timedelta(minutes=minutes) for minutes in (10, 20, 30, 40)]


def test_a_condition_is_open_until_it_has_been_away_for_a_while() -> None:
    desk = Desk()
    assert occasions(desk.sees(a_report(), for_s=100)) == ["raised"]
    assert desk.sees(for_s=SETTLED_AFTER.total_seconds() - 2) == []
    assert desk.sees(a_report(), for_s=10) == [], "a flicker is not told"
    over = desk.sees(for_s=2 * SETTLED_AFTER.total_seconds() + 2)
    assert occasions(over) == ["cleared"], "having flickered, it takes twice as long"
    assert desk.state.open == {} and desk.state.past[-1].closed_at is not None


def test_a_condition_that_was_acknowledged_stays_open_until_it_is_over() -> None:
    desk = Desk()
    desk.sees(a_report("stop:desk", Severity.KILL))
    desk.does(Acknowledged(desk.state.open["stop:desk"].id, "ann"))
    desk.sees(a_report("stop:desk", Severity.KILL), for_s=60)
    assert "stop:desk" in desk.state.open
    assert occasions(desk.sees(for_s=SETTLED_AFTER.total_seconds() + 1)) == ["cleared"]


def test_a_second_kill_after_the_first_was_lifted_is_told_however_soon() -> None:
    desk = Desk()
    stop = a_report("stop:desk", Severity.KILL)
    desk.does(Raised(stop))
    desk.sees(stop)
    desk.does(Acknowledged(desk.state.open["stop:desk"].id, "ann"))
    desk.sees(for_s=2)
    for again in (desk.does(Raised(stop)), [*desk.sees(for_s=2), *desk.sees(stop)]):
        assert occasions(again) == ["again"]
        assert desk.state.open["stop:desk"].acknowledged_by == ""


def test_an_event_of_a_condition_keeps_its_words() -> None:
    desk = Desk()
    desk.does(Raised(Report(key="stop:desk", what="kill.engaged", severity=Severity.KILL, title="by ann")))
    desk.sees(Report(key="stop:desk", what="stopped", severity=Severity.KILL, title="by somebody"), for_s=3)
    assert desk.state.open["stop:desk"].report.title == "by ann" and desk.state.open["stop:desk"].lasting


def test_what_comes_in_quiet_hours_waits_for_their_end_but_a_kill_does_not() -> None:
    desk = Desk(quiet=True)
    desk.does(Raised(a_report("a")))
    desk.does(Raised(a_report("b", Severity.CRITICAL)))
    desk.does(Raised(a_report("k", Severity.KILL)))
    assert [(each.severity.value, each.quiet) for each in desk.told] == [
        ("warning", True),
        ("critical", True),
        ("kill", False),
    ]
    desk.quiet = False
    (digest,) = [each for each in desk.does(Ticked(), timedelta(seconds=10)) if each.occasion is Occasion.DIGEST]
    assert [each.title for each in digest.held] == ["something with a", "something with b"]
    assert digest.severity is Severity.CRITICAL and desk.state.held == ()


def test_what_ends_another_closes_it_without_a_word_and_its_return_is_told() -> None:
    desk = Desk()
    stopped = a_report("bot.stopped:bot:grid", Severity.CRITICAL, news=True)
    going_on = replace(a_report("rearm:bot:grid", Severity.CRITICAL, news=True), ends=(stopped.key, "never.was"))
    desk.does(Raised(stopped))
    assert occasions(desk.does(Raised(going_on), timedelta(minutes=3))) == ["raised"]
    assert set(desk.state.open) == {going_on.key} and desk.state.past[-1].closed_at == desk.now
    assert occasions(desk.does(Raised(stopped), timedelta(minutes=3))) == ["raised"]


def test_what_was_undone_is_not_repeated_once_it_is_done() -> None:
    desk = Desk()
    desk.does(Raised(a_report("kill.degraded:desk", Severity.KILL, news=True)))
    done = replace(a_report("stop:desk", Severity.KILL, news=True), ends=("kill.degraded:desk",))
    desk.does(Raised(done), timedelta(minutes=2))
    for _ in range(200):
        told = desk.does(Ticked(), timedelta(minutes=1))
        assert {notice.alert.report.key for notice in told if notice.alert is not None} <= {"stop:desk"}


def test_a_condition_that_is_not_seen_at_the_moment_is_not_repeated() -> None:
    desk = Desk()
    stop = a_report("stop:desk", Severity.KILL)
    desk.sees(stop)
    desk.sees()
    assert desk.does(Ticked(), REPEAT_AFTER[0]) == []
    assert occasions(desk.sees(stop)) == ["again"] and occasions(desk.does(Ticked(), REPEAT_AFTER[0])) == ["repeated"]


def test_what_gets_better_and_worse_again_is_told_once_and_stays_acknowledged() -> None:
    desk = Desk()
    mild, bad = a_report(), replace(a_report(severity=Severity.CRITICAL), title="it is bad")
    desk.sees(mild)
    desk.sees(bad)
    desk.does(Acknowledged(desk.state.open["feed:main"].id, "ann"))
    for _ in range(50):
        assert desk.sees(mild, for_s=5) == [] == desk.sees(bad, for_s=60)
    desk.sees(mild)
    alert = desk.state.open["feed:main"]
    assert (alert.acknowledged_by, alert.severity, alert.report.title) == ("ann", Severity.CRITICAL, mild.title)
    (over,) = desk.sees(for_s=SETTLED_AFTER.total_seconds() + 1)
    assert over.severity is Severity.CRITICAL, "whoever heard of it hears that it is over"


def test_a_second_kill_of_one_key_is_repeated_like_the_first() -> None:
    desk, kill = Desk(), a_report("trigger:main", Severity.KILL, news=True)
    for _ in range(2):
        desk.does(Raised(kill), timedelta(days=3))
        told = [notice for _ in range(20_000) for notice in desk.does(Ticked(), timedelta(seconds=5))]
        assert occasions(told) == ["repeated"] * len(REPEAT_AFTER)


def test_what_is_new_of_a_kill_has_to_be_acknowledged_anew() -> None:
    desk, stop = Desk(), a_report("stop:desk", Severity.KILL, news=True)
    desk.does(Raised(stop))
    desk.sees(stop)
    desk.does(Acknowledged(desk.state.open["stop:desk"].id, "ann"))
    desk.does(Raised(stop), timedelta(seconds=10))
    assert desk.state.open["stop:desk"].acknowledged_by == ""
    assert occasions(desk.does(Ticked(), REPEAT_AFTER[0])) == ["repeated"]


def a_kill(what: str = "kill.degraded", **detail: str) -> Raised:
    report = report_of(what, "guard", {"scope": "desk", "reason": "begun again"} | detail)
    assert report is not None
    return Raised(report)


@pytest.mark.parametrize(("every_s", "repeated"), [(90, 1), (300, 3)])
def test_tries_of_one_kill_that_fail_do_not_begin_its_repeats_from_the_first(every_s: int, repeated: int) -> None:
    desk = Desk()
    for second in range(0, 3600, 5):
        if second % every_s == 0:
            desk.does(a_kill())
        desk.does(Ticked(), timedelta(seconds=5))
    assert occasions(desk.told).count("repeated") == repeated
    assert occasions(desk.told).count("again") == 3600 // every_s - 1, "each try that fails is told"


def test_who_acknowledged_a_kill_that_is_not_done_hears_of_no_further_try_of_it() -> None:
    desk = Desk()
    desk.does(a_kill())
    desk.does(Acknowledged(desk.state.open["kill.degraded:desk"].id, "ann"))
    desk.told.clear()
    for _ in range(60):
        desk.does(a_kill(), timedelta(seconds=90))
        desk.does(Ticked())
    assert desk.told == []
    alert = desk.state.open["kill.degraded:desk"]
    assert (alert.acknowledged_by, alert.count) == ("ann", 61), "it stands as what it is: not done"
    desk.does(a_kill("kill.flat"))
    assert "kill.degraded:desk" not in desk.state.open
    assert occasions(desk.does(a_kill(), timedelta(minutes=5))) == ["raised"]


def test_another_press_takes_the_acknowledgement_of_a_kill_that_is_not_done_back() -> None:
    desk = Desk()
    desk.does(a_kill())
    desk.does(Acknowledged(desk.state.open["kill.degraded:desk"].id, "ann"))
    desk.does(a_kill("kill.engaged"), timedelta(minutes=10))
    told = desk.does(Ticked(), REPEAT_AFTER[0])
    assert {each.alert.report.key for each in told if each.alert is not None} == {"stop:desk", "kill.degraded:desk"}
    assert occasions(desk.does(a_kill())) == ["again"]


def test_another_reason_takes_the_acknowledgement_of_a_kill_that_is_not_done_back() -> None:
    desk, broke_off = Desk(), a_kill("kill.cancelling", phase="CANCELLING")
    desk.does(a_kill())
    desk.does(Acknowledged(desk.state.open["kill.degraded:desk"].id, "ann"))
    assert occasions(desk.does(broke_off)) == ["again"]
    assert desk.state.open["kill.degraded:desk"].acknowledged_by == ""
    desk.does(Acknowledged(desk.state.open["kill.degraded:desk"].id, "ann"))
    assert desk.does(broke_off, timedelta(minutes=5)) == []


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    desk = Desk()
    desk.does(Raised(a_report("stop:desk", Severity.KILL)))
    desk.does(Raised(a_report(severity=Severity.CRITICAL)))
    desk.does(Acknowledged(desk.state.open["feed:main"].id, "ann"), timedelta(minutes=5))
    desk.sees(a_report("store"))
    desk.sees()
    desk.does(Ticked(), -timedelta(hours=3))
    assert occasions(desk.does(Ticked(), REPEAT_AFTER[0])) == ["repeated"]
    assert occasions(desk.sees(for_s=SETTLED_AFTER.total_seconds())) == ["cleared"]
    assert occasions(desk.does(Raised(a_report(severity=Severity.CRITICAL)), timedelta(minutes=11))) == ["raised"]


def test_of_a_group_a_few_are_told_an_hour_and_the_rest_are_one() -> None:
    desk, found = Desk(), [replace(a_report(f"outside:main:{n}"), group="outside:main") for n in range(GROUP_MAX + 40)]
    for report in found:
        desk.does(Raised(report), timedelta(seconds=10))
    assert set(desk.state.open) == {"outside:main", *(report.key for report in found[:GROUP_MAX])}
    assert occasions(desk.told) == ["raised"] * (GROUP_MAX + 1)
    assert desk.state.open["outside:main"].count == 40
    assert occasions(desk.does(Raised(replace(found[-1], key="outside:other:1", group="outside:other")))) == ["raised"]
    desk.does(Raised(found[-1]), timedelta(hours=1))
    assert found[-1].key in desk.state.open, "an hour later there is room"


def test_an_event_ends_no_condition_that_is_seen() -> None:
    desk = Desk()
    desk.sees(a_report("stop:desk", Severity.KILL))
    desk.does(Raised(replace(a_report("rearm:desk"), ends=("stop:desk",))))
    assert "stop:desk" in desk.state.open


def test_an_alert_that_only_informs_is_over_by_itself() -> None:
    desk = Desk()
    desk.does(Raised(a_report("a", Severity.INFO)))
    desk.does(Raised(a_report("b", Severity.CRITICAL)))
    desk.does(Ticked(), AGAIN_AFTER[Severity.INFO])
    assert set(desk.state.open) == {"b"}


def test_of_too_many_the_mildest_go_and_no_kill_does() -> None:
    desk = Desk()
    desk.does(Raised(a_report("kill", Severity.KILL)))
    for number in range(OPEN_MAX + PAST_MAX + 50):
        desk.does(Raised(a_report(f"w{number}")), timedelta(seconds=1))
    assert len(desk.state.open) == OPEN_MAX and len(desk.state.past) == PAST_MAX
    assert "kill" in desk.state.open


def test_of_more_conditions_than_there_is_room_for_each_is_told_once_and_the_rest_are_counted_once() -> None:
    desk = Desk()
    reports = [a_report(f"w{number}") for number in range(OPEN_MAX + 50)]
    assert occasions(desk.sees(*reports, for_s=100)) == ["raised"] * (OPEN_MAX + 1)
    crowd = desk.state.open[CROWD]
    assert (len(desk.state.open), crowd.report.severity) == (OPEN_MAX + 1, Severity.WARNING)
    assert "50" in crowd.report.title and f"w{OPEN_MAX}" in crowd.report.text
    assert desk.sees(*reports[:-1], for_s=100) == [], "another number is no news"
    assert "49" in desk.state.open[CROWD].report.title

    over = desk.sees(*reports[100:], for_s=2 * SETTLED_AFTER.total_seconds() + 4)
    told = [
        notice.alert.report.key for notice in over if notice.alert is not None and notice.occasion.value == "raised"
    ]
    assert told == [f"w{number}" for number in range(OPEN_MAX, OPEN_MAX + 50)], "each when there was room"
    assert CROWD not in desk.state.open and over[-1].occasion is Occasion.CLEARED


def test_a_worse_condition_makes_a_milder_one_go_and_that_one_is_counted() -> None:
    desk = Desk()
    milder = [a_report(f"w{number}") for number in range(OPEN_MAX)]
    desk.sees(*milder, for_s=10)
    notices = desk.sees(*milder, a_report("worse", Severity.CRITICAL), for_s=100)
    assert [notice.alert.report.key for notice in notices if notice.alert is not None] == ["worse", CROWD]
    assert len(desk.state.open) == OPEN_MAX + 1 and "1 more" in desk.state.open[CROWD].report.title


def test_conditions_of_kill_level_without_room_are_repeated_together_until_heard() -> None:
    desk = Desk()
    stops = [a_report(f"stop:{number}", Severity.KILL) for number in range(OPEN_MAX + 2)]
    desk.sees(*stops)
    assert desk.state.open[CROWD].severity is Severity.KILL
    told = desk.does(Ticked(), REPEAT_AFTER[0])
    assert CROWD in [notice.alert.report.key for notice in told if notice.alert is not None]
    desk.does(Acknowledged(desk.state.open[CROWD].id, "ann"))
    desk.sees(*stops)
    told = desk.does(Ticked(), REPEAT_AFTER[1])
    assert CROWD not in [notice.alert.report.key for notice in told if notice.alert is not None]


def test_an_event_pushes_out_events_before_conditions_and_no_condition_is_told_again_for_it() -> None:
    desk = Desk()
    lasting = [a_report(f"w{number}") for number in range(OPEN_MAX - 1)]
    desk.sees(*lasting)
    for number in range(50):
        desk.does(Raised(a_report(f"event{number}")))
        assert desk.sees(*lasting) == []
    assert {f"w{number}" for number in range(OPEN_MAX - 1)} | {"event49"} == desk.state.open.keys()


KEYS = st.sampled_from(["a", "b", "c"])
REPORTS = st.builds(a_report, KEYS, st.sampled_from(Severity), news=st.booleans())
STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.builds(Raised, REPORTS),
            st.builds(Seen, st.lists(REPORTS, max_size=3).map(tuple)),
            st.builds(Acknowledged, KEYS, st.just("ann")),
            st.just(Ticked()),
        ),
        st.integers(0, 7200),
        st.booleans(),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_kill_level_is_never_silenced_and_nothing_held_is_lost(
    steps: list[tuple[Event, int, bool]],
) -> None:
    desk = Desk()
    for event, after_s, quiet in steps:
        desk.quiet = quiet
        if isinstance(event, Acknowledged) and event.alert_id in desk.state.open:
            event = Acknowledged(desk.state.open[event.alert_id].id, event.by)
        before = desk.state
        notices = desk.does(event, timedelta(seconds=after_s))
        if isinstance(event, Raised) and event.report.severity is Severity.KILL and event.report.key not in before.open:
            remembered = any(each.report.key == event.report.key for each in before.past)
            assert remembered or any(each.severity is Severity.KILL for each in notices)
        assert len({alert.id for alert in (*desk.state.open.values(), *desk.state.past)}) == len(desk.state.open) + len(
            desk.state.past
        ), "no alert is open and over"
    desk.quiet = False
    desk.does(Ticked())
    assert all(not notice.quiet for notice in desk.told if notice.severity is Severity.KILL)
    held = sum(notice.quiet for notice in desk.told)
    assert sum(len(notice.held) + notice.left_out for notice in desk.told) == held
    assert len(desk.state.held) <= HELD_MAX


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.sampled_from(Severity))
def test_within_its_window_the_same_is_told_exactly_once(gaps: list[int], severity: Severity) -> None:
    desk, window = Desk(), AGAIN_AFTER[severity]
    told_at: list[datetime] = []
    for gap in gaps:
        if desk.does(Raised(a_report(severity=severity)), timedelta(seconds=gap)):
            told_at.append(desk.now)
    assert told_at[0] == NOON + timedelta(seconds=gaps[0])
    assert all(later - earlier >= window for earlier, later in pairwise(told_at))
