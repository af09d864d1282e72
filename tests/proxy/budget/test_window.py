"""A counter of the venue is never guessed lower than it is, and a window that is over says nothing of the next."""

from __future__ import annotations

from proxy.budget.window import SETTLED_MS, Window

MINUTE = 60_000
LATER = SETTLED_MS + 1


def a_window() -> Window:
    return Window(MINUTE)


def test_what_is_under_way_counts_until_it_is_over() -> None:
    window = a_window()
    window.begin(40)
    assert window.used(LATER) == 40
    window.end(40, LATER, LATER + 5, reported=1_000)
    assert window.used(LATER + 5) == 1_000


def test_the_venue_is_believed_before_our_own_counting() -> None:
    window = a_window()
    for sent_ms in (LATER, LATER + 10):
        window.begin(5)
        window.end(5, sent_ms, sent_ms + 5, reported=700)
    assert window.used(LATER + 20) == 700


def test_answers_that_overtake_each_other_do_not_lower_the_count() -> None:
    window = a_window()
    window.begin(5)
    window.begin(5)
    window.end(5, LATER + 1, LATER + 5, reported=710)
    window.end(5, LATER, LATER + 6, reported=705)
    assert window.used(LATER + 7) == 710


def test_without_a_word_of_the_venue_our_own_requests_count() -> None:
    window = a_window()
    for _ in range(3):
        window.begin(20)
        window.end(20, LATER, LATER + 5, reported=None)
    assert window.used(LATER + 6) == 60


def test_a_word_of_the_venue_covers_what_ended_before_it_was_asked_and_no_more() -> None:
    window = a_window()
    window.begin(20)
    window.begin(5)
    window.end(20, LATER, LATER + 100, reported=None)
    window.end(5, LATER + 50, LATER + 101, reported=5)
    assert window.used(LATER + 102) == 25, "the lost one may be counted after this one"
    window.begin(5)
    window.end(5, LATER + 101, LATER + 150, reported=30)
    assert window.used(LATER + 151) == 30


def test_a_new_window_starts_from_what_is_under_way() -> None:
    window = a_window()
    window.begin(5)
    window.end(5, LATER, LATER + 5, reported=2_000)
    window.begin(40)
    assert window.used(MINUTE) == 40


def test_a_count_of_the_window_before_is_not_taken_for_the_new_one() -> None:
    window = a_window()
    window.begin(5)
    window.end(5, MINUTE - 10, MINUTE + 10, reported=2_300)
    assert window.used(MINUTE + 10) == 5
    window.begin(5)
    window.end(5, MINUTE + SETTLED_MS - 1, MINUTE + 900, reported=2_305)
    assert window.used(MINUTE + 900) == 10, "our clock may be a little fast"
    window.begin(5)
    window.end(5, MINUTE + 901, MINUTE + 910, reported=15)
    assert window.used(MINUTE + 910) == 15


def test_what_others_heard_counts_in_its_own_window_only() -> None:
    window = a_window()
    window.told(0, 900, LATER)
    assert window.used(LATER) == 900
    window.told(0, 800, LATER)
    assert window.used(LATER) == 900
    window.told(0, 2_000, MINUTE + LATER)
    assert window.used(MINUTE + LATER) == 0


def test_the_end_of_the_window_is_told_in_whole_seconds() -> None:
    window = a_window()
    assert window.ends_in_s(MINUTE) == 60
    assert window.ends_in_s(MINUTE + 1) == 60
    assert window.ends_in_s(2 * MINUTE - 1) == 1
