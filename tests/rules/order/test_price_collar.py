"""How far through the mark an entry's price may reach."""

from decimal import Decimal

import pytest

from rules.model import OrderType, Side
from rules.order.price_collar import PriceCollar
from tests.rules.builders import a_buy, a_sell, an_account, an_amend

COLLAR = PriceCollar(band=Decimal("0.05"))


def breach(command, world=None):
    return COLLAR.check(command, (world or an_account()).snapshot)


def test_a_buy_at_the_bound_passes():
    assert breach(a_buy("BTCUSDT", "1", "52500")) is None


def test_a_buy_one_tick_above_does_not():
    found = breach(a_buy("BTCUSDT", "1", "52500.1"))
    assert (found.code, found.observed, found.limit) == ("PRICE_OUTSIDE_COLLAR", "52500.1", "52500")
    assert found.advice == "use a price of 52500 or better"
    assert found.message == "BUY price 52500.1 is more than 5 % through the mark 50000"


def test_a_sell_at_the_bound_passes_and_one_tick_below_does_not():
    assert breach(a_sell("BTCUSDT", "1", "47500")) is None
    assert breach(a_sell("BTCUSDT", "1", "47499.9")).limit == "47500"


@pytest.mark.parametrize("command", [a_buy("BTCUSDT", "1", "0.1"), a_sell("BTCUSDT", "1", "999999")], ids=str)
def test_a_price_that_waits_is_free(command):
    assert breach(command) is None


def test_a_market_order_names_no_price():
    assert breach(a_buy("BTCUSDT", "1")) is None


def test_a_stop_limit_is_held_against_its_trigger():
    stop = {"order_type": OrderType.STOP, "trigger_price": "60000"}
    assert breach(a_buy("BTCUSDT", "1", "63000", **stop)) is None
    assert "the trigger 60000" in breach(a_buy("BTCUSDT", "1", "63000.1", **stop)).message


def test_an_amend_is_held_against_the_mark():
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1", "52500", order_id="9")) is None
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1", "52500.1", order_id="9")).code == "PRICE_OUTSIDE_COLLAR"


@pytest.mark.parametrize("match", ["QUEUE", "QUEUE_5", "QUEUE_20"])
def test_an_order_priced_at_its_own_side_of_the_book_waits(match):
    assert breach(a_buy("BTCUSDT", "1", price_match=match)) is None


def test_an_order_priced_at_the_far_touch_is_held_there():
    near = an_account().marked("BTCUSDT", "50000", bid_price="49999", ask_price="52500")
    far = an_account().marked("BTCUSDT", "50000", bid_price="49999", ask_price="52500.1")
    order = a_buy("BTCUSDT", "1", price_match="OPPONENT")
    assert breach(order, near) is None
    assert breach(order, far).code == "PRICE_OUTSIDE_COLLAR"
    assert breach(a_sell("BTCUSDT", "1", price_match="OPPONENT"), far) is None


def test_an_order_priced_at_an_unseen_book_is_refused():
    found = breach(a_buy("BTCUSDT", "1", price_match="OPPONENT_5"))
    assert (found.code, found.advice) == ("PRICE_NOT_KNOWN", "send a limit price")


def test_without_a_mark_there_is_nothing_to_hold_a_price_against():
    """data_freshness has refused the entry by then."""
    assert breach(a_buy("BTCUSDT", "1", "99999"), an_account().unmarked("BTCUSDT")) is None
