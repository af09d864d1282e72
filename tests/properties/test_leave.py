"""What may let a refused order go after all, an override or a smaller size, for every order, world and policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import event, given
from hypothesis import strategies as st

from proxy.store.codec import build_decision, dump, load, plain_decision
from rules.decision import Enforcement, Verdict
from rules.engine import decide, decide_batch
from rules.facts import Override
from rules.model import Command, Intent, OrderType, PlaceOrder
from rules.order.max_order_value import MaxOrderValue
from rules.policy import Policy
from rules.resize import Resize, ResizeMode
from rules.rule import Rule
from tests.properties.rule_strategies import all_rules, entry_rules, rule_lists, sized_rules
from tests.properties.strategies import books, commands, entries, examples, quantities, sides, symbols, worlds
from tests.rules.builders import NOW, World, a_policy

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
NEVER = {"trading_state", "data_freshness", "client_order_id", "unresolved_order", "own_share"}
TRIMMING = (Resize(level="bot:demo-bot", mode=ResizeMode.TRIM),)


def _binding(rule: Rule) -> Rule:
    """The rule enforced, and of the bot that asks where it can be a bot's."""
    try:
        return replace(rule, enforcement=Enforcement.ENFORCE, level="bot:demo-bot")
    except ValueError:
        return replace(rule, enforcement=Enforcement.ENFORCE)


_binding_rules = st.lists(sized_rules.map(_binding), min_size=1, max_size=3, unique_by=lambda rule: rule.rule_id)
strict = st.one_of(_binding_rules, _binding_rules, rule_lists(all_rules))
"""Mostly rules that object to nothing but size."""

scenes = st.one_of(books(), books(), worlds())


@st.composite
def asked_of(draw: st.DrawFn, world: World) -> Command:
    """Mostly an entry, and often a large one."""
    hedged = world.account is not None and world.account.hedged
    if draw(st.integers(0, 4)) == 4:
        return draw(commands(world))
    order = draw(entries(hedged))
    if draw(st.booleans()):
        order = PlaceOrder(
            symbol=order.symbol,
            side=order.side,
            order_type=OrderType.MARKET,
            quantity=order.quantity,
            position_side=order.position_side,
        )
    return replace(order, quantity=order.quantity * draw(st.sampled_from([10, 100, 1])))


@st.composite
def leave(draw: st.DrawFn, command: Command, policy: Policy, world: World) -> tuple[Override, ...]:
    """Overrides that may fit the command: most for the rules that refuse it, some for what none can reach."""
    refused = [breach.rule_id for breach in decide(command, world.snapshot, policy).breaches]
    found = []
    for number, rule_id in enumerate(
        [*refused, *draw(st.lists(st.sampled_from([*sorted(NEVER), *refused]), max_size=4))]
    ):
        fits = isinstance(command, PlaceOrder) and command.quantity is not None and draw(st.integers(0, 9)) < 9
        symbol = command.symbol if fits else draw(symbols)
        found.append(
            Override(
                override_id=f"o{draw(st.integers(0, 9))}{number}",
                rule_id=rule_id,
                bot=draw(st.sampled_from(["demo-bot"] * 9 + ["other-bot"])),
                symbol=symbol,
                side=command.side if fits else draw(sides),
                quantity_max=command.quantity if fits and not draw(st.booleans()) else draw(quantities(symbol)),
                expires_at=NOW + timedelta(seconds=draw(st.sampled_from([3, 2, 1, 0]))),
                ticket="RISK-17",
                requested_by="ann",
                approved_by="ben",
            )
        )
    return tuple(found)


@given(st.data(), scenes, strict)
@examples(120)
def test_an_override_lets_pass_just_what_it_is_for(data, world, rules):
    command = data.draw(asked_of(world))
    policy = a_policy(*rules)
    before = decide(command, world.snapshot, policy)
    given_leave = {each.override_id: each for each in data.draw(leave(command, policy, world))}
    after = decide(command, world.under(*given_leave.values()).snapshot, policy)
    event(f"{before.verdict} then {after.verdict}")
    if not after.overrides:
        assert (after.verdict, after.breaches != ()) == (before.verdict, before.breaches != ())
        assert after.overridden == ()
        return
    assert (before.verdict, after.verdict, after.breaches) == (DENY, ALLOW, ())
    assert [each.code for each in after.overridden] == [each.code for each in before.breaches]
    used = [given_leave[each] for each in after.overrides]
    assert {each.rule_id for each in used} == {each.rule_id for each in after.overridden}
    assert len(used) == len({each.rule_id for each in used})
    assert all(breach.rule_id not in NEVER and breach.code != "RULE_FAILED" for breach in after.overridden)
    for each in used:
        assert (each.bot, each.symbol, each.side) == ("demo-bot", command.symbol, command.side)
        assert command.quantity <= each.quantity_max
        assert each.expires_at > NOW
    rest = [each for each in given_leave.values() if each not in used]
    again = decide(command, world.under(*rest).snapshot, policy)
    assert set(again.overrides).isdisjoint(after.overrides)


