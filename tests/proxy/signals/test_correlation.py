"""The correlation forecast: known answers, bounds on any input, a band that holds, and what is too little to tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from proxy.signals.comovement import DAY_H, HOURS_NEEDED, comovements, realised
from proxy.signals.correlation import HISTORY_H, UNKNOWN_LEVEL, correlation, forecast
from tests.properties.strategies import examples

Table = NDArray[np.float64]
MONTH_H = 720


def a_market(loading: float, *, symbols: int = 6, hours: int = MONTH_H, seed: int = 3) -> Table:
    """Returns that all correlate with one factor by ``loading``, with each other by its square."""
    source = np.random.default_rng(seed)
    common = source.standard_normal((hours, 1))
    own = source.standard_normal((hours, symbols))
    return 0.01 * (loading * common + np.sqrt(1 - loading**2) * own)


def off_diagonal(matrix: Table) -> Table:
    return matrix[np.triu_indices(len(matrix), 1)]


def test_a_market_with_one_factor_is_found_at_its_correlation():
    matrix, upper = correlation(a_market(0.9), 24)
    assert off_diagonal(matrix) == pytest.approx(0.81, abs=0.06)
    assert (off_diagonal(upper) > off_diagonal(matrix) + 0.05).all()


def test_what_moves_as_one_is_near_one_and_what_moves_apart_is_well_below_zero():
    series = a_market(0.0, symbols=1)
    same, _ = correlation(np.hstack([series, 3 * series]), 24)
    opposite, _ = correlation(np.hstack([series, -series]), 24)
    assert same[0, 1] > 0.9
    assert opposite[0, 1] < -0.6


def test_two_groups_are_told_apart():
    table = np.hstack([a_market(0.95, seed=1), a_market(0.95, seed=2)])
    matrix, _ = correlation(table, 24)
    assert matrix[:6, :6].min() > matrix[:6, 6:].max() + 0.3


def test_the_size_of_the_moves_does_not_matter():
    table = a_market(0.8)
    loud = table * np.array([1, 2, 5, 0.1, 30, 1])
    assert correlation(loud, 24)[0] == pytest.approx(correlation(table, 24)[0], abs=0.02)


def test_one_wild_hour_does_not_decide_for_a_week():
    table = a_market(0.0, symbols=2)
    usual = correlation(table, 24)[0][0, 1]
    table[-50] = -0.9
    assert correlation(table, 24)[0][0, 1] < usual + 0.3


def test_the_order_of_the_symbols_does_not_matter():
    table = a_market(0.7)
    order = [3, 0, 5, 1, 4, 2]
    for given_, permuted in zip(correlation(table, 24), correlation(table[:, order], 24), strict=True):
        assert permuted == pytest.approx(given_[np.ix_(order, order)], abs=1e-9)


def test_a_symbol_that_does_not_move_or_is_missing_stands_at_the_level_of_the_others_and_its_band_is_everything():
    table = a_market(0.8)
    table[:, 0] = 0.0
    table[:, 1] = np.nan
    found = forecast(table, 24)
    level = off_diagonal(found.matrix[2:, 2:]).mean()
    for gone in (0, 1):
        assert found.matrix[gone, 2:] == pytest.approx(level, abs=0.01)
        assert (found.upper95[gone] == 1).all()
        assert (np.delete(found.lower95[gone], gone) == -1).all()
        assert not found.known[gone].any()
    assert found.known[2, 3]


def test_a_halted_symbol_is_not_one_that_moves_apart():
    """Thirty hours without a trade in the last week leave what was known before them."""
    table = a_market(0.9)
    usual = correlation(table, 24)[0][0, 1]
    table[-30:, 0] = 0.0
    assert correlation(table, 24)[0][0, 1] == pytest.approx(usual, abs=0.12)


def test_a_pair_wants_so_many_common_hours_of_the_last_week():
    table = a_market(0.8, symbols=2, hours=100)
    table[: 100 - HOURS_NEEDED, 0] = np.nan
    assert forecast(table, 24).known[0, 1]
    table[100 - HOURS_NEEDED, 0] = np.nan
    assert not forecast(table, 24).known[0, 1]


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (19, 3)])
def test_with_too_little_nothing_is_known_and_the_level_is_that_of_past_markets(shape: tuple[int, int]):
    matrix, upper = correlation(np.full(shape, 0.01), 24)
    assert off_diagonal(matrix) == pytest.approx(UNKNOWN_LEVEL)
    assert (upper == 1).all()


def test_one_symbol_and_none_are_no_trouble():
    assert correlation(a_market(0.5, symbols=1), 24)[0].tolist() == [[1.0]]
    assert correlation(np.empty((50, 0)), 24)[0].shape == (0, 0)


def test_what_is_no_table_is_refused():
    with pytest.raises(ValueError, match="hours by symbols"):
        correlation([0.1, 0.2], 24)


def test_the_longer_the_horizon_the_narrower_the_band():
    table = a_market(0.8, hours=300)
    widths = [off_diagonal(correlation(table, hours)[1] - correlation(table, hours)[0]).mean() for hours in (6, 24, 96)]
    assert widths[0] > widths[1] > widths[2]


def test_what_is_older_than_the_history_does_not_count():
    table = a_market(0.8, hours=HISTORY_H)
    longer = np.vstack([a_market(0.0, hours=500, seed=9), table])
    assert correlation(longer, 24)[0] == pytest.approx(correlation(table, 24)[0])


def test_a_day_in_the_past_is_seen_as_it_was_seen_then():
    """The band is made of past errors: a forecast of then must not know what came after it."""
    table = a_market(0.8, hours=30 * DAY_H)
    whole = comovements(table)
    for ago in (1, 5, 20):
        then = comovements(table[: -ago * DAY_H])[-1]
        assert whole[-1 - ago].averages == pytest.approx(then.averages)
        assert whole[-1 - ago].move == pytest.approx(then.move)
        assert (whole[-1 - ago].known == then.known).all()


def test_about_one_in_twenty_is_above_the_band_where_correlations_come_and_go():
    """The factor's share changes from day to day around a usual, as in markets."""
    source = np.random.default_rng(11)
    days, symbols = 150, 5
    loadings = np.repeat(np.clip(0.82 + 0.1 * source.standard_normal(days), 0.3, 0.97), DAY_H)[:, None]
    common = source.standard_normal((days * DAY_H, 1))
    table = 0.01 * (loadings * common + np.sqrt(1 - loadings**2) * source.standard_normal((days * DAY_H, symbols)))
    above, below = [], []
    for day in range(60, days):
        found = forecast(table[(day - 45) * DAY_H : day * DAY_H], 24)
        came = off_diagonal(realised(table[day * DAY_H : (day + 1) * DAY_H]))
        above.append((came > off_diagonal(found.upper95)).mean())
        below.append((came < off_diagonal(found.lower95)).mean())
    assert 0.02 < np.mean(above) < 0.09
    assert 0.02 < np.mean(below) < 0.09


