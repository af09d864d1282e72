"""Worst-case gross exposure over margin balance, and the venue's own leverage setting."""

from decimal import Decimal

import pytest

from rules.model import SetLeverage, Side
from rules.position.max_leverage import MaxLeverage
from tests.rules.builders import a_buy, a_sell, an_account, an_open_order, judged

RULE = MaxLeverage(limit=Decimal(3))
WORLD = an_account().worth("50000")


def breach(command, world=WORLD):
    return RULE.check(command, world.snapshot)


def test_the_limit_itself_is_allowed_and_one_lot_more_is_not():
    assert breach(a_buy("BTCUSDT", "3")) is None
    found = breach(a_buy("BTCUSDT", "3.001"))
    assert (found.code, found.observed, found.limit) == ("LEVERAGE_ABOVE_LIMIT", "3.00", "3")
    found = breach(a_buy("BTCUSDT", "4"))
    assert (found.observed, found.message) == ("4.00", "account leverage would be 4.00")
    assert breach(a_buy("BTCUSDT", "0.001"), WORLD.worth("0.5")).observed == "100.00"


def test_the_headroom_fills_the_limit_exactly():
    assert judged(a_buy("BTCUSDT", "9"), WORLD.long("ETHUSDT", "20"), RULE).headroom == 2


def test_positions_orders_and_holds_of_all_symbols_count():
    world = (
        WORLD.long("ETHUSDT", "20")
        .resting(an_open_order(Side.SELL, "DOGEUSDT", "100000", "0.1"))
        .holding(a_buy("BTCUSDT", "0.8"))
    )
    assert breach(a_buy("BTCUSDT", "1"), world) is None
    assert breach(a_buy("BTCUSDT", "1.001"), world) is not None


def test_both_legs_of_a_hedged_account_count():
    world = WORLD.hedged().long("BTCUSDT", "1").short("BTCUSDT", "1")
    assert breach(a_buy("BTCUSDT", "1", position_side="LONG"), world) is None
    assert breach(a_buy("BTCUSDT", "1.001", position_side="LONG"), world) is not None


@pytest.mark.parametrize("balance", ["0", "-100"])
def test_an_account_without_margin_carries_nothing(balance):
    assert breach(a_buy("BTCUSDT", "0.001"), WORLD.worth(balance)).observed == "no margin balance left"


def test_an_exit_is_not_held_against_it():
    assert breach(a_sell("BTCUSDT", "9", reduce_only=True), WORLD.worth("0").long("BTCUSDT", "9")) is None


def test_the_venue_s_setting_is_held_to_the_same_limit():
    assert breach(SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))) is None
    found = breach(SetLeverage(symbol="BTCUSDT", leverage=Decimal(4)))
    assert (found.code, found.observed, found.limit) == ("SET_LEVERAGE_ABOVE_LIMIT", "4", "3")
    assert found.message == "leverage 4 on BTCUSDT is above the limit"
    assert found.advice == "set leverage to 3 or less"
