"""A refused intent, sent again in pieces, is still the same intent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.attempts import refused_at_size
from rules.decision import Enforcement, Verdict
from rules.engine import decide_batch
from rules.flow.anti_slicing import AntiSlicing
from rules.model import Side
from rules.order.max_order_volume import MaxOrderVolume
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from tests.rules.builders import (
    NOW,
    a_buy,
    a_cancel,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

RULE = AntiSlicing(window_s=60)
REFUSED = an_account().having_tried(a_buy("BTCUSDT", "10"), seconds_ago=30, refused_at_size="4")


def code(world, command, rule=RULE):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


def test_what_nobody_refused_is_nobody_s_slice():
    assert code(an_account(), a_buy("BTCUSDT", "100")) is None


def test_the_size_named_passes_and_one_lot_more_does_not():
    assert code(REFUSED, a_buy("BTCUSDT", "4")) is None
    assert code(REFUSED, a_buy("BTCUSDT", "4.001")) == "SLICES_ABOVE_REFUSED_SIZE"


def test_the_pieces_count_together():
    world = REFUSED.having_tried(a_buy("BTCUSDT", "3"), seconds_ago=20)
    assert code(world, a_buy("BTCUSDT", "1")) is None
    assert code(world, a_buy("BTCUSDT", "1.001")) == "SLICES_ABOVE_REFUSED_SIZE"
    assert judged(a_buy("BTCUSDT", "3"), world, RULE).headroom == Decimal(1)


def test_what_was_sent_of_an_intent_that_was_sized_down_has_used_its_size_up():
    world = an_account().having_tried(a_buy("BTCUSDT", "10"), seconds_ago=30, sized_down_to="4")
    breach = RULE.check(a_buy("BTCUSDT", "0.001"), world.snapshot)
    assert (breach.observed, breach.limit) == ("4.001", "4")
    assert code(world, a_sell("BTCUSDT", "10")) is None


def test_of_an_intent_that_was_sized_down_what_was_sent_counts_as_a_piece():
    world = REFUSED.having_tried(a_buy("BTCUSDT", "3"), seconds_ago=20, sized_down_to="1")
    breach = RULE.check(a_buy("BTCUSDT", "4"), world.snapshot)
    assert (breach.observed, breach.limit) == ("5", "1")
    larger = an_account().having_tried(a_buy("BTCUSDT", "10"), seconds_ago=30, refused_at_size="1.5")
    world = larger.having_tried(a_buy("BTCUSDT", "9"), seconds_ago=20, sized_down_to="1")
    assert RULE.check(a_buy("BTCUSDT", "2"), world.snapshot).observed == "3"


def test_what_is_told_is_the_sum_and_the_size_named():
    breach = RULE.check(a_buy("BTCUSDT", "3"), REFUSED.having_tried(a_buy("BTCUSDT", "3")).snapshot)
    assert (breach.observed, breach.limit) == ("6", "4")
    assert breach.message == (
        "BUY BTCUSDT was refused above 4 less than 60 s ago; with what was allowed since it would come to 6"
    )
    assert breach.advice == "wait 60 s after the refusal, or stay within the size it named"


def test_what_was_sent_before_the_refusal_is_no_piece_of_it():
    world = an_account().having_tried(a_buy("BTCUSDT", "3")).having_tried(a_buy("BTCUSDT", "10"), refused_at_size="4")
    assert code(world, a_buy("BTCUSDT", "4")) is None


def test_a_piece_that_was_refused_does_not_count():
    world = REFUSED.having_tried(a_buy("BTCUSDT", "3"), refused=True)
    assert code(world, a_buy("BTCUSDT", "4")) is None


def test_the_refusal_is_remembered_for_the_whole_window():
    order = a_buy("BTCUSDT", "10")
    at_the_edge = an_account().having_tried(order, seconds_ago=60, refused_at_size="4")
    assert code(at_the_edge, a_buy("BTCUSDT", "5")) == "SLICES_ABOVE_REFUSED_SIZE"
    assert (
        code(an_account().having_tried(order, seconds_ago=60.001, refused_at_size="4"), a_buy("BTCUSDT", "5")) is None
    )


@pytest.mark.parametrize("other", [a_sell("BTCUSDT", "9"), a_buy("ETHUSDT", "9")], ids=["side", "symbol"])
def test_each_symbol_and_side_is_an_intent_of_its_own(other):
    assert code(REFUSED, other) is None
    assert code(REFUSED.having_tried(other), a_buy("BTCUSDT", "4")) is None


@pytest.mark.parametrize("size", ["0", None], ids=["none", "not for its size"])
def test_a_refusal_that_named_no_size_asks_for_nothing(size):
    world = an_account().having_tried(a_buy("BTCUSDT", "10"), refused=True, refused_at_size=size)
    assert code(world, a_buy("BTCUSDT", "9")) is None


FORCE = ReduceOnlyExits(mode=ExitMode.FORCE)
LONG = an_account().long("BTCUSDT", "2")


def after_refusal(command, world, *rules):
    """The world in which the bot was refused ``command``, as the gate remembers it."""
    size = refused_at_size(judged(command, world, *rules))
    return world.having_tried(command, refused=True, refused_at_size=None if size is None else str(size))


def test_the_way_out_of_a_position_is_not_the_size_of_the_entry_behind_it():
    """What the refusal advises must pass: close 2 with reduceOnly, then open 3 with a second order."""
    assert judged(a_sell("BTCUSDT", "5"), LONG, FORCE).headroom == 2
    world = after_refusal(a_sell("BTCUSDT", "5"), LONG, FORCE)
    assert code(world, a_sell("BTCUSDT", "3")) is None


def test_what_another_rule_named_beside_a_flip_is_remembered():
    limit = MaxOrderVolume(limit_quantity=Decimal(4))
    world = after_refusal(a_sell("BTCUSDT", "5"), LONG, FORCE, limit)
    assert code(world, a_sell("BTCUSDT", "4")) is None
    assert code(world, a_sell("BTCUSDT", "4.001")) == "SLICES_ABOVE_REFUSED_SIZE"
    both = (FORCE, limit, replace(limit, level="bot:demo-bot", limit_quantity=Decimal(3)))
    assert refused_at_size(judged(a_sell("BTCUSDT", "5"), LONG, *both)) == 3
    assert refused_at_size(judged(a_sell("BTCUSDT", "5"), LONG, limit)) == 4


def test_the_smallest_size_named_counts():
    smallest = an_account().having_tried(a_buy("BTCUSDT", "1"), refused_at_size="0.001")
    assert code(smallest, a_buy("BTCUSDT", "0.002")) == "SLICES_ABOVE_REFUSED_SIZE"
    for first, second in (("4", "2"), ("2", "4")):
        world = an_account()
        for size in (first, second):
            world = world.having_tried(a_buy("BTCUSDT", "10"), refused_at_size=size)
        assert code(world, a_buy("BTCUSDT", "2")) is None
        assert RULE.check(a_buy("BTCUSDT", "3"), world.snapshot).limit == "2"


def test_each_refusal_has_the_pieces_after_it():
    world = (
        an_account()
        .having_tried(a_buy("BTCUSDT", "10"), refused_at_size="4")
        .having_tried(a_buy("BTCUSDT", "3"))
        .having_tried(a_buy("BTCUSDT", "10"), refused_at_size="3")
    )
    assert code(world, a_buy("BTCUSDT", "1")) is None
    breach = RULE.check(a_buy("BTCUSDT", "2"), world.snapshot)
    assert (breach.observed, breach.limit) == ("5", "4")


def test_every_order_of_a_batch_is_a_piece():
    world = REFUSED.having_tried(a_buy("BTCUSDT", "1.5"))
    (refused, piece) = world.attempts
    batch = replace(piece, orders=piece.orders * 2)
    assert code(replace(world, attempts=(refused, batch)), a_buy("BTCUSDT", "1")) is None
    assert code(replace(world, attempts=(refused, batch)), a_buy("BTCUSDT", "1.001")) == "SLICES_ABOVE_REFUSED_SIZE"


def test_amends_of_one_order_count_once_as_the_largest():
    world = REFUSED.resting(
        an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"),
        an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="6"),
    )
    world = world.having_tried(an_amend(Side.BUY, "BTCUSDT", "2", "49000", order_id="5"))
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "4", "48000", order_id="5")) is None
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "4.001", "48000", order_id="5")) == "SLICES_ABOVE_REFUSED_SIZE"
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "2", "48000", order_id="6")) is None
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "2.001", "48000", order_id="6")) == "SLICES_ABOVE_REFUSED_SIZE"
    smaller = world.having_tried(an_amend(Side.BUY, "BTCUSDT", "1", "48000", order_id="5"))
    assert code(smaller, a_buy("BTCUSDT", "2")) is None
    assert code(smaller, a_buy("BTCUSDT", "2.001")) == "SLICES_ABOVE_REFUSED_SIZE"


def test_exits_and_cancels_pass():
    world = an_account().long("BTCUSDT", "9").having_tried(a_sell("BTCUSDT", "9"), refused_at_size="1")
    assert code(world, a_sell("BTCUSDT", "9", reduce_only=True)) is None
    for command in (a_sell("BTCUSDT", "9", reduce_only=True), a_cancel()):
        assert judged(command, world, RULE).verdict is Verdict.ALLOW


def test_what_is_forgotten_within_the_window_refuses():
    (refused,) = an_account().having_tried(a_buy("ETHUSDT", "1"), refused=True).attempts
    recent = (replace(refused, at=NOW),)
    assert code(replace(an_account(), attempts=recent * 189), a_buy("BTCUSDT", "1")) is None
    breach = RULE.check(a_buy("BTCUSDT", "1"), replace(an_account(), attempts=recent * 190).snapshot)
    assert (breach.code, breach.message) == (
        "FACTS_UNKNOWN",
        "all that the bot was refused within 60 s is not known now",
    )


def test_the_orders_of_a_batch_are_pieces_too():
    batch = (a_buy("BTCUSDT", "3"), a_buy("BTCUSDT", "2"))
    first, second = decide_batch(batch, REFUSED.snapshot, a_policy(RULE))
    assert (codes(first), codes(second)) == (["BATCH_REFUSED"], ["SLICES_ABOVE_REFUSED_SIZE"])


def test_it_asks_for_the_whole_window_and_a_little_more():
    assert RULE.looks_back_s == 61


def test_a_report_refuses_nothing():
    decision = judged(a_buy("BTCUSDT", "5"), REFUSED, replace(RULE, enforcement=Enforcement.REPORT))
    assert (decision.verdict, codes(decision)) == (Verdict.ALLOW, [])
    assert [each.code for each in decision.would_deny] == ["SLICES_ABOVE_REFUSED_SIZE"]


def test_a_window_of_nothing_is_no_rule():
    assert AntiSlicing(window_s=1).window_s == 1
    with pytest.raises(ValueError, match=r"^anti_slicing needs window_s >= 1$"):
        AntiSlicing(window_s=0)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_no_way_to_cut_gets_more_through_than_the_size_named(pieces):
    world, through = REFUSED, Decimal(0)
    for lots in pieces:
        order = a_buy("BTCUSDT", str(Decimal(lots) / 1000))
        if code(world, order) is None:
            world, through = world.having_tried(order), through + order.quantity
    assert through <= 4
