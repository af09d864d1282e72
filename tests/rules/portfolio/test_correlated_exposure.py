"""Positions that move together count together, and hedges fail first."""

from decimal import Decimal

import pytest

from rules.exposure import worst_case
from rules.model import Side
from rules.portfolio.correlated_exposure import CorrelatedExposure
from tests.rules.builders import a_buy, a_sell, an_account, an_open_order, judged

ONE_FOR_ONE = {"default": Decimal(1), "stress_floor": Decimal(1), "hedge_credit": Decimal(1)}


def a_rule(**changes):
    return CorrelatedExposure(**{"limit_notional": Decimal(100_000), **ONE_FOR_ONE, **changes})


def breach(rule, command, world):
    return rule.check(command, world.snapshot)


def squared(rule, world):
    return rule.squared(list(worst_case(world.snapshot).values()))


def test_the_limit_itself_is_allowed_and_one_lot_more_is_not():
    world = an_account().long("ETHUSDT", "20")
    assert breach(a_rule(), a_buy("BTCUSDT", "1"), world) is None
    found = breach(a_rule(), a_buy("BTCUSDT", "1.001"), world)
    assert (found.code, found.limit, found.observed) == ("CORRELATED_EXPOSURE_ABOVE_LIMIT", "100000.00", "100050.00")


def test_the_headroom_fills_the_limit_exactly():
    assert judged(a_buy("BTCUSDT", "5"), an_account().long("ETHUSDT", "20"), a_rule()).headroom == 1


def test_what_is_not_correlated_adds_by_its_square_root():
    rule = a_rule(default=Decimal(0), stress_floor=Decimal(0))
    world = an_account().long("BTCUSDT", "3").long("ETHUSDT", "80")
    assert squared(rule, world) == Decimal(250_000) ** 2


def test_same_sides_count_at_least_the_stress_floor():
    world = an_account().long("BTCUSDT", "1").long("ETHUSDT", "20")
    assert squared(a_rule(default=Decimal("-1"), stress_floor=Decimal("0.9")), world) == Decimal(50_000) ** 2 * (
        2 + Decimal("1.8")
    )


def test_opposite_sides_earn_only_the_hedge_credit():
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20")
    assert squared(a_rule(), world) == 0
    assert squared(a_rule(hedge_credit=Decimal("0.5")), world) == Decimal(50_000) ** 2
    assert squared(a_rule(hedge_credit=Decimal(0)), world) == 2 * Decimal(50_000) ** 2


def test_opposite_sides_of_what_moves_apart_add_up():
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20")
    assert squared(a_rule(default=Decimal(-1), hedge_credit=Decimal(0)), world) == Decimal(100_000) ** 2


def test_an_order_that_only_may_fill_is_no_hedge():
    world = an_account().long("BTCUSDT", "1").resting(an_open_order(Side.SELL, "ETHUSDT", "20", "2500"))
    assert squared(a_rule(), world) == 2 * Decimal(50_000) ** 2


def test_a_new_hedge_is_judged_as_if_it_might_not_fill():
    rule = a_rule(limit_notional=Decimal(60_000))
    assert breach(rule, a_sell("ETHUSDT", "20"), an_account().long("BTCUSDT", "1")) is not None


@pytest.mark.parametrize("pair", ["BTCUSDT:ETHUSDT", "ETHUSDT:BTCUSDT"])
def test_a_pair_may_be_written_either_way(pair):
    rule = a_rule(pairs={pair: Decimal("0.5")}, stress_floor=Decimal(0))
    world = an_account().long("BTCUSDT", "1").long("ETHUSDT", "20")
    assert squared(rule, world) == Decimal(50_000) ** 2 * 3


def test_a_limit_may_follow_the_margin_balance():
    rule = CorrelatedExposure(limit_equity=Decimal(2), **ONE_FOR_ONE)
    assert breach(rule, a_buy("BTCUSDT", "2"), an_account().worth("50000")) is None
    assert breach(rule, a_buy("BTCUSDT", "2.001"), an_account().worth("50000")) is not None


def test_a_margin_balance_that_is_gone_allows_nothing():
    rule = CorrelatedExposure(limit_equity=Decimal(2))
    assert breach(rule, a_buy("BTCUSDT", "0.001"), an_account().worth("-5")).limit == "0.00"


def test_the_stricter_of_both_limits_counts():
    rule = a_rule(limit_equity=Decimal(1))
    assert breach(rule, a_buy("BTCUSDT", "2"), an_account().worth("50000")).limit == "50000.00"


def test_an_exit_is_not_its_business():
    world = an_account().long("BTCUSDT", "99")
    assert breach(a_rule(), a_sell("BTCUSDT", "1", reduce_only=True), world) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"limit_notional": None}, "needs limit_notional or limit_equity"),
        ({"default": Decimal("1.1")}, "default must lie between -1 and 1"),
        ({"stress_floor": Decimal("-1.1")}, "stress_floor must lie between -1 and 1"),
        ({"pairs": {"A:B": Decimal(2)}}, "A:B must lie between -1 and 1"),
        ({"hedge_credit": Decimal("-0.1")}, "hedge_credit must lie between 0 and 1"),
    ],
)
def test_what_is_no_correlation_is_no_rule(settings, reason):
    with pytest.raises(ValueError, match=reason):
        a_rule(**settings)
