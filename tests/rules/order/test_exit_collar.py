"""The only check an exit meets: it may not give the position away by mistake."""

from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.policy.comparing import Direction, compare_rules
from rules.model import OrderType, Side
from rules.order.exit_collar import ExitCollar
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order

COLLAR = ExitCollar(band=Decimal("0.20"))
ACCOUNT = an_account().long("BTCUSDT", "2")


def breach(command, world=ACCOUNT):
    return COLLAR.check(command, world.snapshot)


def test_a_sell_20_percent_below_the_mark_passes():
    assert breach(a_sell("BTCUSDT", "1", "40000", reduce_only=True)) is None


def test_a_sell_one_tick_further_does_not():
    found = breach(a_sell("BTCUSDT", "1", "39999.9", reduce_only=True))
    assert (found.code, found.observed, found.limit) == ("EXIT_PRICE_OUTSIDE_COLLAR", "39999.9", "40000")
    assert found.message == "exit price 39999.9 gives away more than 20 % against the mark 50000"
    assert found.advice == "use a price of 40000 or better, or a market order"


def test_a_buy_20_percent_above_the_mark_passes_and_one_tick_further_does_not():
    assert breach(a_buy("BTCUSDT", "1", "60000", reduce_only=True)) is None
    assert breach(a_buy("BTCUSDT", "1", "60000.1", reduce_only=True)) is not None


def test_a_price_on_the_good_side_is_free():
    assert breach(a_sell("BTCUSDT", "1", "90000", reduce_only=True)) is None


@pytest.mark.parametrize(
    "command",
    [
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_sell("BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="10000", reduce_only=True),
        a_sell("BTCUSDT", "1", "9000", order_type=OrderType.STOP, trigger_price="10000", reduce_only=True),
    ],
    ids=["market", "stop market", "stop limit"],
)
def test_neither_market_nor_conditional_orders_are_held_against_the_mark(command):
    assert breach(command) is None


@pytest.mark.parametrize("seconds", [10.001, 3600, -3600])
def test_a_mark_that_is_not_of_this_moment_traps_nobody(seconds):
    """A time ahead of the clock counts as its distance, as in data_freshness: the clock may have stepped back."""
    world = ACCOUNT.marked("BTCUSDT", "50000", seconds_ago=seconds)
    assert breach(a_sell("BTCUSDT", "1", "1", reduce_only=True), world) is None


def test_a_missing_mark_traps_nobody():
    assert breach(a_sell("BTCUSDT", "1", "1", reduce_only=True), ACCOUNT.unmarked("BTCUSDT")) is None


def test_a_mark_of_10_seconds_still_counts():
    world = ACCOUNT.marked("BTCUSDT", "50000", seconds_ago=10)
    assert breach(a_sell("BTCUSDT", "1", "1", reduce_only=True), world) is not None


def test_it_is_tighter_the_older_a_mark_it_takes():
    """An older mark that counts is one more exit that is held; the longer age refuses more, not less."""
    world, far = ACCOUNT.marked("BTCUSDT", "50000", seconds_ago=20), a_sell("BTCUSDT", "1", "1", reduce_only=True)
    longer = replace(COLLAR, mark_age_max_s=20)
    assert (breach(far, world), longer.check(far, world.snapshot).code) == (None, "EXIT_PRICE_OUTSIDE_COLLAR")
    assert [each.direction for each in compare_rules(COLLAR, longer)] == [Direction.TIGHTENED]
    assert [each.direction for each in compare_rules(longer, COLLAR)] == [Direction.LOOSENED]


def test_an_amended_exit_is_held_too():
    world = ACCOUNT.resting(an_open_order(Side.SELL, "BTCUSDT", "1", "51000", order_id="9", reduce_only=True))
    assert breach(an_amend(Side.SELL, "BTCUSDT", "1", "39999.9", order_id="9"), world) is not None


def test_an_amended_exit_is_held_on_its_own_side_whatever_the_amend_says():
    world = ACCOUNT.resting(an_open_order(Side.SELL, "BTCUSDT", "1", "51000", order_id="9", reduce_only=True))
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1", "1000", order_id="9"), world) is not None


def test_a_band_may_be_nothing_and_not_less():
    assert ExitCollar(band=Decimal(0)).band == 0
    with pytest.raises(ValueError, match=r"^exit_collar: band must not be negative$"):
        ExitCollar(band=Decimal("-0.01"))
