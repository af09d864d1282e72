"""The largest position one symbol may reach."""

from decimal import Decimal

import pytest

from rules.model import Side
from rules.position.position_limit import PositionLimit
from tests.rules.builders import a_buy, a_sell, an_account, an_open_order, judged

BY_QUANTITY = PositionLimit(limit_quantity=Decimal(2))
BY_NOTIONAL = PositionLimit(limit_notional=Decimal(100_000))


def code(rule, command, world):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


@pytest.mark.parametrize("rule", [BY_QUANTITY, BY_NOTIONAL], ids=["quantity", "notional"])
@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_the_limit_itself_is_allowed_and_one_lot_more_is_not(rule, order):
    held = an_account().long("BTCUSDT", "1.5") if order is a_buy else an_account().short("BTCUSDT", "1.5")
    assert code(rule, order("BTCUSDT", "0.5"), held) is None
    assert code(rule, order("BTCUSDT", "0.501"), held) == "POSITION_ABOVE_LIMIT"


@pytest.mark.parametrize("rule", [BY_QUANTITY, BY_NOTIONAL], ids=["quantity", "notional"])
def test_the_headroom_fills_the_limit_exactly(rule):
    world = an_account().long("BTCUSDT", "1.5")
    assert judged(a_buy("BTCUSDT", "1"), world, rule).headroom == Decimal("0.5")


def test_resting_and_held_orders_take_room():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000")).holding(a_buy("BTCUSDT", "0.5"))
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "0.5"), world) is None
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "0.501"), world) == "POSITION_ABOVE_LIMIT"


def test_the_other_symbols_do_not_count():
    assert code(BY_QUANTITY, a_buy("BTCUSDT", "2"), an_account().long("ETHUSDT", "500")) is None


def test_what_is_told_is_the_position_that_could_come():
    breach = BY_QUANTITY.check(a_buy("BTCUSDT", "3"), an_account().snapshot)
    assert (breach.observed, breach.limit, breach.message) == ("3", "2", "BTCUSDT position could reach 3")


def test_the_stricter_of_both_limits_counts():
    rule = PositionLimit(limit_quantity=Decimal(2), limit_notional=Decimal(50_000))
    assert code(rule, a_buy("BTCUSDT", "1.001"), an_account()) == "POSITION_ABOVE_LIMIT"


def test_each_leg_is_held_against_the_limit():
    world = an_account().hedged().long("BTCUSDT", "2")
    assert code(BY_QUANTITY, a_sell("BTCUSDT", "2", position_side="SHORT"), world) is None
    assert code(BY_QUANTITY, a_sell("BTCUSDT", "2.001", position_side="SHORT"), world) == "POSITION_ABOVE_LIMIT"


def test_a_limit_without_a_number_is_no_limit():
    with pytest.raises(ValueError, match="position_limit needs"):
        PositionLimit()
