"""What may let a refused order go after all, an override or a smaller size, for every order, world and policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, event, given
from hypothesis import strategies as st

from proxy.store.codec import build_decision, dump, load, plain_decision
from rules.decision import Enforcement, Verdict
from rules.engine import decide, decide_batch
from rules.facts import Override
from rules.model import Intent, PlaceOrder
from rules.resize import Resize, ResizeMode
from tests.properties.strategies import (
    all_rules,
    books,
    commands,
    entries,
    entry_rules,
    examples,
    quantities,
    rule_lists,
    sides,
    sized_rules,
    symbols,
    worlds,
)
from tests.rules.builders import NOW, a_policy

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
NEVER = {"trading_state", "data_freshness", "client_order_id", "unresolved_order", "own_share"}
TRIMMING = (Resize(level="bot:demo-bot", mode=ResizeMode.TRIM),)


@st.composite
def overrides(draw: st.DrawFn, rule_ids: st.SearchStrategy[str]) -> Override:
    symbol = draw(symbols)
    return Override(
        override_id=draw(st.sampled_from(["o1", "o2", "o3", "o4"])),
        rule_id=draw(rule_ids),
        bot=draw(st.sampled_from(["demo-bot", "demo-bot", "other-bot"])),
        symbol=symbol,
        side=draw(sides),
        quantity_max=draw(quantities(symbol)),
        expires_at=NOW + timedelta(seconds=draw(st.integers(-1, 3))),
        ticket="RISK-17",
        requested_by="ann",
        approved_by="ben",
    )


@st.composite
def leave(draw, rules):
    """Overrides for the rules at hand, and now and then for what none can reach."""
    ids = st.sampled_from([*sorted(NEVER), *(rule.rule_id for rule in rules), *(rule.rule_id for rule in rules)])
    return tuple(draw(st.lists(overrides(ids), max_size=6, unique_by=lambda each: each.override_id)))


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(120)
def test_an_override_lets_pass_just_what_it_is_for(data, world, rules):
    command = data.draw(commands(world))
    policy = a_policy(*rules)
    before = decide(command, world.snapshot, policy)
    given_leave = {each.override_id: each for each in data.draw(leave(rules))}
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


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(60)
def test_the_order_of_overrides_does_not_matter(data, world, rules):
    command = data.draw(commands(world))
    given_leave = data.draw(leave(rules))
    first = decide(command, world.under(*given_leave).snapshot, a_policy(*rules))
    second = decide(command, world.under(*data.draw(st.permutations(given_leave))).snapshot, a_policy(*rules))
    assert first == second


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(60)
def test_a_batch_uses_no_override_and_sends_nothing_smaller(data, world, rules):
    asked = data.draw(st.lists(commands(world), min_size=2, max_size=4))
    policy = a_policy(*rules)
    decisions = decide_batch(asked, world.under(*data.draw(leave(rules))).snapshot, replace(policy, resizes=TRIMMING))
    assert decisions == decide_batch(asked, world.snapshot, policy)


@given(st.data(), books(), rule_lists(sized_rules))
@examples(90)
def test_the_headroom_is_exact_under_overrides_too(data, world, rules):
    assume(rules)
    command = data.draw(entries(world.account.hedged))
    world = world.under(*data.draw(leave(rules)))
    policy = a_policy(*rules)
    decision = decide(command, world.snapshot, policy)
    assume(decision.headroom is not None)
    event("some headroom" if decision.headroom else "no headroom")
    step = world.instruments[command.symbol].step_size
    if decision.headroom > 0:
        assert decide(replace(command, quantity=decision.headroom), world.snapshot, policy).verdict is ALLOW
    for lots in (1, 2, 1000):
        quantity = decision.headroom + lots * step
        if quantity <= command.quantity:
            assert decide(replace(command, quantity=quantity), world.snapshot, policy).verdict is DENY


@given(st.data(), worlds(), rule_lists(all_rules), entry_rules)
@examples(120)
def test_a_trimmed_order_is_the_headroom_and_passes_by_itself(data, world, rules, more):
    command = data.draw(commands(world))
    plain = a_policy(*rules)
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
    stricter = decide(command, world.snapshot, replace(a_policy(*rules, more), resizes=TRIMMING))
    if stricter.verdict is ALLOW and more.enforcement is not Enforcement.OFF:
        assert stricter.effective.quantity <= after.effective.quantity


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(60)
def test_what_let_an_order_go_survives_the_archive(data, world, rules):
    command = data.draw(entries(world.account is not None and world.account.hedged))
    world = world.under(*data.draw(leave(rules)))
    decision = decide(command, world.snapshot, replace(a_policy(*rules), resizes=TRIMMING))
    assert build_decision(load(dump(plain_decision(decision)))) == decision
