"""The fat-finger cap on one order's notional."""

from decimal import Decimal

from rules.model import OrderType, Side
from rules.order.max_order_value import MaxOrderValue
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

CAP = MaxOrderValue(limit=Decimal(25_000))


def breach(command, world=None):
    return CAP.check(command, (world or an_account()).snapshot)


def test_an_order_worth_the_limit_passes():
    assert breach(a_buy("BTCUSDT", "0.5")) is None


def test_one_lot_more_does_not():
    found = breach(a_buy("BTCUSDT", "0.501"))
    assert (found.code, found.observed, found.limit) == ("ORDER_VALUE_ABOVE_LIMIT", "25050.00", "25000.00")
    assert found.message == "order is worth 25050.00"


def test_the_headroom_passes_exactly():
    assert judged(a_buy("BTCUSDT", "3"), an_account(), CAP).headroom == Decimal("0.5")


def test_a_price_above_the_mark_counts_and_one_below_does_not_discount():
    assert breach(a_buy("BTCUSDT", "0.5", "50000.1")) is not None
    assert breach(a_buy("BTCUSDT", "0.501", "1")) is not None


def test_a_market_order_is_worth_the_far_touch():
    world = an_account().marked("BTCUSDT", "50000", ask_price="50001")
    assert breach(a_buy("BTCUSDT", "0.5"), world).observed == "25000.50"
    assert judged(a_buy("BTCUSDT", "0.5"), world, CAP).headroom == Decimal("0.499")


def test_a_stop_is_worth_its_trigger():
    assert breach(a_buy("BTCUSDT", "0.5", order_type=OrderType.STOP_MARKET, trigger_price="50001")) is not None


def test_other_orders_do_not_count():
    assert breach(a_buy("BTCUSDT", "0.5"), an_account().long("BTCUSDT", "9").holding(a_buy("BTCUSDT", "9"))) is None


def test_an_amend_counts_what_could_still_fill():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "0.1", "50000", order_id="9", filled="1"))
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1.5", "50000", order_id="9"), world) is None
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1.501", "50000", order_id="9"), world) is not None


def test_an_exit_is_not_capped():
    assert breach(a_sell("BTCUSDT", "9", reduce_only=True)) is None
