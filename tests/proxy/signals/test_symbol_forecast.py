"""One symbol's forecasts: fed hour by hour, alarmed within the hour, and the same after a restart."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from proxy.signals.bars import HOUR_S, Bar
from proxy.signals.joint import JointHistory
from proxy.signals.symbol_forecast import LATE, SymbolForecast
from tests.proxy.signals.books import Learner, some_bars

UNTIL = 480_000 * HOUR_S


def fed(hours: int = 700) -> SymbolForecast:
    found = SymbolForecast("A", Learner(), JointHistory())
    for bar in some_bars(hours, until=UNTIL):
        found.feed(bar)
    return found


def under_way(found: SymbolForecast, low: float) -> Bar:
    assert found.last is not None
    close = found.last.close
    return Bar(found.last.end + HOUR_S, close, close, close * low, close * low)


def test_hours_are_fed_once_and_in_order():
    found = fed(10)
    assert found.last is not None
    before = found.model.samples
    found.feed(found.last)
    found.feed(found.last._replace(end=found.last.end - HOUR_S))
    assert found.model.samples == before == 10


def test_a_crash_counts_before_its_hour_is_over_and_calm_changes_nothing():
    found = fed()
    calm = found.scales
    found.look(under_way(found, 0.999))
    assert found.scales == calm and len(found.forecasters) == 1
    found.look(under_way(found, 0.8))
    assert found.scales[0] > 3 * calm[0] and len(found.forecasters) == 2
    assert found.model.scale(1) == calm[0], "the hour has not closed"
    found.feed(under_way(found, 0.8))
    assert len(found.forecasters) == 1 and found.model.scale(1) > 3 * calm[0]


def test_over_a_gap_no_hour_is_invented():
    found = fed(30)
    assert found.last is not None
    end = found.last.end + 5 * HOUR_S
    found.feed(Bar(end, 50.0, 50.5, 49.5, 50.0))
    rows = found._history.between("A", end // HOUR_S, end // HOUR_S)
    assert rows is not None and rows[0] == pytest.approx([math.log(0.99), math.log(1.01), 0.0], abs=1e-4)
    assert found._history.between("A", end // HOUR_S - 1, end // HOUR_S) is None


def test_the_regime_is_known_after_twenty_five_days_of_days():
    assert fed(600).regime.probability is None
    assert fed(700).regime.probability in (0.3, 0.7)


def test_a_restart_is_no_restart():
    one = fed()
    state = json.loads(json.dumps(one.state()))
    two = SymbolForecast("A", Learner(), JointHistory())
    two.restore(state, Learner.of(state["model"]), until=math.inf)
    for each in (one, two):
        each.feed(under_way(each, 0.97))
    assert one.state() == two.state()
    assert one.scales == two.scales


def test_it_is_known_until_the_next_hour_is_late():
    assert fed(3).known_until() == datetime.fromtimestamp(UNTIL + HOUR_S, UTC) + LATE
    assert SymbolForecast("A", Learner(), JointHistory()).known_until() is None


def test_a_flat_price_and_a_crash_of_sixty_per_cent_stay_numbers():
    found = SymbolForecast("A", Learner(), JointHistory())
    for n in range(700):
        found.feed(Bar(UNTIL + n * HOUR_S, 100.0, 100.0, 100.0, 100.0))
    found.feed(Bar(UNTIL + 700 * HOUR_S, 100.0, 100.0, 40.0, 41.0))
    assert all(math.isfinite(each) and each > 0 for each in found.scales)
