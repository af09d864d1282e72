"""After a re-arm limits of size shrink and grow back; nothing gets looser by it."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalog import CATALOG
from rules.decision import Verdict
from rules.engine import decide
from rules.model import Command
from rules.order.max_order_value import MaxOrderValue
from rules.order.max_order_volume import MaxOrderVolume
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.ramp import RAMPED, ramped
from rules.rule import Looser, Rule
from tests.properties.rule_strategies import an_example, rules_of, settings_of
from tests.properties.strategies import books, commands, examples
from tests.rules.builders import World, a_buy, a_cancel, a_policy, a_sell, an_account

QUARTER = Decimal("0.25")
WAYS_OUT = (a_sell("BTCUSDT", "1", "50000", reduce_only=True), a_cancel("BTCUSDT"))


def at_ramp(world: World, share: Decimal) -> World:
    return replace(world, controls=replace(world.controls, ramp=share))


@pytest.mark.parametrize("rule", RAMPED, ids=lambda rule: rule.rule_id)
def test_every_limit_that_shrinks_is_looser_when_higher(rule: type[Rule]):
    known = settings_of(rule)
    assert rule in CATALOG.values()
    assert set(RAMPED[rule]) <= {field.name for field in fields(rule)}
    # Of a table of limits each entry is compared; the table as a whole has no direction.
    assert all(known[name][1].looser is Looser.HIGHER or name == "cluster_limits" for name in RAMPED[rule])


def test_a_rule_has_a_share_of_its_limits_and_keeps_the_rest():
    rule = MaxOrderValue(limit=Decimal(1000), level="bot:grid")
    assert ramped(rule, QUARTER) == MaxOrderValue(limit=Decimal(250), level="bot:grid")
    clusters = CorrelatedExposure(clusters={"a": ("BTCUSDT",)}, cluster_limits={"a": Decimal(100)})
    assert ramped(clusters, QUARTER).cluster_limits == {"a": Decimal(25)}


def test_a_rule_without_limits_of_size_stays_what_it_is():
    for rule in a_policy().rules:
        if type(rule) not in RAMPED:
            assert ramped(rule, QUARTER) is rule


def test_an_order_at_the_ramped_limit_passes_and_one_lot_more_does_not():
    policy = a_policy(MaxOrderValue(limit=Decimal(40_000)))
    world = at_ramp(an_account(), QUARTER)
    assert decide(a_buy("BTCUSDT", "0.2"), world.snapshot, policy).verdict is Verdict.ALLOW
    refused = decide(a_buy("BTCUSDT", "0.201"), world.snapshot, policy)
    assert refused.verdict is Verdict.DENY
    assert refused.headroom == Decimal("0.2")
    assert refused.breaches[0].limit == "10000.00"
    assert "limits of size are at 25 % after a re-arm, and growing" in refused.advice


@pytest.mark.parametrize("rule", RAMPED, ids=lambda rule: rule.rule_id)
@pytest.mark.parametrize("command", WAYS_OUT, ids=["exit", "cancel"])
def test_with_nothing_left_of_a_limit_no_entry_passes_and_what_reduces_does(rule: type[Rule], command: Command):
    example = an_example(rule)
    assert example is not None
    policy = a_policy(replace(example, level="bot:demo-bot"))  # Where every rule may stand.
    snapshot = at_ramp(an_account().long("BTCUSDT", "1"), Decimal(0)).snapshot
    assert decide(command, snapshot, policy).verdict is Verdict.ALLOW
    assert decide(a_buy("BTCUSDT", "0.001"), snapshot, policy).verdict is Verdict.DENY


@pytest.mark.parametrize("command", WAYS_OUT, ids=["exit", "cancel"])
def test_a_rule_that_a_share_of_its_limits_breaks_refuses_entries_only(command: Command):
    class Brittle(MaxOrderVolume):
        __slots__ = ()

        def __post_init__(self) -> None:
            if self.limit_quantity is not None and self.limit_quantity < 1:
                raise ValueError("needs a whole coin")

    # A rule of this kind that a package brings is not among those that grow back; one of the guard's own could be.
    policy = a_policy(Brittle(limit_quantity=Decimal(1)))
    world = at_ramp(an_account().long("BTCUSDT", "1"), QUARTER)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("rules.ramp.RAMPED", {Brittle: ("limit_quantity",)})
        assert decide(command, world.snapshot, policy).verdict is Verdict.ALLOW
        refused = decide(a_buy("BTCUSDT", "0.001"), world.snapshot, policy)
    assert (refused.verdict, refused.breaches[0].code) == (Verdict.DENY, "RULE_FAILED")


def test_whole_limits_are_not_spoken_of():
    policy = a_policy(MaxOrderValue(limit=Decimal(40_000)))
    assert decide(a_buy("BTCUSDT", "0.8"), an_account().snapshot, policy).verdict is Verdict.ALLOW
    assert decide(a_buy("BTCUSDT", "0.801"), an_account().snapshot, policy).advice == ()


@given(st.data(), books(), st.sampled_from(list(RAMPED)), st.integers(0, 100), st.integers(0, 100))
@examples(150)
def test_a_smaller_share_never_allows_more(data, world, rule, one, other):
    """Also of settings: what passes with less of the limits passes with more of them."""
    policy = a_policy(data.draw(rules_of(rule)))
    command = data.draw(commands(world))
    less, more = sorted((Decimal(one) / 100, Decimal(other) / 100))
    if decide(command, at_ramp(world, less).snapshot, policy).verdict is Verdict.ALLOW:
        assert decide(command, at_ramp(world, more).snapshot, policy).verdict is Verdict.ALLOW
