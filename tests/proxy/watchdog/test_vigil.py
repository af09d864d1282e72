"""When a watchdog acts: silence that was seen, all of it, and no goodbye before it."""

from __future__ import annotations

import pytest

from proxy.watchdog.beat import Beat, Duty, Terms
from proxy.watchdog.vigil import CREDIT_MAX_S, Vigil, done, looked, taken_up
from rules.kill.settings import Flatten, OnGoodbye

TERMS = Terms(silent_s=10, on_goodbye=OnGoodbye.STAND_DOWN, flatten=Flatten())
ALIVE = Beat(boot_us=1, number=1, terms=TERMS)
STILL = Beat(boot_us=1, number=2, terms=TERMS, still=("the kill's mirror",))
GOODBYE = Beat(boot_us=1, number=3, terms=TERMS, leaving=True)
FLATTEN_AT_GOODBYE = Beat(
    boot_us=1, number=3, terms=Terms(silent_s=10, on_goodbye=OnGoodbye.FLATTEN, flatten=Flatten()), leaving=True
)


def watching(at: float = 0.0) -> Vigil:
    return looked(Vigil(), ALIVE, at)


def silence(vigil: Vigil, *, since: float, seconds: int, beat: Beat | None = None) -> Vigil:
    """A look in vain every second."""
    for second in range(1, seconds + 1):
        vigil = looked(vigil, beat, since + second)
    return vigil


def test_ten_seconds_of_silence_are_enough_and_nine_are_not() -> None:
    assert silence(watching(), since=0, seconds=9).duty is Duty.WATCHING
    assert silence(watching(), since=0, seconds=10).due


def test_a_brief_cut_counts_for_nothing() -> None:
    vigil = silence(watching(), since=0, seconds=9)
    vigil = looked(vigil, ALIVE, 10)
    assert not silence(vigil, since=10, seconds=9).due


def test_a_beat_of_loops_that_stand_still_proves_nothing() -> None:
    vigil = silence(watching(), since=0, seconds=10, beat=STILL)
    assert vigil.due
    assert "the kill's mirror stand still" in vigil.why


def test_never_heard_means_never_due() -> None:
    assert silence(Vigil(), since=0, seconds=3_600).duty is Duty.WAITING


def test_a_look_that_comes_late_did_not_see_the_silence() -> None:
    """A watchdog that stood still for an hour has missed an hour of beats, not seen one without."""
    vigil = looked(watching(), None, 3_600)
    assert vigil.silence_s == CREDIT_MAX_S
    assert not vigil.due


def test_after_a_goodbye_silence_is_what_was_announced() -> None:
    vigil = looked(watching(), GOODBYE, 1)
    assert vigil.duty is Duty.STANDING_DOWN
    assert silence(vigil, since=1, seconds=3_600).duty is Duty.STANDING_DOWN
    assert looked(vigil, ALIVE, 10).duty is Duty.WATCHING, "until it is heard again"


def test_a_goodbye_of_still_loops_is_a_goodbye() -> None:
    beat = Beat(boot_us=1, number=3, terms=TERMS, still=("the keeper of main",), leaving=True)
    assert looked(watching(), beat, 1).duty is Duty.STANDING_DOWN


def test_a_goodbye_flattens_where_the_policy_says_so_if_it_was_on_watch() -> None:
    assert looked(watching(), FLATTEN_AT_GOODBYE, 1).due
    assert not looked(Vigil(), FLATTEN_AT_GOODBYE, 1).due


def test_it_acts_once_and_watches_again_when_the_guard_is_back() -> None:
    vigil = done(silence(watching(), since=0, seconds=10), 11)
    assert not silence(vigil, since=11, seconds=100).due
    vigil = looked(vigil, ALIVE, 200)
    assert silence(vigil, since=200, seconds=10).due


def test_hearing_the_guard_calls_it_off() -> None:
    assert not looked(silence(watching(), since=0, seconds=10), ALIVE, 11).due


@pytest.mark.parametrize(("grace_s", "due_after"), [(0, 10), (30, 40)])
def test_a_watch_that_is_taken_up_goes_on_with_what_grace_it_was_given(grace_s: int, due_after: int) -> None:
    vigil = taken_up(TERMS, 0, grace_s)
    assert not silence(vigil, since=0, seconds=due_after - 1).due
    assert silence(vigil, since=0, seconds=due_after).due


def test_the_terms_are_those_it_was_told_last() -> None:
    shorter = Beat(boot_us=1, number=2, terms=Terms(silent_s=3, on_goodbye=OnGoodbye.STAND_DOWN, flatten=Flatten()))
    assert silence(looked(watching(), shorter, 1), since=1, seconds=3).due
