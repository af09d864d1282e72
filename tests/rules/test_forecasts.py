"""Which of several forecasts may be relied on: each by its own age, whatever the others are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rules.facts import Forecast
from rules.forecasts import kept, stated
from tests.rules.builders import NOW


def a_forecast(probability: float, seconds_ago: float, *, reliable: bool = True) -> Forecast:
    at = NOW - timedelta(seconds=seconds_ago)
    return Forecast(name="squeeze", as_of=at, probability=probability, horizon_s=3600, reliable=reliable)


@pytest.mark.parametrize("sign", [1, -1], ids=["of the past", "of the future"])
def test_a_forecast_as_old_as_it_may_be_counts_beside_one_that_is_older(sign: int) -> None:
    old, oldest = a_forecast(0.2, sign * 60), a_forecast(0.9, sign * 61)
    found = stated(kept((old, oldest)), NOW, 60)
    assert (found.fresh, found.stale, found.age_s, found.highest) == ([old], [oldest], 61, old)
    assert not found.is_complete


def test_all_of_them_count_while_the_oldest_does() -> None:
    forecasts = a_forecast(0.9, -60), a_forecast(0.2, 60)
    found = stated(kept(forecasts), NOW, 60)
    assert (found.fresh, tuple(found.stale), found.age_s, found.highest) == (forecasts, (), 60, forecasts[0])
    assert found.is_complete


def test_an_unreliable_one_still_counts_and_completes_nothing() -> None:
    doubted = a_forecast(0.9, 5, reliable=False)
    found = stated(kept((a_forecast(0.2, 5), doubted)), NOW, 60)
    assert (found.highest, found.is_complete, found.lack) == (doubted, False, "the forecast is unreliable")


def test_an_unreliable_one_that_is_too_old_is_missed_for_its_age_alone() -> None:
    found = stated(kept((a_forecast(0.2, 5), a_forecast(0.9, 61, reliable=False))), NOW, 60)
    assert found.reliable and found.lack == "the forecast is 61 s old"


def test_the_fresh_ones_decide_whether_forecasts_hold() -> None:
    found = stated(kept((a_forecast(0.2, 5, reliable=False), a_forecast(0.9, 61))), NOW, 60)
    assert not found.reliable and not found.is_complete
