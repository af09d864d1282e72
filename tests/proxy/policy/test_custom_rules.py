"""One line of CEL becomes a rule: what may be written, what is refused when the policy is read, what it decides."""

from dataclasses import replace

import pytest

from proxy.policy.custom_rules import EXPRESSION_MAX, compile_expression
from proxy.policy.reading import PolicyError, parse_policy
from proxy.store.codec import build_decision, dump, load, plain_decision
from rules.custom import CustomRule
from rules.custom_fields import FIELDS
from rules.decision import Enforcement, Verdict
from rules.engine import decide
from rules.model import Side
from tests.rules.builders import (
    a_buy,
    a_cancel,
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


def a_rule(expression: str, name: str = "mine", message: str = "not today", **terms) -> CustomRule:
    return CustomRule(
        name=name, expression=expression, message=message, question=compile_expression(expression), **terms
    )


def a_text(expression: str, place: str = "desk.custom.mine") -> str:
    return f"""
[policy]
name = "test"
owner = "risk@desk.example"

[{place}]
enforcement = "enforce"
expression = "{expression}"
message = "not today"
"""


def test_what_is_true_passes_and_what_is_false_is_refused_in_the_desk_s_own_words():
    policy = parse_policy(a_text("order.side == 'BUY'"))
    assert decide(a_buy("BTCUSDT", "1"), an_account().snapshot, policy).verdict is ALLOW
    decision = decide(a_sell("BTCUSDT", "1"), an_account().snapshot, policy)
    (breach,) = decision.breaches
    assert (breach.rule_id, breach.code, breach.message) == ("custom:mine", "CUSTOM_RULE", "not today")
    assert (breach.limit, breach.headroom, decision.headroom) == ("order.side == 'BUY'", None, None)


@pytest.mark.parametrize("place", ["desk", "account.demo", "bot.demo-bot", "symbol.BTCUSDT"])
def test_it_stands_at_every_level(place):
    policy = parse_policy(a_text("false", f"{place}.custom.mine"))
    assert codes(decide(a_buy("BTCUSDT", "1"), an_account().snapshot, policy)) == ["CUSTOM_RULE"]
    elsewhere = decide(a_buy("ETHUSDT", "1"), replace(an_account().snapshot, bot="other"), policy)
    assert (elsewhere.verdict is ALLOW) is (place in ("bot.demo-bot", "symbol.BTCUSDT"))


def test_several_at_one_level_are_told_apart():
    rules = [a_rule("false", "first", "one"), a_rule("true", "second"), a_rule("1 == 2", "third", "three")]
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), *rules)
    assert [(each.rule_id, each.message) for each in decision.breaches] == [
        ("custom:first", "one"),
        ("custom:third", "three"),
    ]


@pytest.mark.parametrize("command", [a_cancel(), a_sell("BTCUSDT", "1", reduce_only=True)])
def test_it_never_keeps_anybody_in(command):
    assert judged(command, an_account().long("BTCUSDT", "1"), a_rule("false")).verdict is ALLOW


def test_an_amend_is_asked_about_too():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000"))
    amend = an_amend(Side.BUY, "BTCUSDT", "2", "50000", order_id="1")
    assert codes(judged(amend, world, a_rule("!order.amend"))) == ["CUSTOM_RULE"]
    assert judged(amend, world, a_rule("order.quantity == 2.0")).verdict is ALLOW


def test_what_is_not_known_refuses():
    rule = a_rule("condition.volatility < 0.5")
    assert codes(judged(a_buy("BTCUSDT", "1"), an_account(), rule)) == ["RULE_FAILED"]
    assert judged(a_buy("BTCUSDT", "1"), an_account().in_conditions("BTCUSDT", volatility="0.4"), rule).verdict is ALLOW


def test_what_is_not_known_may_be_let_pass_in_so_many_words():
    rule = a_rule("condition.volatility == null || condition.volatility < 0.5")
    assert judged(a_buy("BTCUSDT", "1"), an_account(), rule).verdict is ALLOW


@pytest.mark.parametrize("answer", [None, 1, "true", [True]])
def test_an_answer_that_is_neither_true_nor_false_refuses(answer):
    rule = replace(a_rule("true"), question=lambda entry, snapshot: answer)
    assert codes(judged(a_buy("BTCUSDT", "1"), an_account(), rule)) == ["RULE_FAILED"]


def test_in_report_mode_it_refuses_nothing():
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), a_rule("false", enforcement=Enforcement.REPORT))
    assert (decision.verdict, [each.rule_id for each in decision.would_deny]) == (ALLOW, ["custom:mine"])


def test_it_can_be_overridden_by_its_name():
    world = an_account().under(an_override("custom:mine"))
    assert judged(a_buy("BTCUSDT", "1"), world, a_rule("false")).overrides == ("o1",)
    assert judged(a_buy("BTCUSDT", "1"), world, a_rule("false", "other")).overrides == ()