def test_realised_is_pearson_s_and_says_nothing_of_what_hardly_traded():
    table = a_market(0.8, hours=24)
    assert realised(table) == pytest.approx(np.corrcoef(table.T))
    table[:12, 0] = np.nan
    assert np.isnan(realised(table)[0]).all()
    assert np.isfinite(realised(table)[1, 2])


anything = st.one_of(
    st.floats(-0.2, 0.2), st.just(0.0), st.just(np.nan), st.sampled_from([np.inf, -np.inf, -0.92, 1e300, -7.0, 1e-12])
)
tables = st.tuples(st.integers(0, 130), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=anything)
)


@given(tables, st.sampled_from([1, 8, 24, 24.5, 168]))
@examples(60)
def test_whatever_comes_it_is_a_correlation_matrix_inside_its_band(table: Table, hours: float):
    found = forecast(table, hours)
    matrix = found.matrix
    for each in (matrix, found.lower95, found.upper95):
        assert np.isfinite(each).all()
        assert (each == each.T).all()
        assert (np.diag(each) == 1).all()
    assert (np.abs(matrix) <= 1).all()
    assert np.linalg.eigvalsh(matrix)[0] >= -1e-9
    assert (found.lower95 <= matrix).all()
    assert (matrix <= found.upper95).all()
    assert (found.upper95 <= 1).all()
    assert (np.abs(matrix[found.known]) < 1).all()
