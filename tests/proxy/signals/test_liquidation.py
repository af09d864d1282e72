"""Odds of liquidation: bounds, monotony, and agreement with brute force where the market is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.bars import HOUR_S
from proxy.signals.joint import HORIZONS_H, JointHistory
from proxy.signals.legs import Book
from proxy.signals.liquidation import AccountForecast, account_forecast, leg_forecast
from proxy.signals.marginals import law_of
from proxy.signals.symbol_forecast import SymbolForecast
from proxy.signals.tails import LEAST
from tests.proxy.signals.books import SIGMA, STEPS, Walk, a_book, a_history, a_leg, paths, some_bars

NAMES = ("A", "B", "C")
RELATED = a_history(NAMES, 0.7)
SCALES = {name: [SIGMA * math.sqrt(h) for h in HORIZONS_H] for name in NAMES}


def forecast(book: Book, history: JointHistory = RELATED, funding_h: float | None = None) -> AccountForecast:
    legs = [leg_forecast(leg, book, [Walk()], funding_h) for leg in book.legs]
    symbols = sorted({leg.symbol for leg in book.legs})
    laws = {each: law_of([Walk()]) for each in symbols}
    return account_forecast(book, legs, history.common(symbols), SCALES, laws, funding_h)


def odds(stated, place: int) -> float:
    return stated[place].probability


LEGS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([-50.0, -3.0, 2.0, 80.0]), st.floats(-0.1, 1.5), st.booleans()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(LEGS, st.floats(0, 20_000), st.one_of(st.none(), st.floats(0.01, 8)))
def test_every_probability_keeps_to_its_bounds(legs, balance, funding_h):
    book = a_book(balance, *(a_leg(name, q, d, isolated=i, backing=500.0) for name, q, d, i in legs))
    found = forecast(book, funding_h=funding_h)
    for place, any_leg in enumerate(found.any_leg):
        each = [odds(leg.odds, place) for leg in found.legs]
        assert max(each) <= any_leg.probability <= min(1.0, sum(each))
    for stated in (found.any_leg, found.cross, *(leg.odds for leg in found.legs)):
        assert all(LEAST <= each.probability <= 1 - LEAST for each in stated)
        assert [each.probability for each in stated[:3]] == sorted(each.probability for each in stated[:3])
    for stated in (found.any_leg, *(leg.odds for leg in found.legs)):
        if funding_h is not None:
            until = stated[3]
            assert until.until_funding and until.horizon_h == funding_h
            assert stated[0].probability <= until.probability <= stated[1].probability


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_nearer_end_is_likelier_for_leg_any_and_cross(side):
    last = [1.0] * 9
    for distance in (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6):
        found = forecast(a_book(100 * distance + 1, a_leg("A", side, distance), a_leg("B", side * 0.3, 0.5)))
        now = [p.probability for stated in (found.legs[0].odds, found.any_leg, found.cross) for p in stated]
        assert all(one <= other for one, other in zip(now, last, strict=True)), distance
        last = now


@pytest.mark.parametrize("rho", [0.0, 0.7, 0.95])
def test_any_of_several_is_about_what_brute_force_counts(rho):
    history = a_history(NAMES, rho, seed=4)
    distances = [0.03, 0.05, 0.04]
    book = a_book(
        1e9, *(a_leg(name, 1.0, d, isolated=True, backing=d * 100) for name, d in zip(NAMES, distances, strict=True))
    )
    found = forecast(book, history)
    walked = paths(8 * 6_000, rho, 3, seed=9).reshape(6_000, 8 * STEPS, 3)
    begins = np.concatenate((np.zeros((1, 3)), walked[:-1, -1]))
    lows = (walked - begins[:, None, :]).min(axis=1)
    truth = (lows <= np.log1p(-np.array(distances))).any(axis=1).mean()
    assert odds(found.any_leg, 1) == pytest.approx(truth, rel=0.25)
    assert not found.cold


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("distance", [0.02, 0.05])
def test_a_cross_account_with_one_leg_is_about_its_leg(place, distance):
    # Maintenance is 1 % of the notional: liquidated where the balance left equals it.
    mark = 100.0
    balance = mark * distance + 0.01 * mark * (1 - distance)
    found = forecast(a_book(balance, a_leg("A", 1.0, distance)))
    leg, cross = odds(found.legs[0].odds, place), odds(found.cross, place)
    assert leg / 2 < cross < leg * 2 or max(leg, cross) < 1e-3
    assert odds(found.any_leg, place) == pytest.approx(leg, rel=1e-6)


def test_a_hedge_is_worth_what_the_symbols_have_gone_together():
    naked = forecast(a_book(500.0, a_leg("A", 100.0, 0.04)))
    book = a_book(600.0, a_leg("A", 100.0, 0.04), a_leg("B", -100.0, 0.04))
    together, apart = (forecast(book, a_history(NAMES, rho)) for rho in (0.95, 0.0))
    assert odds(together.cross, 1) < 0.3 * odds(naked.cross, 1)
    assert odds(apart.cross, 1) > odds(naked.cross, 1), "what does not move with it is no hedge"


def test_several_longs_on_one_balance_fall_together():
    # Each alone is 8 % away; all together half of that.
    book = a_book(900.0, a_leg("A", 100.0, 0.08, together=0.04), a_leg("B", 100.0, 0.08, together=0.04))
    found = forecast(book)
    assert odds(found.cross, 1) > odds(found.any_leg, 1)


def test_what_is_reached_is_certain_and_what_cannot_be_is_next_to_nothing():
    found = forecast(a_book(1.0, a_leg("A", 100.0, 0.0)))
    assert odds(found.legs[0].odds, 0) == 1 - LEAST
    assert odds(found.cross, 0) == 1 - LEAST
    safe = forecast(a_book(1e6, a_leg("A", 1.0, None, together=9.0)))
    assert odds(safe.legs[0].odds, 2) == LEAST
    assert odds(safe.cross, 2) < 1e-3


def test_without_a_common_history_it_is_cold_and_the_worst_of_what_is_possible():
    book = a_book(400.0, a_leg("A", 100.0, 0.05, together=0.03), a_leg("B", 100.0, 0.05, together=0.03))
    found = forecast(book, JointHistory())
    assert found.cold
    assert odds(found.any_leg, 1) == pytest.approx(sum(odds(leg.odds, 1) for leg in found.legs))
    assert odds(found.cross, 1) == max(leg.together[1] for leg in found.legs)
    unknown = a_book(400.0, replace(a_leg("A", 100.0, 0.05), together=None))
    assert forecast(unknown).cold and forecast(unknown).cross == ()


def test_stress_says_what_would_be_left():
    long, short = a_leg("A", 10.0, 0.3), a_leg("B", -5.0, 0.5)
    found = forecast(a_book(500.0, long, short))
    assert [(each.move, each.hit) for each in found.legs[0].stress] == [(-0.2, False), (-0.4, True), (-0.66, True)]
    assert found.legs[0].stress[0].left == pytest.approx(300.0)
    assert [each.move for each in found.legs[1].stress] == [0.2, 0.4, 0.66]
    assert [(each.hit, round(each.left)) for each in found.stress[:3]] == [(False, 400), (False, 300), (False, 170)]


def test_of_a_leg_with_an_unknown_wallet_behind_it_a_jump_past_the_venues_price_counts_and_nothing_is_said_to_be_left():
    apart = replace(a_leg("A", 10.0, 0.3), together=None, apart=True)
    found, alike = (
        forecast(a_book(0.0, apart)),
        forecast(a_book(0.0, a_leg("A", 10.0, 0.3, isolated=True, backing=1e9))),
    )
    assert found.legs[0].odds == alike.legs[0].odds and odds(found.legs[0].odds, 2) > LEAST
    assert found.legs[0].stress == () and found.cross == () and not found.cold
    assert not any(each.hit for each in found.stress), "it is no part of what the balance is behind"


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_both_legs_of_a_hedge_move_in_the_stress_of_either(side):
    long, short = a_leg("A", side * 10.0, None), a_leg("A", side * -9.9, None)
    found = forecast(a_book(500.0, long, short))
    for leg in found.legs:
        assert not any(each.hit for each in leg.stress)
        assert all(each.left == pytest.approx(500 + side * 10 * each.move) for each in leg.stress)
        assert odds(leg.odds, 2) == LEAST
    alone = forecast(a_book(500.0, long, replace(short, symbol="B")))
    assert [each.hit for each in alone.legs[0].stress] == [False, False, True]
    apart = forecast(a_book(500.0, long, replace(short, isolated=True, backing=1e4)))
    assert [each.hit for each in apart.legs[0].stress] == [False, False, True]


def test_of_a_leg_whose_distance_is_not_known_nothing_is_stated():
    near = a_leg("A", 100.0, 0.05, isolated=True, backing=500.0)
    unknown = replace(a_leg("B", 100.0, None, isolated=True), is_known=False)
    whole = forecast(a_book(400.0, near, unknown))
    assert (whole.legs[1].odds, whole.legs[1].stress) == ((), ()) and whole.legs[1].cold
    assert whole.cold and [each.probability for each in whole.any_leg] == [
        each.probability for each in whole.legs[0].odds
    ]
    assert forecast(a_book(400.0, unknown)).any_leg == ()


def test_a_jump_keeps_the_odds_of_what_it_would_end_above_nothing():
    calm = a_book(1e6, a_leg("A", 1.0, 0.35, isolated=True, backing=36.0))
    assert odds(forecast(calm).legs[0].odds, 2) > 3e-4


def test_with_the_real_forecaster_a_cross_account_of_one_leg_is_about_its_leg():
    history, model = JointHistory(), BarrierForecaster(1.0)
    symbol = SymbolForecast("A", model, history)
    for bar in some_bars(2_000, until=480_000 * HOUR_S):
        symbol.feed(bar)
    for distance in (0.02, 0.05, 0.1):
        balance = 100 * distance + 0.01 * 100 * (1 - distance)
        book = a_book(balance, a_leg("A", 1.0, distance))
        legs = [leg_forecast(book.legs[0], book, [model], None)]
        found = account_forecast(book, legs, history.common(["A"]), {"A": symbol.scales}, {"A": law_of([model])}, None)
        for place in range(len(HORIZONS_H)):
            leg, cross = odds(legs[0].odds, place), odds(found.cross, place)
            assert leg / 2 < cross < leg * 2 or max(leg, cross) < 2e-3, (distance, place)
