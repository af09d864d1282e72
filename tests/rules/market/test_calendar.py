"""Moments as people read them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rules.market.calendar import show_time


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize("offset", [UTC, timezone(timedelta(hours=-5))])
def test_a_moment_is_shown_in_utc_wherever_the_machine_lives(offset: timezone):
    moment = datetime(2026, 12, 1, 6, 0, 30, tzinfo=UTC).astimezone(offset)
    assert show_time(moment) == "2026-12-01 06:00:30 UTC"
