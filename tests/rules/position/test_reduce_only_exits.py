"""An order against the position carries the flag and never flips it."""

from decimal import Decimal

import pytest

from rules.model import Side
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from tests.rules.builders import a_buy, a_cancel, a_close, a_sell, an_account, an_amend, codes, judged

REQUIRE = ReduceOnlyExits()
FORCE = ReduceOnlyExits(mode=ExitMode.FORCE)
LONG_2 = an_account().long("BTCUSDT", "2")
SHORT_2 = an_account().short("BTCUSDT", "2")


def breach(command, world=LONG_2, rule=REQUIRE):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize(("world", "order"), [(LONG_2, a_sell), (SHORT_2, a_buy)], ids=["long", "short"])
def test_closing_without_the_flag_is_refused_with_advice(world, order):
    found = breach(order("BTCUSDT", "2"), world)
    assert (found.code, found.advice) == ("EXIT_NOT_REDUCE_ONLY", "send the same order with reduceOnly=true")
    assert (found.observed, found.limit, found.headroom) == ("2", "2", 0)


def test_the_position_it_works_against_is_told():
    without = breach(a_buy("BTCUSDT", "1"), SHORT_2)
    assert without.message == "reduces the BTCUSDT position of -2 without the reduce-only flag"
    assert breach(a_sell("BTCUSDT", "3"), LONG_2).message == "would flip the BTCUSDT position of 2"


def test_what_opposes_by_less_than_a_whole_unit_is_opposed_and_what_is_flat_is_not():
    assert breach(a_sell("BTCUSDT", "0.001"), an_account().long("BTCUSDT", "0.001")).code == "EXIT_NOT_REDUCE_ONLY"
    assert breach(a_buy("BTCUSDT", "0.001"), an_account().long("BTCUSDT", "0.5")) is None
    assert breach(a_buy("BTCUSDT", "1"), an_account().long("BTCUSDT", "0")) is None


@pytest.mark.parametrize(("world", "order"), [(LONG_2, a_sell), (SHORT_2, a_buy)], ids=["long", "short"])
def test_one_lot_more_would_flip_and_is_told_how_to_split(world, order):
    found = breach(order("BTCUSDT", "2.001"), world)
    assert (found.code, found.observed, found.limit, found.headroom) == ("POSITION_FLIP", "2.001", "2", 2)
    assert found.advice == "close 2 with reduceOnly=true, then open 0.001 with a second order"


@pytest.mark.parametrize(
    "command",
    [
        a_sell("BTCUSDT", "2", reduce_only=True),
        a_sell("BTCUSDT", "9", reduce_only=True),
        a_close("BTCUSDT"),
        a_buy("BTCUSDT", "2"),
        a_sell("ETHUSDT", "2"),
        a_cancel(),
        an_amend(Side.SELL, "BTCUSDT", "2", order_id="9"),
    ],
    ids=["flagged", "flagged and larger", "close-position", "same side", "other symbol", "cancel", "amend"],
)
def test_everything_else_is_not_its_business(command):
    assert breach(command) is None


def test_hedge_legs_say_by_themselves_what_they_do():
    world = an_account().hedged().long("BTCUSDT", "2")
    assert breach(a_sell("BTCUSDT", "1", position_side="SHORT"), world) is None


def test_force_puts_the_flag_on():
    decision = judged(a_sell("BTCUSDT", "2"), LONG_2, FORCE)
    assert (codes(decision), decision.effective.reduce_only) == ([], True)


def test_force_does_not_flip():
    decision = judged(a_sell("BTCUSDT", "2.001"), LONG_2, FORCE)
    assert (codes(decision), decision.effective.reduce_only) == (["POSITION_FLIP"], None)


@pytest.mark.parametrize(
    "command",
    [
        a_buy("BTCUSDT", "1"),
        a_sell("ETHUSDT", "1"),
        a_close("BTCUSDT"),
        an_amend(Side.SELL, "BTCUSDT", "1", order_id="9"),
    ],
    ids=str,
)
def test_force_leaves_other_orders_alone(command):
    assert FORCE.forced(command, LONG_2.snapshot) is None


def test_an_explicit_false_is_forced_too():
    assert FORCE.forced(a_sell("BTCUSDT", "1", reduce_only=False), LONG_2.snapshot).reduce_only is True


def test_nothing_is_forced_on_an_unknown_account():
    assert FORCE.forced(a_sell("BTCUSDT", "1"), an_account().unsurveyed().snapshot) is None


def test_the_size_that_closes_is_told_exactly():
    assert breach(a_sell("BTCUSDT", "5"), an_account().long("BTCUSDT", "1.250")).headroom == Decimal("1.25")


def test_a_flag_that_is_forced_lets_pass_what_was_refused():
    assert (FORCE.permits(), REQUIRE.permits()) == (True, False)
