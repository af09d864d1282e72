"""Whatever `policy diff` does not call loosened lets nothing through that was refused before."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import event, given
from hypothesis import strategies as st

from proxy.policy.comparing import Direction, compare, compare_rules, loosened
from proxy.policy.fields import fields_of
from rules.catalog import GATES
from rules.decision import Decision, Enforcement, Verdict
from rules.engine import decide, decide_batch
from rules.model import Command
from rules.order.duplicate_order import DuplicateOrder
from rules.order.max_order_value import MaxOrderValue
from rules.policy import Policy
from rules.rule import Rule
from tests.properties.rule_strategies import all_rules, enforced, entry_rules, rule_lists, rules_of, tightened
from tests.properties.strategies import books, commands, entries, examples, worlds
from tests.properties.test_leave import TRIMMING, asked_of
from tests.rules.builders import World, a_buy, a_policy, an_account

_resizes = st.sampled_from([(), TRIMMING])


def allowed(decision: Decision) -> bool:
    return decision.verdict is Verdict.ALLOW


def compared(old, new):
    return compare(a_policy(*old), a_policy(*new))


@st.composite
def _moved(draw, rule: Rule) -> Rule:
    """The rule with settings of another one of its kind, those that the comparison does not call looser."""
    other = draw(rules_of(type(rule)))
    for name in fields_of(type(rule)):
        if name == "enforcement" and type(rule) in GATES:
            continue
        try:
            moved = replace(rule, **{name: getattr(other, name)})
        except (ValueError, ArithmeticError):
            continue  # Two settings that contradict each other.
        if not loosened(compared([rule], [moved])):
            rule = moved
    return rule


def _added(rule: Rule) -> st.SearchStrategy[list[Rule]]:
    """The rule and another one."""
    return all_rules.filter(lambda other: (other.rule_id, other.level) != (rule.rule_id, rule.level)).map(
        lambda other: [rule, other]
    )


@st.composite
def _successors(draw, rules: list[Rule]) -> list[Rule]:
    """A policy after ``rules``: some moved, some switched off or gone, some new."""
    kept = []
    for rule in rules:
        match draw(st.integers(0, 7)):
            case 0 if type(rule) not in GATES:
                kept.append(replace(rule, enforcement=draw(st.sampled_from(Enforcement))))
            case 1:
                pass
            case 2 | 3:
                kept.append(rule)
            case _:
                kept.append(draw(_moved(rule)))
    places = {(rule.rule_id, rule.level) for rule in kept}
    more = draw(rule_lists(all_rules, most=2))
    return [*kept, *(rule for rule in more if (rule.rule_id, rule.level) not in places)]


@given(st.data(), worlds(), rule_lists(all_rules, most=4))
@examples(200)
def test_what_loosens_nothing_allows_nothing_more(data, world, old):
    was = replace(a_policy(*old), resizes=data.draw(_resizes))
    now = replace(a_policy(*data.draw(_successors(old))), resizes=data.draw(_resizes))
    if loosened(compare(was, now)):
        event("loosened")
        return
    lets_no_more(data.draw(commands(world)), world, was, now)


def lets_no_more(command: Command, world: World, was: Policy, now: Policy) -> None:
    before, after = decide(command, world.snapshot, was), decide(command, world.snapshot, now)
    event(f"tightened: {before.verdict} then {after.verdict}{' smaller' if after.trimmed_from is not None else ''}")
    if after.trimmed_from is not None:
        # A tighter limit may name a size that other rules let through, such as one that is no repetition any more.
        before = decide(after.effective, world.snapshot, was)
    assert allowed(before) or not allowed(after)


def test_an_order_sized_down_further_may_pass_what_refused_it_larger():
    """Why that is said of bots that are not sized down: the size named before is one the bot has just sent."""

    def under(limit: int) -> Policy:
        rules = (MaxOrderValue(limit=Decimal(limit)), DuplicateOrder(window_s=60))
        return replace(a_policy(*rules), resizes=TRIMMING)

    assert loosened(compare(under(25_000), under(20_000))) == ()
    world = an_account().having_tried(a_buy("BTCUSDT", "0.5"), seconds_ago=5)
    before, after = (decide(a_buy("BTCUSDT", "1"), world.snapshot, under(limit)) for limit in (25_000, 20_000))
    assert (before.verdict, after.verdict, after.effective.quantity) == (Verdict.DENY, Verdict.ALLOW, Decimal("0.4"))


@given(st.data(), books(), all_rules.map(enforced))
@examples(700)
def test_one_rule_that_is_not_loosened_lets_no_more_into_a_healthy_book(data, world, rule):
    """Here it is the rule that decides, so that a direction read the wrong way round is found."""
    new = data.draw(st.one_of(st.just([]), _moved(rule).map(lambda moved: [moved]), _added(rule)))
    if loosened(compared([rule], new)):
        event("loosened")
        return
    lets_no_more(data.draw(entries(world.account.hedged)), world, a_policy(rule), a_policy(*new))


@given(st.data(), books(), entry_rules, st.sampled_from([1000, 800, 500]))
@examples(200)
def test_what_loosens_nothing_sends_no_more_of_what_is_sized_down(data, world, rule, limit):
    value = MaxOrderValue(limit=Decimal(1000), level="bot:demo-bot")
    old, new = [value, rule], [replace(value, limit=Decimal(limit)), data.draw(_moved(rule))]
    was, now = (replace(a_policy(*rules), resizes=TRIMMING) for rules in (old, new))
    lets_no_more(data.draw(asked_of(world)), world, was, now)


@given(st.data(), worlds(), rule_lists(all_rules, most=3))
@examples(100)
def test_what_loosens_nothing_allows_no_batch_more(data, world, old):
    new = data.draw(_successors(old))
    if loosened(compared(old, new)):
        return
    batch = data.draw(st.lists(commands(world), min_size=2, max_size=3))
    before = decide_batch(batch, world.snapshot, a_policy(*old))
    after = decide_batch(batch, world.snapshot, a_policy(*new))
    assert all(map(allowed, before)) or not all(map(allowed, after))


@given(tightened())
@examples(300)
def test_a_tighter_setting_is_called_tightened_and_the_way_back_loosened(pair):
    loose, tight = pair
    if loose.enforcement is Enforcement.OFF or tight.enforcement is not loose.enforcement:
        return
    assert {change.direction for change in compare_rules(loose, tight)} <= {Direction.TIGHTENED}
    assert {change.direction for change in compare_rules(tight, loose)} <= {Direction.LOOSENED}


@given(st.data(), rule_lists(all_rules))
@examples(100)
def test_the_same_rules_in_another_order_are_no_change(data, rules):
    assert compared(rules, data.draw(st.permutations(rules))) == ()


@given(st.data(), rule_lists(all_rules, most=3), rule_lists(all_rules, most=3))
@examples(150)
def test_whatever_differs_is_told_and_the_way_back_of_a_loosening_is_told_too(data, old, new):
    forth, back = compared(old, new), compared(new, old)
    assert {(each.level, each.rule_id, each.setting) for each in forth} == {
        (each.level, each.rule_id, each.setting) for each in back
    }
    directed = [each for each in forth if each.direction is Direction.TIGHTENED and each.setting != "enforcement"]
    for change in directed:
        (other,) = (
            each
            for each in back
            if (each.level, each.rule_id, each.setting) == (change.level, change.rule_id, change.setting)
        )
        assert other.direction is not Direction.TIGHTENED
