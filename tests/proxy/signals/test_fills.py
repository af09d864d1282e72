"""Fills against what was stated: what one cost, and when a run of them is worse than chance."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.signals.fills import ARRIVALS_MAX, FILLS_KEPT, FILLS_NEEDED, FillsWatch, binomial_tail, realised_bps
from rules.model import Side

MIDDLE = Decimal(100)


def order(watch: FillsWatch, name: str, price: str, stated: float = 50.0) -> bool | None:
    """One order to buy that filled at ``price``; whether it was worse than stated."""
    watch.arrived(name, "BTCUSDT", Side.BUY, MIDDLE, stated)
    watch.filled(name, Decimal(1), Decimal(price))
    found = watch.ended(name)
    return None if found is None else found.is_worse


@pytest.mark.parametrize(("side", "cost"), [(Side.BUY, 20.0), (Side.SELL, -20.0)])
def test_a_fill_costs_what_it_is_worse_than_the_middle_was(side: Side, cost: float):
    assert realised_bps(side, MIDDLE, Decimal("100.2")) == pytest.approx(cost)


def test_an_order_costs_the_mean_of_its_fills():
    watch = FillsWatch()
    watch.arrived("1", "BTCUSDT", Side.SELL, MIDDLE, 5.0)
    watch.filled("1", Decimal(3), Decimal("99.9"))
    watch.filled("1", Decimal(1), Decimal("99.5"))
    found = watch.ended("1")
    assert found is not None
    assert (found.symbol, found.cost_bps, found.is_worse) == ("BTCUSDT", pytest.approx(20), True)


def test_an_order_that_took_nothing_or_was_not_seen_to_arrive_is_not_compared():
    watch = FillsWatch()
    watch.arrived("1", "BTCUSDT", Side.BUY, MIDDLE, 5.0)
    watch.filled("2", Decimal(1), Decimal(100))
    assert watch.ended("1") is watch.ended("2") is None
    assert watch.compared == 0


def test_the_arrival_is_the_first_that_is_told():
    watch = FillsWatch()
    watch.arrived("1", "BTCUSDT", Side.BUY, Decimal(99), 5.0)
    assert order(watch, "1", "100") is True


def test_the_tail_of_the_binomial_is_exact():
    assert binomial_tail(0, 10, 0.1) == pytest.approx(1)
    assert binomial_tail(1, 10, 0.1) == pytest.approx(1 - 0.9**10)
    assert binomial_tail(10, 10, 0.1) == pytest.approx(1e-10)
    assert binomial_tail(3, 20, 0.1) == pytest.approx(0.3230732, abs=1e-6)


def test_one_in_ten_is_as_stated():
    watch = FillsWatch()
    for n in range(1_000):
        order(watch, str(n), "101" if n % 10 == 0 else "100")
        assert not watch.is_worse
    assert (watch.compared, watch.exceeded) == (FILLS_KEPT, 10)


def test_a_run_that_chance_would_not_bring_is_called_worse_until_chance_would():
    watch = FillsWatch()
    for n in range(FILLS_KEPT):
        order(watch, str(n), "101" if n % 4 == 0 else "100")
    assert watch.is_worse
    assert watch.chance < 0.001
    for n in range(40):
        order(watch, f"later {n}", "100")
    assert watch.is_worse == (watch.chance <= 0.05)
    for n in range(40):
        order(watch, f"still later {n}", "100")
    assert not watch.is_worse


def test_a_handful_proves_nothing():
    watch = FillsWatch()
    for n in range(FILLS_NEEDED - 1):
        order(watch, str(n), "101")
    assert not watch.is_worse
    order(watch, "one more", "101")
    assert watch.is_worse


def test_orders_that_never_end_are_forgotten_the_oldest_first():
    watch = FillsWatch()
    for n in range(ARRIVALS_MAX + 1):
        watch.arrived(str(n), "BTCUSDT", Side.BUY, MIDDLE, 5.0)
    for n in (0, ARRIVALS_MAX):
        watch.filled(str(n), Decimal(1), Decimal(100))
    assert watch.ended("0") is None
    assert watch.ended(str(ARRIVALS_MAX)) is not None
