"""What holds for every command, every world and every policy."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_UP, Context, Decimal, Inexact, getcontext, localcontext

from hypothesis import assume, event, given
from hypothesis import strategies as st

from proxy.store.codec import (
    build_command,
    build_decision,
    build_snapshot,
    dump,
    load,
    plain_command,
    plain_decision,
    plain_snapshot,
)
from rules.decision import Decision, Verdict
from rules.engine import clear, decide, decide_batch
from rules.exposure import held_order
from rules.fresh import WithoutFacts
from rules.intent import intent_of
from rules.market.liquidation_forecast import LiquidationForecast
from rules.market.slippage_forecast import SlippageForecast
from rules.model import AmendOrder, Intent, PlaceOrder
from rules.ramp import ramped
from tests.properties.rule_strategies import (
    all_rules,
    enforced,
    entry_rules,
    exit_collars,
    rule_lists,
    sized_rules,
    tightened,
)
from tests.properties.strategies import amends, books, cancels, commands, entries, examples, exits, worlds
from tests.rules.builders import World, a_policy

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY


def allowed(decision: Decision) -> bool:
    return decision.verdict is ALLOW


@given(st.data(), worlds(), rule_lists(entry_rules))
@examples(120)
def test_exits_stay_open(data, world, rules):
    hedged = world.account is not None and world.account.hedged
    command = data.draw(exits(hedged) | cancels)
    assert allowed(decide(command, world.snapshot, a_policy(*rules)))


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(60)
def test_market_exits_stay_open_whatever_the_exit_collar_says(data, world, rules):
    hedged = world.account is not None and world.account.hedged
    command = data.draw(exits(hedged))
    assume(command.price is None)
    assert allowed(decide(command, world.snapshot, a_policy(*rules)))


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(60)
def test_while_a_kill_runs_only_cancels_pass(data, world, rules):
    command = data.draw(commands(world))
    decision = decide(command, world.being_killed().snapshot, a_policy(*rules))
    assert allowed(decision) is (decision.intent is Intent.CANCEL)


@given(st.data(), worlds(), rule_lists(all_rules), entry_rules | exit_collars)
@examples(90)
def test_adding_a_rule_never_turns_deny_into_allow(data, world, rules, more):
    """Of the catalog, only a forced flag may: what it lets go is another order, a guaranteed exit."""
    command = data.draw(commands(world))
    before = decide(command, world.snapshot, a_policy(*rules))
    after = decide(command, world.snapshot, a_policy(*rules, more))
    event(f"{before.verdict} then {after.verdict}")
    assert allowed(before) or not allowed(after)


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(90)
def test_no_order_of_anything_matters(data, world, rules):
    command = data.draw(commands(world))
    shuffled = data.draw(_shuffled(world))
    again = data.draw(st.permutations(rules))
    first = decide(command, world.snapshot, a_policy(*rules))
    second = decide(command, shuffled.snapshot, a_policy(*again))
    assert _outline(first) == _outline(second)


@st.composite
def _shuffled(draw, world):
    def mapping(entries):
        return dict(draw(st.permutations(list(entries.items()))))

    account = world.account
    if account is not None:
        account = replace(
            account,
            positions=tuple(draw(st.permutations(account.positions))),
            open_orders=tuple(draw(st.permutations(account.open_orders))),
        )
    return replace(
        world,
        account=account,
        holds=tuple(draw(st.permutations(world.holds))),
        unreported=tuple(draw(st.permutations(world.unreported))),
        markets=mapping(world.markets),
        instruments=mapping(world.instruments),
        tokens=mapping(world.tokens),
    )


def _outline(decision: Decision) -> tuple:
    def reasons(breaches):
        return sorted((each.rule_id, each.code, each.level, each.limit, str(each.headroom)) for each in breaches)

    return (
        decision.verdict,
        decision.intent,
        decision.effective,
        decision.headroom,
        reasons(decision.breaches),
        reasons(decision.would_deny),
    )


_FOREIGN = [
    Context(prec=5, rounding=ROUND_UP),
    Context(prec=28, rounding=ROUND_DOWN, capitals=0),
    Context(prec=50, rounding=ROUND_CEILING, traps=[Inexact]),
]


@given(st.data(), books(), rule_lists(sized_rules.map(enforced), most=8), st.sampled_from(_FOREIGN))
@examples(120)
def test_what_a_library_did_to_the_arithmetic_of_the_process_changes_no_decision(data, world, rules, foreign):
    asked = data.draw(st.lists(entries(world.account.hedged) | amends(world), min_size=1, max_size=2))
    policy, picture, same_picture = a_policy(*rules), world.snapshot, _anew(world).snapshot
    usual = decide_batch(asked, picture, policy)
    with localcontext(foreign):
        assert decide_batch(asked, same_picture, policy) == usual
        assert getcontext().prec == foreign.prec


def _anew(world):
    """The same world, with nothing worked out yet."""
    snapshot = build_snapshot(load(dump(plain_snapshot(world.snapshot))))
    return replace(world, account=snapshot.account, markets=snapshot.markets, conditions=snapshot.conditions)


def _step(command: PlaceOrder | AmendOrder, world: World) -> Decimal:
    return world.instruments[command.symbol].step_size


@given(st.data(), books(), rule_lists(entry_rules))
@examples(120)
def test_the_headroom_is_exact(data, world, rules):
    hedged = world.account.hedged
    command = data.draw(entries(hedged) | amends(world))
    policy = a_policy(*rules)
    decision = decide(command, world.snapshot, policy)
    assume(decision.headroom is not None)
    event("some headroom" if decision.headroom else "no headroom")
    assert 0 <= decision.headroom <= command.quantity
    if decision.headroom > 0:
        assert allowed(decide(replace(command, quantity=decision.headroom), world.snapshot, policy))
    larger = decision.headroom + _step(command, world)
    for lots in (0, 1, 7, 1000):
        quantity = larger + lots * _step(command, world)
        if quantity <= command.quantity:
            assert not allowed(decide(replace(command, quantity=quantity), world.snapshot, policy))


@given(st.data(), books(), rule_lists(sized_rules, most=1))
@examples(70)
def test_the_headroom_of_a_breach_is_exact_for_its_rule(data, world, rules):
    command = data.draw(entries(world.account.hedged))
    # While limits grow back after a re-arm, what is in force is a part of the rule.
    ramp = world.snapshot.controls.ramp
    for breach in decide(command, world.snapshot, a_policy(*rules)).breaches:
        rule = ramped(rules[0], ramp)
        assert breach.headroom is not None
        if breach.headroom > 0:
            assert rule.check(replace(command, quantity=breach.headroom), world.snapshot) is None
        above = replace(command, quantity=breach.headroom + _step(command, world))
        assert rule.check(above, world.snapshot) is not None


@given(st.data(), books(), sized_rules)
@examples(120)
def test_a_larger_quantity_never_passes_where_a_smaller_one_fails(data, world, rule):
    command = data.draw(entries(world.account.hedged) | amends(world))
    larger = replace(command, quantity=command.quantity * data.draw(st.integers(2, 20)))
    assert rule.check(command, world.snapshot) is None or rule.check(larger, world.snapshot) is not None


@given(st.data(), worlds(), rule_lists(entry_rules))
@examples(70)
def test_a_batch_is_never_looser_than_its_parts(data, world, rules):
    """What a batch lets go also goes alone, and one after another with each earlier entry held."""
    hedged = world.account is not None and world.account.hedged
    asked = data.draw(st.lists(st.one_of(entries(hedged), amends(world), exits(hedged), cancels), max_size=5))
    policy = a_policy(*rules)
    running = world
    for command, decision in zip(asked, decide_batch(asked, world.snapshot, policy), strict=True):
        if not allowed(decision):
            continue
        assert allowed(decide(command, world.snapshot, policy))
        assert allowed(decide(command, running.snapshot, policy))
        if decision.intent is Intent.ENTRY and held_order(command, running.snapshot) is not None:
            running = running.holding(command)


@given(st.data(), books(), rule_lists(entry_rules))
@examples(60)
def test_the_entries_of_a_batch_stand_or_fall_together(data, world, rules):
    hedged = world.account.hedged
    asked = data.draw(st.lists(entries(hedged) | exits(hedged), min_size=2, max_size=4))
    decisions = decide_batch(asked, world.snapshot, a_policy(*rules))
    verdicts = {decision.verdict for decision in decisions if decision.intent is Intent.ENTRY}
    assert len(verdicts) <= 1


@given(st.data(), books(), rule_lists(entry_rules), entries())
@examples(70)
def test_someone_else_s_hold_never_makes_room(data, world, rules, other):
    command = data.draw(commands(world))
    before = decide(command, world.snapshot, a_policy(*rules))
    after = decide(command, world.holding(other).snapshot, a_policy(*rules))
    assert allowed(before) or not allowed(after)


FORECASTING = [
    kind(probability_max=Decimal("0.1"), when_stale=when)
    for kind in (LiquidationForecast, SlippageForecast)
    for when in WithoutFacts
]


@given(st.data(), worlds(), st.sampled_from(FORECASTING))
@examples(120)
def test_a_forecast_that_is_marked_unreliable_never_allows_more(data, world, rule):
    assume(world.record is not None and world.record.forecasts)
    command = data.draw(commands(world))
    held, broken = (
        replace(world.record, forecasts=tuple(replace(each, reliable=reliable) for each in world.record.forecasts))
        for reliable in (True, False)
    )
    before, after = (
        decide(command, replace(world, record=record).snapshot, a_policy(rule)) for record in (held, broken)
    )
    event(f"{before.verdict.value} {after.verdict.value}")
    assert allowed(before) or not allowed(after)


@given(st.data(), worlds(), tightened())
@examples(120)
def test_tightening_a_limit_never_allows_more(data, world, pair):
    loose, tight = pair
    command = data.draw(commands(world))
    before = decide(command, world.snapshot, a_policy(loose))
    after = decide(command, world.snapshot, a_policy(tight))
    assert allowed(before) or not allowed(after)


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(120)
def test_decide_never_raises_and_only_what_is_allowed_is_cleared(data, world, rules):
    command = data.draw(commands(world))
    decision = decide(command, world.snapshot, a_policy(*rules))
    assert allowed(decision) is (decision.breaches == ())
    if allowed(decision):
        assert clear(decision).command == decision.effective


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(70)
def test_an_effective_command_is_the_bot_s_own_but_for_the_flag(data, world, rules):
    command = data.draw(commands(world))
    effective = decide(command, world.snapshot, a_policy(*rules)).effective
    if effective != command:
        assert effective == replace(command, reduce_only=True)
        assert intent_of(effective, world.snapshot) is Intent.EXIT


@given(st.data(), worlds())
@examples(70)
def test_every_command_survives_the_archive(data, world):
    command = data.draw(commands(world))
    assert build_command(load(dump(plain_command(command)))) == command


@given(worlds())
@examples(60)
def test_every_snapshot_survives_the_archive(world):
    assert build_snapshot(load(dump(plain_snapshot(world.snapshot)))) == world.snapshot


@given(st.data(), worlds(), rule_lists(all_rules))
@examples(70)
def test_a_replay_decides_the_same_from_the_archive_s_bytes(data, world, rules):
    asked = data.draw(st.lists(commands(world), min_size=1, max_size=3))
    policy = a_policy(*rules)
    decisions = decide_batch(asked, world.snapshot, policy)
    archived = load(
        dump(
            {
                "snapshot": plain_snapshot(world.snapshot),
                "commands": [plain_command(command) for command in asked],
                "decisions": [plain_decision(decision) for decision in decisions],
            }
        )
    )
    again = decide_batch(
        [build_command(each) for each in archived["commands"]], build_snapshot(archived["snapshot"]), policy
    )
    assert again == tuple(build_decision(each) for each in archived["decisions"]) == decisions