def test_a_replay_from_the_text_decides_the_same():
    text = a_text("order.notional < 1000.0")
    decision = decide(a_buy("BTCUSDT", "1"), an_account().snapshot, parse_policy(text))
    again = decide(a_buy("BTCUSDT", "1"), an_account().snapshot, parse_policy(text))
    assert build_decision(load(dump(plain_decision(decision)))) == again == decision
    assert parse_policy(text) == parse_policy(text)


def test_the_weekend_example_of_the_page():
    rule = a_rule("order.side == 'BUY' || !(now.getDayOfWeek() in [0, 6])")
    assert [codes(judged(each, an_account(), rule)) for each in (a_sell("BTCUSDT", "1"), a_buy("BTCUSDT", "1"))] == [
        [],
        [],
    ]
    saturday = replace(an_account().snapshot, now=an_account().snapshot.now.replace(year=2026, month=1, day=3))
    world = replace(saturday, account=replace(saturday.account, as_of=saturday.now), markets={
        symbol: replace(market, as_of=saturday.now) for symbol, market in saturday.markets.items()
    })  # fmt: skip
    assert codes(decide(a_sell("BTCUSDT", "1"), world, a_policy(rule))) == ["CUSTOM_RULE"]


@pytest.mark.parametrize("path", [f"{root}.{name}" for root, names in FIELDS.items() for name in names])
def test_every_name_can_be_asked_for(path):
    compile_expression(f"{path} == null || {path} != null")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("order.side = 'BUY'", "cannot be read at ="),
        ("order.side ==", "not an expression"),
        ("ordr.side == 'BUY'", 'knows no ordr; did you mean "order"?'),
        ("order.sied == 'BUY'", 'order has no sied; did you mean "side"?'),
        ("order == 'BUY'", "order needs a name after it"),
        ("order.side.length == 3", "side has nothing called length"),
        ("order.side", "is a str for a BUY market order"),
        ("order.quantity + 1 > 2.0", "cannot be evaluated for a BUY market order"),
        ("order.price < 2.0", "it has no price"),
        ("order.side == 'BUY' || record.day_pnl", "for a SELL"),
        ("1 / 0 == 1", "division by zero"),
        ("[1].all(order, true)", "has no function all"),
        ("[1].map(x, x) == [1]", "has no function map"),
        ("[1].exists(x, x == 1)", "has no function exists"),
        ("order.symbol.matches('(a+)+')", "has no function matches"),
        ("has(order.price)", "has no function has"),
        ("open('/etc/passwd') == ''", "has no function open"),
        ("__import__('os') == ''", "has no function __import__"),
        ("order.__class__ == ''", "order has no __class__"),
        ("[1, 2][0] == 1", "not looked up"),
        ("order.symbol[0] == 'B'", "not looked up"),
        ("{'a': 1} == {}", "cannot be read at {"),
        ("b'x' == b'x'", "knows no b"),
        ("order.symbol == 'a\\\\u0041'", "cannot be read"),
        ("order.symbol == 'é'", "plain ASCII"),
        ("true &&\\ttrue", "one line"),
        ("", "1 to 500 characters"),
        ("   ", "1 to 500 characters"),
        ("true" + " " * EXPRESSION_MAX, "1 to 500 characters"),
        ("(" * 249 + "1" + ")" * 249, "not an expression"),
    ],
)
def test_a_wrong_expression_is_refused_when_the_policy_is_read(expression, words):
    with pytest.raises(PolicyError) as refused:
        parse_policy(a_text(expression))
    assert words in str(refused.value)
    assert "[desk.custom" in str(refused.value)
    assert "mine" in str(refused.value)


def test_an_expression_of_the_greatest_length_is_taken():
    compile_expression("true".ljust(EXPRESSION_MAX))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[desk.custom.mine]\nexpression = "true"\nmessage = "x"', "needs enforcement"),
        ('[desk.custom.mine]\nenforcement = "warn"\nexpression = "true"\nmessage = "x"', "needs enforcement"),
        ('[desk.custom.mine]\nenforcement = "off"\nmessage = "x"', "needs expression"),
        ('[desk.custom.mine]\nenforcement = "off"\nexpression = 1\nmessage = "x"', "needs expression"),
        ('[desk.custom.mine]\nenforcement = "off"\nexpression = "true"', "needs message"),
        ('[desk.custom.mine]\nenforcement = "off"\nexpression = "true"\nmessage = " "', "needs message"),
        ('[desk.custom.mine]\nenforcement = "off"\nexpression = "true"\nmessage = "a\\nb"', "needs message"),
        ('[desk.custom.mine]\nenforcement = "off"\nexpresion = "true"', 'did you mean "expression"'),
        ('[desk.custom.Mine]\nenforcement = "off"', "small letter"),
        ('[desk.custom]\nmine = "true"', "must be a table"),
        ("[desk]\ncustom = 1", "must hold tables"),
    ],
)
def test_a_wrong_table_is_refused(table, words):
    with pytest.raises(PolicyError, match=words):
        parse_policy(f'[policy]\nname = "test"\nowner = "risk@desk.example"\n{table}\n')
