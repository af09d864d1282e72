"""Which rules apply to whom, and what no policy can say."""

from decimal import Decimal

import pytest

from rules.catalog import CATALOG, ENTRY_RULES, EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.decision import Enforcement
from rules.flow.trading_state import TradingStateGate
from rules.market.data_freshness import DataFreshness
from rules.order.client_order_id import ClientOrderIdGate
from rules.order.max_order_value import MaxOrderValue
from rules.order.unresolved_order import UnresolvedOrder
from rules.policy import Policy
from rules.position.max_leverage import MaxLeverage
from rules.position.reduce_only_exits import ReduceOnlyExits
from rules.rule import FACTS_UNKNOWN, Rule
from tests.rules.builders import a_policy


def limits(policy, **who):
    who = {"account": "demo", "bot": "demo-bot", "symbol": "BTCUSDT", **who}
    return {rule.limit for rule in policy.rules_for(**who) if isinstance(rule, MaxOrderValue)}


POLICY = a_policy(
    MaxOrderValue(limit=Decimal(1)),
    MaxOrderValue(limit=Decimal(2), level="account:demo"),
    MaxOrderValue(limit=Decimal(3), level="bot:demo-bot"),
    MaxOrderValue(limit=Decimal(4), level="symbol:BTCUSDT"),
    MaxOrderValue(limit=Decimal(5), level="bot:other"),
)


def test_the_limits_of_every_level_that_matches_apply_together():
    assert limits(POLICY) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ({"symbol": "ETHUSDT"}, {1, 2, 3}),
        ({"symbol": None}, {1, 2, 3}),
        ({"bot": "other"}, {1, 2, 4, 5}),
        ({"account": None}, {1, 3, 4}),
    ],
)
def test_a_limit_of_somebody_else_does_not_apply(who, expected):
    assert limits(POLICY, **who) == expected


def test_a_bot_named_like_an_account_meets_only_its_own_limits():
    policy = a_policy(MaxOrderValue(limit=Decimal(2), level="account:demo"))
    assert limits(policy, account="else", bot="demo", symbol="demo") == set()


def test_a_name_with_a_colon_has_its_own_limits():
    policy = a_policy(MaxOrderValue(limit=Decimal(2), level="bot:a:b"))
    assert limits(policy, bot="a:b") == {2}
    assert limits(policy, bot="b") == set()


def test_names_that_the_policy_does_not_say_share_what_is_kept():
    """However many bots, accounts and symbols ask, no more is kept than the policy has levels for."""
    strangers = [
        {"account": account, "bot": f"bot{number}", "symbol": symbol}
        for number, (account, symbol) in enumerate([("a", "S"), ("b", "S"), ("a", "T"), (None, "S"), ("a", None)])
    ]
    assert len({id(POLICY.bound_to(**each)) for each in strangers}) == 1
    known = [{**each, "bot": "demo-bot"} for each in strangers]
    assert len({id(POLICY.bound_to(**each)) for each in known}) == 1


def test_a_gate_is_asked_once():
    bound = a_policy(MaxOrderValue(limit=Decimal(1))).bound_to(account=None, bot="b", symbol=None)
    assert {type(each.rule) for each in bound.gates} == set(GATES)
    assert not {type(each.rule) for each in (*bound.for_entries, *bound.for_exits)} & set(GATES)


def test_a_policy_without_rules_looks_at_no_attempts():
    assert Policy(name="none", owner="nobody@desk.example", version="0", rules=()).attempts_window_s == 0


def test_rules_come_in_the_order_of_the_catalog_however_they_are_written():
    rules = a_policy(MaxLeverage(limit=Decimal(2)), MaxOrderValue(limit=Decimal(1))).rules_for(
        account=None, bot="b", symbol=None
    )
    assert [type(rule) for rule in rules] == [*GATES, *EXIT_RULES, MaxOrderValue, MaxLeverage]


def test_a_rule_that_is_off_is_left_out():
    assert limits(a_policy(MaxOrderValue(limit=Decimal(1), enforcement=Enforcement.OFF))) == set()


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("enforcement", [Enforcement.OFF, Enforcement.REPORT])
@pytest.mark.parametrize("level", ["desk", "bot:demo-bot"])
def test_a_gate_cannot_be_switched_off(gate, enforcement, level):
    with pytest.raises(ValueError, match=f"^{gate.rule_id} cannot be switched off or only report$"):
        Policy(name="n", owner="o", version="v", rules=(gate(enforcement=enforcement, level=level),))


def test_the_catalog_names_every_rule_once():
    assert len(CATALOG) == len(GATES) + len(EXIT_RULES) + len(OWNERSHIP_RULES) + len(ENTRY_RULES)
    assert all(rule.rule_id == rule_id and rule.codes for rule_id, rule in CATALOG.items())


def test_no_two_rules_share_a_code_but_the_one_for_what_is_not_known():
    codes = [code for rule in CATALOG.values() for code in rule.codes if code != FACTS_UNKNOWN]
    assert len(codes) == len(set(codes))


def test_the_gates_are_those_that_others_need():
    assert list(GATES) == [TradingStateGate, DataFreshness, ClientOrderIdGate, UnresolvedOrder]


def test_no_rule_but_the_one_that_forces_a_flag_permits_anything():
    assert [rule for rule in CATALOG.values() if rule.permits is not Rule.permits] == [ReduceOnlyExits]
    assert MaxOrderValue(limit=Decimal(1)).permits() is False
