"""Which order types and times in force an entry may have."""

from dataclasses import replace

import pytest

from rules.decision import Enforcement, Verdict
from rules.model import OrderType, Side, TimeInForce
from rules.order.order_types import OrderTypes
from tests.rules.builders import a_buy, a_cancel, a_close, a_sell, an_account, an_amend, judged

LIMIT_OR_STOP = OrderTypes(types=(OrderType.LIMIT, OrderType.STOP))
RESTING = OrderTypes(time_in_force=(TimeInForce.GTC, TimeInForce.GTX))


def breach(rule, command):
    return rule.check(command, an_account().snapshot)


def an_order(order_type=OrderType.LIMIT, **terms):
    return a_buy("BTCUSDT", "1", None if order_type.is_market else "50000", order_type=order_type, **terms)


@pytest.mark.parametrize("order_type", OrderType)
def test_a_type_on_the_list_passes_and_another_does_not(order_type):
    found = breach(LIMIT_OR_STOP, an_order(order_type))
    assert (found is None) is (order_type in (OrderType.LIMIT, OrderType.STOP))


def test_what_is_allowed_is_told():
    found = breach(LIMIT_OR_STOP, an_order(OrderType.MARKET))
    assert (found.code, found.observed, found.limit) == ("ORDER_TYPE_NOT_ALLOWED", "MARKET", "LIMIT, STOP")
    assert found.message == "order type MARKET is not allowed for entries"
    assert found.advice == "allowed here: LIMIT, STOP"


@pytest.mark.parametrize("lives", TimeInForce)
@pytest.mark.parametrize("order_type", OrderType)
def test_a_time_in_force_on_the_list_passes_and_another_does_not(order_type, lives):
    found = breach(RESTING, an_order(order_type, time_in_force=lives))
    assert (found is None) is (lives in (TimeInForce.GTC, TimeInForce.GTX))


def test_which_times_in_force_are_allowed_is_told():
    found = breach(RESTING, an_order(time_in_force=TimeInForce.IOC))
    assert (found.code, found.observed, found.limit) == ("TIME_IN_FORCE_NOT_ALLOWED", "IOC", "GTC, GTX")
    assert found.message == "time in force IOC is not allowed for entries"
    assert found.advice == "allowed here: GTC, GTX"


@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT])
def test_a_priced_order_that_names_none_is_gtc(order_type):
    assert breach(RESTING, an_order(order_type)) is None
    assert breach(OrderTypes(time_in_force=(TimeInForce.IOC,)), an_order(order_type)).observed == "GTC"


@pytest.mark.parametrize("order_type", [each for each in OrderType if each.is_market])
def test_a_market_order_that_names_none_has_none(order_type):
    assert breach(OrderTypes(time_in_force=(TimeInForce.IOC,)), an_order(order_type)) is None


def test_both_lists_are_looked_at_the_type_first():
    rule = OrderTypes(types=(OrderType.LIMIT,), time_in_force=(TimeInForce.GTX,))
    assert breach(rule, an_order(OrderType.STOP)).code == "ORDER_TYPE_NOT_ALLOWED"
    assert breach(rule, an_order()).code == "TIME_IN_FORCE_NOT_ALLOWED"
    assert breach(rule, an_order(time_in_force=TimeInForce.GTX)) is None


def test_an_amend_is_of_a_limit_order_and_changes_no_time_in_force():
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="9")
    assert breach(LIMIT_OR_STOP, amend) is None
    assert breach(OrderTypes(types=(OrderType.MARKET,)), amend).observed == "LIMIT"
    assert breach(OrderTypes(time_in_force=(TimeInForce.IOC,)), amend) is None


@pytest.mark.parametrize(
    "command",
    [a_sell("BTCUSDT", "1", reduce_only=True), a_close("BTCUSDT"), a_cancel()],
    ids=["exit", "close-position", "cancel"],
)
def test_the_way_out_may_be_of_any_type(command):
    rule = OrderTypes(types=(OrderType.LIMIT,), time_in_force=(TimeInForce.GTX,))
    assert breach(rule, command) is None


def test_it_may_only_report_and_for_one_bot():
    rule = replace(LIMIT_OR_STOP, enforcement=Enforcement.REPORT, level="bot:demo-bot")
    decision = judged(an_order(OrderType.MARKET), an_account(), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.rule_id, each.level) for each in decision.would_deny] == [("order_types", "bot:demo-bot")]
    other = replace(LIMIT_OR_STOP, level="bot:other-bot")
    assert judged(an_order(OrderType.MARKET), an_account(), other).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "order_types needs types or time_in_force"),
        ({"types": ()}, "order_types: an empty list allows nothing; to stop entries, halt trading"),
        ({"types": (OrderType.LIMIT,), "time_in_force": ()}, "order_types: an empty list allows nothing; .*"),
    ],
)
def test_a_list_that_could_not_work_is_none(settings, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        OrderTypes(**settings)
