"""Between and beyond the fitted horizons: continuous, in order, and at the fitted ones what was fitted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proxy.signals.forecast.first_passage import Passage, between, interpolated
from proxy.signals.forecast.har import HORIZONS_H
from proxy.signals.forecast.laws import DOWN, Laws

SURVIVAL = Laws().survival()
SCALES = np.log(0.01 * np.sqrt(HORIZONS_H))
DISTANCES = np.log(np.array([0.005, 0.01, 0.03, 0.1, 0.3]))
PASSAGE = Passage(SURVIVAL, DOWN, SCALES, DISTANCES)


def test_at_a_fitted_horizon_it_is_the_law_itself():
    expected = SURVIVAL.passage(DOWN, DISTANCES - SCALES[:, None])[3]
    assert PASSAGE.within(8) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("hours", [1.0, 2.0, 8.0, 24.0])
def test_it_does_not_jump_at_a_fitted_horizon(hours: float):
    around = [PASSAGE.within(hours * (1 + step)) for step in (-1e-9, 1e-9)]
    assert around[0] == pytest.approx(around[1], rel=1e-5)


def test_a_longer_horizon_whose_scale_was_forecast_smaller_is_still_not_less_likely():
    odd = SCALES.copy()
    odd[3] = odd[0]
    table = np.array([Passage(SURVIVAL, DOWN, odd, DISTANCES).within(hours) for hours in (1, 3, 6, 8, 11, 24, 90)])
    assert (np.diff(table, axis=0) >= 0).all()


def test_a_short_while_still_has_its_share_of_jumps():
    """Thirty sigmas away: not by diffusion, but a minute has a sixtieth of the hour's chance of a jump."""
    hour, minute = PASSAGE.within(1)[-1], PASSAGE.within(1 / 60)[-1]
    assert minute == pytest.approx(max(hour / 60, 1e-6), rel=1e-6)


def test_beyond_a_day_the_scale_grows_with_the_root_of_time():
    expected = SURVIVAL.passage(DOWN, DISTANCES - SCALES[:, None] - 0.5 * math.log(4))[-1]
    assert PASSAGE.within(96) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("hours", "place"), [(1, (0, 0.0)), (24, (4, 0.0)), (math.sqrt(2 * 4), (1, 0.5))])
def test_places_between_fitted_horizons_are_in_log_time(hours: float, place: tuple[int, float]):
    lower, share = between(hours)
    assert (lower, share) == (place[0], pytest.approx(place[1]))


def test_values_go_on_beyond_the_fitted_horizons_by_their_growth():
    values = np.log(HORIZONS_H)
    for hours in (0.25, 1, 3, 24, 100):
        assert interpolated(values, hours, growth=1.0) == pytest.approx(math.log(hours))
