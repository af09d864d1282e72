"""A bucket of tokens: what is not there is not taken."""

from __future__ import annotations

import pytest

from proxy.budget import pace as budget
from proxy.budget.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(budget, "time", stopped)
    return stopped


def test_a_minutes_worth_may_go_at_once_and_no_more(clock: Clock):
    bucket = Pace(60)
    assert bucket.take(60)
    assert not bucket.take()
    clock.at = 1.0
    assert bucket.take()
    assert not bucket.take()


def test_a_heavy_one_waits_until_all_its_tokens_are_there_and_takes_none_meanwhile(clock: Clock):
    bucket = Pace(60)
    bucket.take(55)
    assert not bucket.take(10)
    assert bucket.available(5)
    clock.at = 5.0
    assert bucket.take(10)


def test_it_never_holds_more_than_a_minutes_worth(clock: Clock):
    bucket = Pace(60)
    clock.at = 1_000.0
    assert bucket.take(60)
    assert not bucket.take()
