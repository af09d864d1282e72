"""A bot that orders much and trades little waits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.flow.order_to_fill import OrderToFill
from rules.model import SetLeverage, Side
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

RULE = OrderToFill(limit=Decimal(10), orders_min=50)
ENTRY = a_buy("BTCUSDT", "1")


def having(orders, fills, bot="demo-bot"):
    return an_account().known_bot(bot, orders=orders, fills=fills)


def code(world, command=ENTRY, rule=RULE):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


@pytest.mark.parametrize(
    ("orders", "fills", "expected"),
    [
        (100, 10, None),
        (101, 10, "ORDERS_TO_FILLS_ABOVE_LIMIT"),
        (49, 0, None),
        (50, 0, "ORDERS_TO_FILLS_ABOVE_LIMIT"),
        (50, 5, None),
        (50, 4, "ORDERS_TO_FILLS_ABOVE_LIMIT"),
    ],
)
def test_the_ratio_counts_from_enough_orders_on(orders, fills, expected):
    assert code(having(orders, fills)) == expected


def test_a_hundred_orders_are_asked_for_where_nothing_is_written():
    rule = OrderToFill(limit=Decimal(10))
    assert code(having(99, 0), rule=rule) is None
    assert code(having(100, 0), rule=rule) == "ORDERS_TO_FILLS_ABOVE_LIMIT"


def test_what_is_told_is_the_ratio():
    breach = RULE.check(ENTRY, having(105, 10).snapshot)
    assert (breach.observed, breach.limit) == ("10.50", "10")
    assert breach.message == "105 orders and 10 fills in 24 hours are more than 10 orders a fill"
    assert breach.advice == (
        "reduce-only orders and cancels pass; the ratio falls as orders fill or leave the 24 hours"
    )
    assert RULE.check(ENTRY, having(105, 0).snapshot).observed == "105 without a fill"


def test_a_bot_never_seen_has_no_orders():
    assert code(an_account().recorded()) is None
    assert code(having(500, 0, "other-bot")) is None


def test_what_is_not_known_refuses():
    breach = RULE.check(ENTRY, an_account().snapshot)
    assert (breach.code, breach.message) == ("FACTS_UNKNOWN", "how many orders of demo-bot filled is not known now")


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_record_serves_for_a_minute(seconds):
    assert code(having(1, 1).recorded(seconds_ago=seconds)) is None
    further = seconds + (0.001 if seconds > 0 else -0.001)
    assert code(having(1, 1).recorded(seconds_ago=further)) == "FACTS_UNKNOWN"


@pytest.mark.parametrize(
    ("world", "value"),
    [
        (having(30, 4), "7.50"),
        (having(30, 1), "30.00"),
        (having(30, 0), "30 without a fill"),
        (an_account().recorded(), "no orders"),
        (an_account(), "unknown"),
    ],
    ids=["ratio", "one fill", "no fill", "never seen", "unknown"],
)
def test_the_ratio_is_written_down(world, value):
    (found,) = RULE.measure(ENTRY, world.snapshot)
    assert (found.rule_id, found.name, found.value, found.unit) == (
        "order_to_fill",
        "order_to_fill",
        value,
        "orders a fill",
    )


def test_exits_cancels_and_settings_pass_and_amends_wait():
    world = having(500, 0).long("BTCUSDT", "1")
    setting = SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))
    for command in (a_sell("BTCUSDT", "1", reduce_only=True), a_cancel(), setting):
        assert judged(command, world, RULE).verdict is Verdict.ALLOW
    world = world.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"))
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="5")
    assert codes(judged(amend, world, RULE)) == ["ORDERS_TO_FILLS_ABOVE_LIMIT"]


def test_a_report_refuses_nothing():
    decision = judged(ENTRY, having(500, 0), replace(RULE, enforcement=Enforcement.REPORT))
    assert decision.verdict is Verdict.ALLOW
    assert [each.code for each in decision.would_deny] == ["ORDERS_TO_FILLS_ABOVE_LIMIT"]


def test_fewer_orders_than_fills_may_be_asked_for_from_the_first_order_on():
    rule = OrderToFill(limit=Decimal("0.5"), orders_min=1)
    assert code(having(1, 2), rule=rule) is None
    assert code(having(1, 1), rule=rule) == "ORDERS_TO_FILLS_ABOVE_LIMIT"


@pytest.mark.parametrize("settings", [{"limit": Decimal(0)}, {"limit": Decimal(1), "orders_min": 0}])
def test_a_ratio_of_nothing_is_no_rule(settings):
    with pytest.raises(ValueError, match=r"^order_to_fill needs limit > 0 and orders_min >= 1$"):
        OrderToFill(**settings)
