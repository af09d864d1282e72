"""The worse price of a buy is the higher one, of a sell the lower one."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.model import OrderType, Side
from rules.prices import far_price, far_touch, is_through, near_touch, resting_price, through, worst_named
from rules.snapshot import Market
from tests.rules.builders import NOW, a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order

BUY, SELL = Side
MARKET = Market(
    symbol="BTCUSDT", mark_price=Decimal(50_000), as_of=NOW, bid_price=Decimal(49_990), ask_price=Decimal(50_010)
)


def test_through_is_above_for_a_buy_and_below_for_a_sell():
    assert (through(BUY, Decimal(100), Decimal("0.1")), through(SELL, Decimal(100), Decimal("0.1"))) == (110, 90)


@pytest.mark.parametrize(("side", "beyond"), [(BUY, "100.1"), (SELL, "99.9")])
def test_the_bound_itself_is_not_through(side, beyond):
    assert not is_through(side, Decimal(100), Decimal(100))
    assert is_through(side, Decimal(beyond), Decimal(100))
    assert not is_through(side, 200 - Decimal(beyond), Decimal(100))


@pytest.mark.parametrize(("side", "near", "far"), [(BUY, 49_990, 50_010), (SELL, 50_010, 49_990)])
def test_the_touches_are_seen_from_the_order(side, near, far):
    assert (near_touch(side, MARKET), far_touch(side, MARKET), far_price(side, MARKET)) == (near, far, far)


QUEUES = {"order_type": OrderType.LIMIT, "price_match": "QUEUE_10"}


@pytest.mark.parametrize(
    ("order", "market", "rests"),
    [
        (a_buy("BTCUSDT", "1", **QUEUES), MARKET, 49_990),
        (a_sell("BTCUSDT", "1", **QUEUES), MARKET, 50_010),
        (an_amend(SELL, "BTCUSDT", "1", price_match="QUEUE"), MARKET, 50_010),
        (a_sell("BTCUSDT", "1", "60000"), MARKET, 60_000),
        (a_sell("BTCUSDT", "1", "60000"), None, 60_000),
        (a_sell("BTCUSDT", "1", **QUEUES), None, None),
        (a_sell("BTCUSDT", "1", **QUEUES), replace(MARKET, ask_price=None), None),
        (a_sell("BTCUSDT", "1", **QUEUES | {"price_match": "OPPONENT_5"}), MARKET, None),
        (a_sell("BTCUSDT", "1"), MARKET, None),
        (a_sell("BTCUSDT", "1", **QUEUES | {"order_type": OrderType.STOP}, trigger_price="49000"), MARKET, None),
    ],
    ids=["buy", "sell", "amend", "limit", "no market", "unknown", "no touch", "opponent", "market", "waits"],
)
def test_what_joins_the_queue_rests_at_the_near_touch_and_what_takes_at_no_price(order, market, rests):
    assert resting_price(order, order.side, market) == rests


@pytest.mark.parametrize(("side", "mark"), [(BUY, 50_020), (SELL, 49_980)])
def test_a_mark_worse_than_the_far_touch_is_what_may_be_paid(side, mark):
    assert far_price(side, replace(MARKET, mark_price=Decimal(mark))) == mark
    assert far_price(side, replace(MARKET, bid_price=None, ask_price=None)) == 50_000


def test_the_worst_of_the_prices_that_an_order_names_counts():
    snapshot = an_account().snapshot
    stop = {"order_type": OrderType.STOP, "trigger_price": "50500"}
    assert worst_named(a_buy("BTCUSDT", "1", "50000", **stop), snapshot) == 50_500
    assert worst_named(a_sell("BTCUSDT", "1", "50000", **stop), snapshot) == 50_000
    assert worst_named(a_sell("BTCUSDT", "1", "51000", **stop), snapshot) == 50_500
    trailing = replace(
        a_sell("BTCUSDT", "1", order_type=OrderType.TRAILING_STOP_MARKET), activate_price=Decimal(52_000)
    )
    assert worst_named(trailing, snapshot) == 52_000
    assert worst_named(a_buy("BTCUSDT", "1"), snapshot) is None
    assert worst_named(a_cancel(), snapshot) is None


def test_an_amend_may_fill_at_either_price():
    world = an_account().resting(an_open_order(SELL, "BTCUSDT", "1", "50000", order_id="7"))
    assert worst_named(an_amend(SELL, "BTCUSDT", "1", "49000", order_id="7"), world.snapshot) == 49_000
    contradicting = an_amend(BUY, "BTCUSDT", "1", "49000", order_id="7")
    assert worst_named(contradicting, world.snapshot) == 49_000, "the side is the order's"
    assert worst_named(an_amend(SELL, "BTCUSDT", "1", "51000", order_id="7"), world.snapshot) == 50_000
    assert worst_named(an_amend(SELL, "BTCUSDT", "1", "51000", order_id="8"), world.snapshot) == 51_000
