"""What is worked out once and kept with the account never outlives what it was worked out from."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from rules.engine import decide
from rules.snapshot import Snapshot
from tests.properties.rule_strategies import all_rules, rule_lists
from tests.properties.strategies import books, commands, examples, prices, symbols, worlds
from tests.rules.builders import a_policy


def afresh(snapshot: Snapshot) -> Snapshot:
    """The same picture of which nothing was worked out yet."""
    account = snapshot.account
    return replace(snapshot, account=replace(account) if account is not None else None)


@given(st.data(), st.one_of(books(), worlds()), rule_lists(all_rules))
@examples(120)
def test_an_order_is_judged_as_if_it_were_the_first(data, world, rules):
    """Whatever was judged on this account before: other orders, other prices, other listings, other bots' holds."""
    policy = a_policy(*rules)
    for _ in range(3):
        command = data.draw(commands(world))
        assert decide(command, world.snapshot, policy) == decide(command, afresh(world.snapshot), policy)
        symbol = data.draw(symbols)
        change = data.draw(st.sampled_from(["price", "listing", "unmarked", "bot", "hold"]))
        event(change)
        match change:
            case "price":
                world = world.marked(symbol, str(data.draw(prices(symbol, band_percent=5))))
            case "listing":
                world = world.listing(symbol, tiers=())
            case "unmarked":
                world = world.unmarked(symbol)
            case "hold" if world.account is not None:
                order = data.draw(commands(world))
                if getattr(order, "quantity", None) is not None and hasattr(order, "reduce_only"):
                    world = world.holding(replace(order, reduce_only=None)) if _adds(order) else world
            case _:
                snapshot = replace(world.snapshot, bot="other-bot")
                assert decide(command, snapshot, policy) == decide(command, afresh(snapshot), policy)


def _adds(order) -> bool:
    return not order.close_position and order.position_side.value == "BOTH" and order.reduce_only is not True


@given(st.data(), books(), rule_lists(all_rules))
@examples(60)
def test_deciding_again_on_one_snapshot_decides_the_same(data, world, rules):
    policy, snapshot = a_policy(*rules), world.snapshot
    first, other = data.draw(commands(world)), data.draw(commands(world))
    before = decide(first, snapshot, policy)
    decide(other, snapshot, policy)
    assert decide(first, snapshot, policy) == before == decide(first, afresh(snapshot), policy)
