"""Quiet hours go by the clock on the wall, past midnight and through a change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from proxy.quiet_hours import QuietHours, zone


@pytest.mark.parametrize(
    ("clock", "quiet"), [("21:59", False), ("22:00", True), ("03:00", True), ("06:59", True), ("07:00", False)]
)
def test_a_night_goes_past_midnight(clock: str, quiet: bool) -> None:
    hours = QuietHours(time(22), time(7), UTC)
    assert hours.covers(datetime.fromisoformat(f"2026-11-27T{clock}:00+00:00")) is quiet


def test_hours_within_a_day() -> None:
    hours = QuietHours(time(12), time(13), UTC)
    assert hours.covers(datetime(2026, 11, 27, 12, 30, tzinfo=UTC))
    assert not hours.covers(datetime(2026, 11, 27, 13, tzinfo=UTC))


def test_a_zone_that_is_none_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="no time zone 'Mars/Base'"):
        zone("Mars/Base")
    assert zone("UTC") is UTC
