"""Bars into hours: whole ones, running ones, and those with too little in them."""

from __future__ import annotations

import pytest

from proxy.signals.forecast.hours import Hours

MINUTE = 1 / 60


def minutes(hours: Hours, first: int, last: int, start: float = 0.0) -> list:
    """The minutes ``first`` to ``last`` of the hour after ``start``; each closes one higher than it opened."""
    over = []
    for n in range(first, last):
        over += hours.add(start + 60 * (n + 1), 100 + n, 101 + n, 99 + n, 101 + n, 2.0)
    return over


def test_sixty_minutes_are_an_hour():
    hours = Hours(MINUTE)
    assert minutes(hours, 0, 59) == []
    assert hours.running is not None
    assert hours.running.share == pytest.approx(59 / 60)
    (hour,) = minutes(hours, 59, 60)
    assert (hour.number, hour.open, hour.high, hour.low, hour.close, hour.volume) == (0, 100, 160, 99, 160, 120)
    assert hours.running is None


def test_an_hour_with_half_its_minutes_counts_and_with_fewer_does_not():
    for arrived, counts in ((30, 1), (29, 0)):
        hours = Hours(MINUTE)
        minutes(hours, 0, arrived)
        assert len(minutes(hours, 0, 1, start=3600)) == counts


def test_a_close_a_millisecond_before_the_hour_ends_it():
    hours = Hours(1.0)
    (hour,) = hours.add(7199.999, 1, 1, 1, 1, 1)
    assert hour.number == 1


def test_time_does_not_run_backwards_even_within_an_hour():
    hours = Hours(MINUTE)
    minutes(hours, 0, 10)
    with pytest.raises(ValueError, match="not after"):
        minutes(hours, 5, 6)


def test_a_halted_hour_is_silent_and_one_without_known_volume_is_not():
    hours = Hours(1.0)
    (halted,) = hours.add(3600, 5, 5, 5, 5, 0)
    (marks,) = hours.add(7200, 5, 6, 5, 5, 0)
    assert halted.silent
    assert not marks.silent