@given(st.data(), scenes, strict)
@examples(60)
def test_the_order_of_overrides_does_not_matter(data, world, rules):
    command = data.draw(asked_of(world))
    policy = a_policy(*rules)
    given_leave = data.draw(leave(command, policy, world))
    first = decide(command, world.under(*given_leave).snapshot, policy)
    event("let pass" if first.overrides else str(first.verdict))
    assert decide(command, world.under(*data.draw(st.permutations(given_leave))).snapshot, policy) == first


@given(st.data(), scenes, strict)
@examples(60)
def test_a_batch_uses_no_override_and_sends_nothing_smaller(data, world, rules):
    asked = data.draw(st.lists(asked_of(world), min_size=2, max_size=4))
    policy = a_policy(*rules)
    given_leave = [each for command in asked for each in data.draw(leave(command, policy, world))]
    decisions = decide_batch(asked, world.under(*given_leave).snapshot, replace(policy, resizes=TRIMMING))
    assert decisions == decide_batch(asked, world.snapshot, policy)


@given(st.data(), books(), strict)
@examples(90)
def test_the_headroom_is_exact_under_overrides_too(data, world, rules):
    command = data.draw(asked_of(world))
    policy = a_policy(*rules)
    world = world.under(*data.draw(leave(command, policy, world)))
    decision = decide(command, world.snapshot, policy)
    if decision.headroom is None:
        return
    event("some headroom" if decision.headroom else "no headroom")
    step = world.instruments[command.symbol].step_size
    if decision.headroom > 0:
        assert decide(replace(command, quantity=decision.headroom), world.snapshot, policy).verdict is ALLOW
    for lots in (1, 2, 1000):
        quantity = decision.headroom + lots * step
        if quantity <= command.quantity:
            assert decide(replace(command, quantity=quantity), world.snapshot, policy).verdict is DENY


@given(st.data(), books(), rule_lists(sized_rules.map(_binding), most=1), entry_rules)
@examples(120)
def test_a_trimmed_order_is_the_headroom_and_passes_by_itself(data, world, rules, more):
    command = data.draw(asked_of(world))
    plain = a_policy(MaxOrderValue(limit=Decimal(1000)), *rules)
    before = decide(command, world.snapshot, plain)
    after = decide(command, world.snapshot, replace(plain, resizes=TRIMMING))
    event("trimmed" if after.trimmed_from is not None else str(after.verdict))
    if after.trimmed_from is None:
        assert after == before
        return
    assert isinstance(command, PlaceOrder)
    assert (before.verdict, after.verdict, after.intent) == (DENY, ALLOW, Intent.ENTRY)
    assert (after.trimmed_from, after.trimmed_by) == (command.quantity, before.breaches)
    assert after.effective == replace(command, quantity=before.headroom)
    assert 0 < before.headroom < command.quantity
    alone = decide(after.effective, world.snapshot, plain)
    assert replace(after, trimmed_from=None, trimmed_by=()) == alone
    stricter = decide(command, world.snapshot, replace(plain, rules=(*plain.rules, more), resizes=TRIMMING))
    if stricter.verdict is ALLOW and more.enforcement is not Enforcement.OFF:
        assert stricter.effective.quantity <= after.effective.quantity


@given(st.data(), scenes, strict)
@examples(60)
def test_what_let_an_order_go_survives_the_archive(data, world, rules):
    command = data.draw(asked_of(world))
    policy = replace(a_policy(*rules), resizes=TRIMMING)
    world = world.under(*data.draw(leave(command, a_policy(*rules), world)))
    decision = decide(command, world.snapshot, policy)
    event("trimmed" if decision.trimmed_from else "let pass" if decision.overrides else str(decision.verdict))
    assert build_decision(load(dump(plain_decision(decision)))) == decision
