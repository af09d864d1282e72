"""Leave to pass one rule once: for whom, how large, until when, and what no leave reaches."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rules.decision import Breach, Decision, Enforcement, Verdict
from rules.engine import decide_batch
from rules.model import Side
from rules.order.exit_collar import ExitCollar
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.overrides import overrides_for
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from tests.rules.builders import (
    NOW,
    REDUCING,
    a_buy,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    an_override,
    codes,
    judged,
)

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
VALUE = MaxOrderValue(limit=Decimal(1000))


def test_a_refused_order_passes_under_an_override_and_says_which():
    decision = judged(a_buy("BTCUSDT", "2"), an_account().under(an_override()), VALUE)
    assert decision.verdict is ALLOW
    assert decision.breaches == ()
    assert codes_of(decision) == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert decision.overrides == ("o1",)
    assert decision.headroom is None
    assert decision.advice == ()
    assert decision.effective == a_buy("BTCUSDT", "2")


def codes_of(decision: Decision) -> list[str]:
    return [breach.code for breach in decision.overridden]


def test_an_order_that_passes_uses_no_override_up():
    decision = judged(a_buy("BTCUSDT", "0.001"), an_account().under(an_override()), VALUE)
    assert (decision.overridden, decision.overrides) == ((), ())


@pytest.mark.parametrize(
    "terms",
    [
        {"rule_id": "position_limit"},
        {"bot": "other-bot"},
        {"symbol": "ETHUSDT"},
        {"side": Side.SELL},
        {"quantity_max": Decimal("1.999")},
        {"expires_at": NOW},
    ],
)
def test_an_override_is_for_exactly_what_was_approved(terms):
    decision = judged(a_buy("BTCUSDT", "2"), an_account().under(an_override(**terms)), VALUE)
    assert codes(decision) == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert (decision.overridden, decision.overrides) == ((), ())


def test_an_override_lives_to_its_last_microsecond():
    alive = an_override(expires_at=NOW + timedelta(microseconds=1))
    assert judged(a_buy("BTCUSDT", "2"), an_account().under(alive), VALUE).verdict is ALLOW


def test_of_several_the_one_that_expires_first_is_used():
    late = an_override(override_id="a", expires_at=NOW + timedelta(minutes=9))
    soon = an_override(override_id="z", expires_at=NOW + timedelta(minutes=1))
    small = an_override(override_id="b", expires_at=NOW + timedelta(seconds=1), quantity_max="1")
    for order in ((late, soon, small), (small, soon, late)):
        assert judged(a_buy("BTCUSDT", "2"), an_account().under(*order), VALUE).overrides == ("z",)


def test_of_equals_the_first_by_name_is_used():
    first, second = an_override(override_id="a"), an_override(override_id="b")
    for order in ((first, second), (second, first)):
        assert judged(a_buy("BTCUSDT", "2"), an_account().under(*order), VALUE).overrides == ("a",)


def test_every_rule_that_refuses_needs_leave_of_its_own():
    limit = PositionLimit(limit_quantity=Decimal(1))
    order = a_buy("BTCUSDT", "2")
    assert judged(order, an_account().under(an_override()), VALUE, limit).verdict is DENY
    both = an_account().under(an_override(), an_override("position_limit", override_id="o2"))
    decision = judged(order, both, VALUE, limit)
    assert decision.verdict is ALLOW
    assert decision.overrides == ("o1", "o2")


def test_one_override_serves_all_levels_of_its_rule():
    narrow = MaxOrderValue(limit=Decimal(10), level="bot:demo-bot")
    decision = judged(a_buy("BTCUSDT", "2"), an_account().under(an_override()), VALUE, narrow)
    assert (len(decision.overridden), decision.overrides) == (2, ("o1",))


def test_a_denied_order_is_told_all_its_breaches_and_uses_nothing_up():
    decision = judged(
        a_buy("BTCUSDT", "2"), an_account().under(an_override()), VALUE, PositionLimit(limit_quantity=Decimal(1))
    )
    assert codes(decision) == ["ORDER_VALUE_ABOVE_LIMIT", "POSITION_ABOVE_LIMIT"]
    assert (decision.overridden, decision.overrides) == ((), ())


def test_a_rule_in_report_mode_needs_no_an_override():
    decision = judged(
        a_buy("BTCUSDT", "2"), an_account().under(an_override()), replace(VALUE, enforcement=Enforcement.REPORT)
    )
    assert (decision.verdict, decision.overrides) == (ALLOW, ())
    assert [breach.code for breach in decision.would_deny] == ["ORDER_VALUE_ABOVE_LIMIT"]


def test_no_gate_can_be_overridden():
    world = an_account().in_state(REDUCING).under(an_override("trading_state"))
    assert codes(judged(a_buy("BTCUSDT", "2"), world)) == ["REDUCE_ONLY_STATE"]


def test_another_bot_s_share_can_not_be_overridden():
    world = an_account().long("BTCUSDT", "1").sharing("other-bot", "BTCUSDT", "1")
    order = a_sell("BTCUSDT", "1", reduce_only=True)
    decision = judged(order, world.under(an_override("own_share", side=Side.SELL)), OwnShare())
    assert codes(decision) == ["SHARE_EXCEEDED"]


def test_a_rule_that_fails_can_not_be_overridden():
    world = an_account().listing("BTCUSDT", tick_size=Decimal(0))
    order = a_buy("BTCUSDT", "1", "50000")
    decision = judged(order, world.under(an_override("instrument_filters")), InstrumentFilters())
    assert codes(decision) == ["RULE_FAILED"]


def test_an_amend_can_not_be_let_pass():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000"))
    amend = an_amend(Side.BUY, "BTCUSDT", "2", "50000", order_id="1")
    assert codes(judged(amend, world.under(an_override()), VALUE)) == ["ORDER_VALUE_ABOVE_LIMIT"]


def test_no_entry_of_a_batch_can_be_let_pass():
    orders = (a_buy("BTCUSDT", "2"), a_buy("ETHUSDT", "0.01"))
    decisions = decide_batch(orders, an_account().under(an_override()).snapshot, a_policy(VALUE))
    assert [codes(each) for each in decisions] == [["ORDER_VALUE_ABOVE_LIMIT"], ["BATCH_REFUSED"]]
    assert all(each.overrides == () for each in decisions)
    assert decisions[0].headroom == Decimal("0.02")


def test_a_batch_of_one_is_an_order_by_itself():
    (decision,) = decide_batch([a_buy("BTCUSDT", "2")], an_account().under(an_override()).snapshot, a_policy(VALUE))
    assert decision.overrides == ("o1",)


def test_an_exit_that_gives_away_too_much_may_have_an_override():
    world = an_account().long("BTCUSDT", "1")
    order = a_sell("BTCUSDT", "1", "30000", reduce_only=True)
    collar = ExitCollar(band=Decimal("0.2"))
    assert judged(order, world, collar).verdict is DENY
    assert judged(order, world.under(an_override("exit_collar", side=Side.SELL)), collar).overrides == ("o1",)


def test_a_forced_flag_is_still_told():
    world = an_account().long("BTCUSDT", "1")
    order = a_sell("BTCUSDT", "1", "30000")
    rules = (ExitCollar(band=Decimal("0.2")), ReduceOnlyExits(mode=ExitMode.FORCE))
    decision = judged(order, world.under(an_override("exit_collar", side=Side.SELL)), *rules)
    assert decision.overrides == ("o1",)
    assert decision.advice == ("reduce-only flag added by the guard",)


class TestHeadroom:
    """What a refusal names passes, and one lot more does not, with the overrides as they are."""

    def test_a_smaller_override_is_the_headroom(self):
        decision = judged(a_buy("BTCUSDT", "3"), an_account().under(an_override(quantity_max="2")), VALUE)
        assert decision.headroom == Decimal(2)
        assert judged(a_buy("BTCUSDT", "2"), an_account().under(an_override(quantity_max="2")), VALUE).verdict is ALLOW

    def test_an_override_smaller_than_the_limit_changes_nothing(self):
        assert judged(
            a_buy("BTCUSDT", "3"), an_account().under(an_override(quantity_max="0.001")), VALUE
        ).headroom == Decimal("0.02")

    def test_a_rule_that_knows_no_size_has_one_under_an_override(self):
        world = an_account().under(an_override("price_collar", quantity_max="2"))
        order = a_buy("BTCUSDT", "3", "60000")
        collar = PriceCollar(band=Decimal("0.01"))
        assert judged(order, an_account(), collar).headroom is None
        assert judged(order, world, collar).headroom == Decimal(2)
        small = an_account().under(an_override("price_collar", quantity_max="0.5"))
        assert judged(order, small, collar).headroom == Decimal("0.5")

    def test_an_override_above_what_an_unsized_rule_names_counts(self):
        world = an_account().listing("BTCUSDT", market_quantity_max=Decimal(50))
        world = world.under(an_override("instrument_filters", quantity_max="70"))
        assert judged(a_buy("BTCUSDT", "80"), world, InstrumentFilters()).headroom == Decimal(70)

    def test_the_breach_names_what_its_rule_allows_by_itself(self):
        (breach,) = judged(a_buy("BTCUSDT", "3"), an_account().under(an_override(quantity_max="2")), VALUE).breaches
        assert breach.headroom == Decimal("0.02")


def test_leave_for_one_level_is_none_for_a_crash_at_another_or_for_the_next_rule():
    def a_breach(rule_id: str, code: str = "ABOVE_LIMIT", level: str = "desk") -> Breach:
        return Breach(rule_id=rule_id, code=code, message="", level=level)

    snapshot, order = an_account().under(an_override()).snapshot, a_buy("BTCUSDT", "2")
    twice = (a_breach("max_order_value"), a_breach("max_order_value", level="bot:demo-bot"))
    (leave,) = overrides_for(twice, order, snapshot)
    assert leave.override_id == "o1"
    assert overrides_for((*twice, a_breach("max_order_value", "RULE_FAILED")), order, snapshot) is None
    assert overrides_for((*twice, a_breach("position_limit")), order, snapshot) is None
