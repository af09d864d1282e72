"""Crowding: ranks against the symbol's own history."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.temperature import (
    FUNDINGS_NEEDED,
    INTERESTS_NEEDED,
    carry_a_day,
    leverage_temperature,
    rank,
    stamps_a_day,
)

RATES = [n / 100_000 for n in range(-50, 51)]
INTERESTS = [float(n) for n in range(1_000, 1_101)]


def test_what_is_in_the_middle_of_both_histories_is_cold():
    assert leverage_temperature(0.0, RATES, 1_050, INTERESTS) == pytest.approx(0)


@pytest.mark.parametrize("rate", [0.01, -0.01])
def test_funding_beyond_its_history_either_way_with_record_leverage_is_as_hot_as_it_gets(rate: float):
    assert leverage_temperature(rate, RATES, 2_000, INTERESTS) == 1


def test_one_extreme_alone_is_half_as_hot():
    assert leverage_temperature(0.01, RATES, 1_050, INTERESTS) == pytest.approx(0.5)
    assert leverage_temperature(0.0, RATES, 2_000, INTERESTS) == pytest.approx(0.5)


def test_little_leverage_is_not_hot():
    assert leverage_temperature(0.0, RATES, 1, INTERESTS) == pytest.approx(0)


def test_a_rate_that_never_changes_is_usual():
    assert leverage_temperature(0.0001, [0.0001] * 90, 1_000, [1_000.0] * 30) == 0


def test_short_histories_tell_nothing():
    assert leverage_temperature(0.01, RATES[: FUNDINGS_NEEDED - 1], 1, INTERESTS) is None
    assert leverage_temperature(0.01, RATES, 1, INTERESTS[: INTERESTS_NEEDED - 1]) is None
    assert leverage_temperature(0.01, RATES[:FUNDINGS_NEEDED], 1, INTERESTS[:INTERESTS_NEEDED]) is not None


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 0.125), (2, 0.5), (2.5, 0.75), (3, 0.875), (4, 1)])
def test_a_rank_counts_what_is_below_and_half_of_what_is_equal(value: float, expected: float):
    assert rank(value, [3, 2, 1, 2]) == expected


numbers = st.floats(-1e6, 1e6)


@given(numbers, st.lists(numbers, min_size=24), numbers, st.lists(numbers, min_size=24), st.randoms())
def test_it_lies_between_nothing_and_one_whatever_the_order(rate, rates, interest, interests, source):
    found = leverage_temperature(rate, rates, interest, interests)
    assert found is not None
    assert 0 <= found <= 1
    source.shuffle(rates)
    source.shuffle(interests)
    assert leverage_temperature(rate, rates, interest, interests) == found


@pytest.mark.parametrize(("hours", "often"), [(8, 3), (4, 6), (1, 24)])
def test_how_often_funding_is_charged_is_seen_in_the_last_charges(hours: int, often: float):
    times = [n * 8 * 3_600_000 for n in range(50)]
    times += [times[-1] + n * hours * 3_600_000 + n % 3 for n in range(1, 12)]
    assert stamps_a_day(times) == often


@pytest.mark.parametrize("times", [[], [5], [5, 5]])
def test_one_charge_has_no_interval(times: list[int]):
    assert stamps_a_day(times) is None


@pytest.mark.parametrize(
    ("notional", "funding", "carry"), [(10_000, "0.0003", "-3"), (-10_000, "0.0003", "3"), (10_000, "-0.0003", "3")]
)
def test_longs_pay_a_positive_rate_and_shorts_receive_it(notional: int, funding: str, carry: str):
    assert carry_a_day(Decimal(notional), Decimal(funding)) == Decimal(carry)
