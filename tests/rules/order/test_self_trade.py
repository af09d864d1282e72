"""An account does not trade with itself. The mark is 50,000; without a limit an order reaches five percent through."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.engine import decide_batch
from rules.model import OrderType, PositionSide, Side, TimeInForce
from rules.order.self_trade import Across, SelfTrade
from rules.rule import FACTS_UNKNOWN
from tests.rules.builders import (
    a_buy,
    a_cancel,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

BUY, SELL = Side.BUY, Side.SELL
RULE = SelfTrade(reach=Decimal("0.05"))
OTHERS = SelfTrade(reach=Decimal("0.05"), across=Across.BOTS)
STOP = {"order_type": OrderType.STOP_MARKET, "trigger_price": "60000"}
TRAILING = {"order_type": OrderType.TRAILING_STOP_MARKET, "callback_rate": "1"}


def breach(command, world, rule=RULE):
    return rule.check(command, world.snapshot)


def crosses(command, world, rule=RULE):
    return breach(command, world, rule) is not None


def selling(price, **terms):
    return an_account().resting(an_open_order(SELL, "BTCUSDT", "1", price, **terms))


def buying(price, **terms):
    return an_account().resting(an_open_order(BUY, "BTCUSDT", "1", price, **terms))


def test_limits_meet_when_their_prices_do():
    assert not crosses(a_buy("BTCUSDT", "1", "50999.9"), selling("51000"))
    assert crosses(a_buy("BTCUSDT", "1", "51000"), selling("51000"))
    assert crosses(a_buy("BTCUSDT", "1", "51000.1"), selling("51000"))
    assert not crosses(a_sell("BTCUSDT", "1", "49000.1"), buying("49000"))
    assert crosses(a_sell("BTCUSDT", "1", "49000"), buying("49000"))
    assert crosses(a_sell("BTCUSDT", "1", "48999.9"), buying("49000"))


def test_what_it_would_meet_is_told():
    found = breach(a_buy("BTCUSDT", "1", "52000"), selling("51000"))
    assert (found.code, found.observed, found.limit) == ("SELF_TRADE", "52000", "51000")
    assert found.message == "BUY could execute against the account's own SELL order at 51000"
    assert found.advice == "cancel the SELL order first, or use a limit price that does not meet it"
    found = breach(a_sell("BTCUSDT", "1", "48000"), buying("49000"))
    assert found.message == "SELL could execute against the account's own BUY order at 49000"


def test_of_several_the_first_it_would_meet_is_told():
    sells = [an_open_order(SELL, "BTCUSDT", "1", price, order_id=price) for price in ("51500", "51000", "52000")]
    assert breach(a_buy("BTCUSDT", "1", "53000"), an_account().resting(*sells)).limit == "51000"
    buys = [an_open_order(BUY, "BTCUSDT", "1", price, order_id=price) for price in ("48500", "49000", "48000")]
    assert breach(a_sell("BTCUSDT", "1", "47000"), an_account().resting(*buys)).limit == "49000"


def test_the_nearest_decides_though_others_are_out_of_reach():
    sells = [an_open_order(SELL, "BTCUSDT", "1", price, order_id=price) for price in ("60000", "51000", "70000")]
    assert crosses(a_buy("BTCUSDT", "1", "51000"), an_account().resting(*sells))


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000")),
        an_account().resting(an_open_order(SELL, "ETHUSDT", "1", "2500")),
        an_account().holding(a_buy("BTCUSDT", "1", "49000")),
        an_account().holding(a_sell("ETHUSDT", "1", "2500")),
        an_account().long("BTCUSDT", "5"),
    ],
    ids=["empty book", "same side", "another symbol", "same side held", "another symbol held", "a position"],
)
def test_what_is_not_on_the_other_side_is_no_match(world):
    assert not crosses(a_buy("BTCUSDT", "1"), world)


def test_a_resting_exit_counts():
    assert crosses(a_buy("BTCUSDT", "1", "51000"), selling("51000", reduce_only=True).long("BTCUSDT", "1"))


def test_the_legs_of_a_hedged_account_trade_with_each_other_too():
    world = an_account().hedged()
    world = world.resting(an_open_order(SELL, "BTCUSDT", "1", "51000", position_side=PositionSide.SHORT))
    assert crosses(a_buy("BTCUSDT", "1", "51000", position_side=PositionSide.LONG), world)


@pytest.mark.parametrize(
    ("bot", "crossed_by"),
    [("demo-bot", {Across.ALL}), ("other-bot", {Across.ALL, Across.BOTS}), ("", {Across.ALL, Across.BOTS})],
    ids=["its own", "another bot's", "by hand"],
)
def test_across_says_whose_orders_count(bot, crossed_by):
    order = a_buy("BTCUSDT", "1", "51000")
    resting = selling("51000", bot=bot)
    under_way = an_account().holding(a_sell("BTCUSDT", "1", "51000"), bot=bot)
    for world in (resting, under_way):
        assert crosses(order, world) is (Across.ALL in crossed_by)
        assert crosses(order, world, OTHERS) is (Across.BOTS in crossed_by)


@pytest.mark.parametrize("lives", [TimeInForce.GTX, TimeInForce.IOC])
def test_the_time_in_force_makes_no_difference(lives):
    assert crosses(a_buy("BTCUSDT", "1", "51000", time_in_force=lives), selling("51000"))


# Orders without a limit


@pytest.mark.parametrize("terms", [{}, {"price_match": "OPPONENT"}, {"price_match": "OPPONENT_20"}], ids=str)
def test_an_order_that_takes_from_the_book_reaches_so_far_through_the_mark(terms):
    buy, sell = a_buy("BTCUSDT", "1", **terms), a_sell("BTCUSDT", "1", **terms)
    assert crosses(buy, selling("52500"))
    assert not crosses(buy, selling("52500.1"))
    assert crosses(sell, buying("47500"))
    assert not crosses(sell, buying("47499.9"))
    assert breach(buy, selling("51000")).observed == "52500"


def test_or_through_the_far_touch_when_that_is_further():
    def marked(world):
        return world.marked("BTCUSDT", "50000", bid_price="40000", ask_price="60000")

    assert crosses(a_buy("BTCUSDT", "1"), marked(selling("63000")))
    assert not crosses(a_buy("BTCUSDT", "1"), marked(selling("63000.1")))
    assert crosses(a_sell("BTCUSDT", "1"), marked(buying("38000")))
    assert not crosses(a_sell("BTCUSDT", "1"), marked(buying("37999.9")))
    inside = {"bid_price": "50010", "ask_price": "49990"}
    assert crosses(a_buy("BTCUSDT", "1"), selling("52500").marked("BTCUSDT", "50000", **inside))
    assert crosses(a_sell("BTCUSDT", "1"), buying("47500").marked("BTCUSDT", "50000", **inside))


def test_an_order_under_way_without_a_limit_reaches_as_far_as_its_side():
    touch = {"bid_price": "40000", "ask_price": "60000"}
    buy, sell = (order("BTCUSDT", "1", price_match="OPPONENT") for order in (a_buy, a_sell))
    for held, order, met, not_met in ((buy, a_sell, "63000", "63000.1"), (sell, a_buy, "38000", "37999.9")):
        world = an_account().marked("BTCUSDT", "50000", **touch).holding(held)
        assert crosses(order("BTCUSDT", "1", met), world)
        assert not crosses(order("BTCUSDT", "1", not_met), world)


def test_without_a_mark_it_reaches_anything():
    assert breach(a_buy("BTCUSDT", "1"), selling("999999").unmarked("BTCUSDT")).observed == "any price"
    assert breach(a_sell("BTCUSDT", "1"), buying("0.1").unmarked("BTCUSDT")).observed == "any price"
    queue = a_buy("BTCUSDT", "1", price_match="QUEUE")
    assert breach(queue, selling("999999").unmarked("BTCUSDT")).observed == "any price"


@pytest.mark.parametrize("match", ["QUEUE", "QUEUE_5"])
def test_an_order_that_queues_is_priced_at_its_own_side(match):
    touch = {"bid_price": "49990", "ask_price": "50010"}
    buy, sell = a_buy("BTCUSDT", "1", price_match=match), a_sell("BTCUSDT", "1", price_match=match)
    assert not crosses(buy, selling("49990.1").marked("BTCUSDT", "50000", **touch))
    assert crosses(buy, selling("49990").marked("BTCUSDT", "50000", **touch))
    assert not crosses(sell, buying("50009.9").marked("BTCUSDT", "50000", **touch))
    assert crosses(sell, buying("50010").marked("BTCUSDT", "50000", **touch))
    assert breach(buy, selling("999999")).observed == "any price"


def test_a_conditional_market_order_reaches_so_far_through_its_trigger():
    assert crosses(a_buy("BTCUSDT", "1", **STOP), selling("63000"))
    assert not crosses(a_buy("BTCUSDT", "1", **STOP), selling("63000.1"))
    assert crosses(a_sell("BTCUSDT", "1", **STOP), buying("57000"))
    assert not crosses(a_sell("BTCUSDT", "1", **STOP), buying("56999.9"))
    matched = {**STOP, "order_type": OrderType.STOP, "price_match": "QUEUE"}
    assert crosses(a_buy("BTCUSDT", "1", **matched), selling("63000"))
    assert not crosses(a_buy("BTCUSDT", "1", **matched), selling("63000.1"))


def test_a_conditional_limit_order_reaches_its_limit():
    stop = {**STOP, "order_type": OrderType.STOP}
    assert crosses(a_buy("BTCUSDT", "1", "60100", **stop), selling("60100"))
    assert not crosses(a_buy("BTCUSDT", "1", "60100", **stop), selling("60100.1"))


def test_a_trailing_stop_may_be_set_off_anywhere():
    assert crosses(a_buy("BTCUSDT", "1", **TRAILING), selling("999999"))
    assert crosses(a_sell("BTCUSDT", "1", **TRAILING, activate_price="60000"), buying("1"))


def test_what_waits_for_a_trigger_is_in_no_book():
    waiting = {"order_type": OrderType.STOP, "trigger_price": "51000"}
    assert not crosses(a_buy("BTCUSDT", "1", "60000"), selling("51000", **waiting))
    held = a_sell("BTCUSDT", "1", "51000", **waiting)
    assert not crosses(a_buy("BTCUSDT", "1", "60000"), an_account().holding(held))


# Orders under way


def test_a_limit_under_way_meets_at_its_price():
    assert crosses(a_buy("BTCUSDT", "1", "51000"), an_account().holding(a_sell("BTCUSDT", "1", "51000")))
    assert not crosses(a_buy("BTCUSDT", "1", "50999.9"), an_account().holding(a_sell("BTCUSDT", "1", "51000")))


def test_a_market_order_under_way_meets_what_comes_to_rest_within_its_reach():
    selling_now, buying_now = an_account().holding(a_sell("BTCUSDT", "1")), an_account().holding(a_buy("BTCUSDT", "1"))
    assert crosses(a_buy("BTCUSDT", "1", "47500"), selling_now)
    assert not crosses(a_buy("BTCUSDT", "1", "47499.9"), selling_now)
    assert crosses(a_sell("BTCUSDT", "1", "52500"), buying_now)
    assert not crosses(a_sell("BTCUSDT", "1", "52500.1"), buying_now)
    unmarked = selling_now.unmarked("BTCUSDT")
    assert breach(a_buy("BTCUSDT", "1", "1"), unmarked).limit == "any price"
    assert breach(a_buy("BTCUSDT", "1", "1"), unmarked).message.endswith("own SELL order at any price")


def test_one_that_reaches_anything_is_not_hidden_by_one_that_does_not():
    world = an_account().holding(a_sell("BTCUSDT", "1", "60000")).holding(a_sell("BTCUSDT", "1"))
    assert crosses(a_buy("BTCUSDT", "1", "1"), world.unmarked("BTCUSDT"))


def test_a_limit_beside_an_order_that_reaches_so_far_keeps_its_own_price():
    world = an_account().holding(a_sell("BTCUSDT", "1")).resting(an_open_order(SELL, "BTCUSDT", "1", "40000"))
    found = breach(a_buy("BTCUSDT", "1", "40000"), world)
    assert found is not None and found.limit == "40000", "the one without a limit reaches 47,500 alone"
    assert breach(a_buy("BTCUSDT", "1", "39999.9"), world) is None


def test_an_amend_under_way_meets_at_its_new_price_and_at_the_old():
    world = selling("55000", order_id="9")
    moved = world.holding(an_amend(SELL, "BTCUSDT", "1", "51000", order_id="9"))
    assert crosses(a_buy("BTCUSDT", "1", "51000"), moved)
    assert not crosses(a_buy("BTCUSDT", "1", "50999.9"), moved)
    away = world.holding(an_amend(SELL, "BTCUSDT", "1", "58000", order_id="9"))
    assert crosses(a_buy("BTCUSDT", "1", "55000"), away)
    matched = world.holding(an_amend(SELL, "BTCUSDT", "1", price_match="OPPONENT", order_id="9"))
    assert crosses(a_buy("BTCUSDT", "1", "47500"), matched)
    assert not crosses(a_buy("BTCUSDT", "1", "47499.9"), matched)


def test_an_amend_is_judged_at_its_new_price():
    world = selling("51000", order_id="8").resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9"))
    assert not crosses(an_amend(BUY, "BTCUSDT", "1", "50999.9", order_id="9"), world)
    assert crosses(an_amend(BUY, "BTCUSDT", "1", "51000", order_id="9"), world)
    assert breach(an_amend(BUY, "BTCUSDT", "1", price_match="OPPONENT", order_id="9"), world).observed == "52500"


def test_the_orders_of_one_batch_do_not_meet():
    orders = (a_buy("BTCUSDT", "1", "50000"), a_sell("BTCUSDT", "1", "50000"))
    assert [codes(each) for each in decide_batch(orders, an_account().snapshot, a_policy(RULE))] == [
        ["BATCH_REFUSED"],
        ["SELF_TRADE"],
    ]
    leave = a_sell("BTCUSDT", "1", reduce_only=True)
    _, entry = decide_batch((leave, orders[0]), an_account().long("BTCUSDT", "1").snapshot, a_policy(RULE))
    assert codes(entry) == ["SELF_TRADE"]


# What it leaves alone


@pytest.mark.parametrize("command", [a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()], ids=["exit", "cancel"])
def test_the_way_out_is_never_in_its_own_way(command):
    assert not crosses(command, buying("50000"))


def test_an_account_it_does_not_know_is_not_traded():
    found = breach(a_buy("BTCUSDT", "1", "1"), an_account().unsurveyed())
    assert (found.code, found.message) == (FACTS_UNKNOWN, "which orders of the account rest is not known now")


def test_it_may_only_report_and_for_one_bot():
    rule = replace(RULE, enforcement=Enforcement.REPORT, level="bot:demo-bot")
    order = a_buy("BTCUSDT", "1", "51000")
    decision = judged(order, selling("51000"), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.rule_id, each.level) for each in decision.would_deny] == [("self_trade", "bot:demo-bot")]
    assert judged(order, selling("51000"), replace(RULE, level="bot:other-bot")).verdict is Verdict.ALLOW


def test_unless_it_is_told_otherwise_it_looks_at_every_order_and_far():
    assert (SelfTrade().across, SelfTrade().reach) == (Across.ALL, Decimal("0.30"))
