"""Sizing down: which orders, for whom, to what size, and what is kept of the size that was asked for."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.engine import decide, decide_batch
from rules.model import OrderType, Side
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.position.position_limit import PositionLimit
from rules.position.reduce_only_exits import ReduceOnlyExits
from rules.resize import Resize, ResizeMode
from tests.rules.builders import a_buy, a_policy, a_sell, an_account, an_amend, an_open_order, an_override, codes

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
TRIM = Resize(level="bot:demo-bot", mode=ResizeMode.TRIM)
VALUE = MaxOrderValue(limit=Decimal(1000))


def trimmed(command, *rules, world=None, resizes=(TRIM,)):
    policy = replace(a_policy(*rules), resizes=resizes)
    return decide(command, (world or an_account()).snapshot, policy)


def test_an_entry_that_is_too_large_is_sent_at_the_largest_size_that_passes():
    decision = trimmed(a_buy("BTCUSDT", "2"), VALUE)
    assert decision.verdict is ALLOW
    assert decision.effective == a_buy("BTCUSDT", "0.02")
    assert decision.trimmed_from == Decimal(2)
    assert [(each.code, each.headroom) for each in decision.trimmed_by] == [
        ("ORDER_VALUE_ABOVE_LIMIT", Decimal("0.02"))
    ]
    assert decision.breaches == ()
    assert decision.headroom is None


def test_the_tightest_of_several_rules_counts():
    decision = trimmed(a_buy("BTCUSDT", "2"), VALUE, PositionLimit(limit_quantity=Decimal("0.01")))
    assert decision.effective.quantity == Decimal("0.01")
    assert len(decision.trimmed_by) == 2


def test_an_entry_that_passes_is_left_alone():
    decision = trimmed(a_buy("BTCUSDT", "0.02"), VALUE)
    assert (decision.effective.quantity, decision.trimmed_from, decision.trimmed_by) == (Decimal("0.02"), None, ())


@pytest.mark.parametrize(
    "resizes",
    [
        (),
        (Resize(level="bot:other-bot", mode=ResizeMode.TRIM),),
        (Resize(level="bot:demo-bot", mode=ResizeMode.REFUSE),),
    ],
)
def test_only_a_bot_that_asked_for_it_is_sized_down(resizes):
    decision = trimmed(a_buy("BTCUSDT", "2"), VALUE, resizes=resizes)
    assert codes(decision) == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert (decision.trimmed_from, decision.trimmed_by) == (None, ())


def test_without_headroom_it_is_refused():
    assert codes(trimmed(a_buy("BTCUSDT", "2"), MaxOrderValue(limit=Decimal(1)))) == ["ORDER_VALUE_ABOVE_LIMIT"]


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        (a_buy("BTCUSDT", "2", "60000"), PriceCollar(band=Decimal("0.01"))),
        (a_buy("BTCUSDT", "2.0005"), InstrumentFilters()),
    ],
)
def test_what_is_refused_for_more_than_its_size_stays_refused(order, rule):
    assert trimmed(order, VALUE, rule).verdict is DENY


def test_a_flip_is_refused_and_not_made_an_exit():
    world = an_account().long("BTCUSDT", "1")
    order = a_sell("BTCUSDT", "2")
    assert "POSITION_FLIP" in codes(trimmed(order, VALUE, ReduceOnlyExits(), world=world))


@pytest.mark.parametrize("kind", [kind for kind in OrderType if kind.is_conditional])
def test_a_conditional_order_is_refused_whole(kind):
    order = a_buy("BTCUSDT", "2", order_type=kind, trigger_price="50000")
    assert trimmed(order, VALUE).verdict is DENY


@pytest.mark.parametrize("price", ["50000", None])
def test_limit_and_market_orders_are_sized_down(price):
    assert trimmed(a_buy("BTCUSDT", "2", price), VALUE).trimmed_from == Decimal(2)


def test_an_amend_is_refused_whole():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "0.01", "50000"))
    amend = an_amend(Side.BUY, "BTCUSDT", "2", "50000", order_id="1")
    assert trimmed(amend, VALUE, world=world).verdict is DENY


def test_no_entry_of_a_batch_is_sized_down():
    policy = replace(a_policy(VALUE), resizes=(TRIM,))
    orders = (a_buy("BTCUSDT", "2"), a_buy("BTCUSDT", "0.001"))
    decisions = decide_batch(orders, an_account().snapshot, policy)
    assert [codes(each) for each in decisions] == [["ORDER_VALUE_ABOVE_LIMIT"], ["BATCH_REFUSED"]]


def test_a_rule_that_fails_is_not_a_matter_of_size():
    world = an_account().listing("BTCUSDT", tick_size=Decimal(0))
    order = a_buy("BTCUSDT", "2", "50000")
    assert "RULE_FAILED" in codes(trimmed(order, VALUE, InstrumentFilters(), world=world))


def test_an_override_is_used_for_the_order_as_asked_and_never_for_a_smaller_one():
    whole = trimmed(a_buy("BTCUSDT", "2"), VALUE, world=an_account().under(an_override(quantity_max="2")))
    assert (whole.effective.quantity, whole.overrides, whole.trimmed_from) == (Decimal(2), ("o1",), None)
    part = trimmed(a_buy("BTCUSDT", "3"), VALUE, world=an_account().under(an_override(quantity_max="2")))
    assert (part.effective.quantity, part.overrides, part.trimmed_from) == (Decimal("0.02"), (), Decimal(3))


def test_what_would_be_refused_in_report_mode_is_of_the_smaller_size():
    shadow = MaxOrderValue(limit=Decimal(500), enforcement=Enforcement.REPORT, level="bot:demo-bot")
    (breach,) = trimmed(a_buy("BTCUSDT", "2"), VALUE, shadow).would_deny
    assert breach.observed == "1000.00"
