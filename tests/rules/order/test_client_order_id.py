"""client_order_id: one name, one order, because exposure is counted by name."""

from __future__ import annotations

import pytest

from rules.decision import Verdict
from rules.exposure import worst_case
from rules.model import OrderType, Side
from rules.order.client_order_id import ClientOrderIdGate
from tests.rules.builders import a_buy, a_sell, an_account, an_open_order, codes, judged

BUY, SELL = Side.BUY, Side.SELL


def test_an_entry_under_the_name_of_an_open_order_is_refused():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000", client_order_id="x"))
    (breach,) = judged(a_buy("BTCUSDT", "1", "49000", client_order_id="x"), world).breaches
    assert (breach.code, breach.observed) == ("CLIENT_ORDER_ID_IN_USE", "x")
    assert breach.message == "an order named x is open, or its fate is not known yet"
    assert breach.advice == "ask for the status of the order of that name, or choose a new client order id"


def test_without_an_account_only_what_is_under_way_bears_a_name():
    world = an_account().holding(a_buy("BTCUSDT", "1", client_order_id="x")).unsurveyed()
    gate = ClientOrderIdGate()
    assert gate.check(a_buy("BTCUSDT", "1", client_order_id="x"), world.snapshot).code == "CLIENT_ORDER_ID_IN_USE"
    assert gate.check(a_buy("BTCUSDT", "1", client_order_id="y"), world.snapshot) is None


def test_an_entry_under_the_name_of_an_order_under_way_is_refused():
    """A bot that lost an answer sends its order again: the first one may stand."""
    world = an_account().holding(a_buy("BTCUSDT", "1", client_order_id="x"))
    assert codes(judged(a_buy("BTCUSDT", "1", client_order_id="x"), world)) == ["CLIENT_ORDER_ID_IN_USE"]


def test_another_name_passes():
    world = an_account().holding(a_buy("BTCUSDT", "1", client_order_id="x"))
    assert judged(a_buy("BTCUSDT", "1", client_order_id="y"), world).verdict is Verdict.ALLOW


def test_an_exit_passes_under_any_name():
    world = an_account().long("BTCUSDT", "1").holding(a_buy("BTCUSDT", "1", client_order_id="x"))
    exit_order = a_sell("BTCUSDT", "1", reduce_only=True, client_order_id="x")
    assert judged(exit_order, world).verdict is Verdict.ALLOW


def test_conditional_orders_have_names_of_their_own():
    stop = an_open_order(
        SELL, "BTCUSDT", "1", client_order_id="x", order_type=OrderType.STOP_MARKET, trigger_price="40000"
    )
    assert judged(a_buy("BTCUSDT", "1", client_order_id="x"), an_account().resting(stop)).verdict is Verdict.ALLOW


@pytest.mark.parametrize(("name", "counted"), [("x", "1"), ("y", "2")])
def test_a_held_order_that_the_survey_shows_is_counted_once(name, counted):
    world = (
        an_account()
        .resting(an_open_order(BUY, "BTCUSDT", "1", "49000", client_order_id="x"))
        .holding(a_buy("BTCUSDT", "1", "49000", client_order_id=name))
    )
    assert str(worst_case(world.snapshot)["BTCUSDT"].long_quantity) == counted
