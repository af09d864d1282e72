"""An order against the position carries the flag and never flips it."""

from decimal import Decimal

import pytest

from rules.attempts import refused_at_size
from rules.model import Side
from rules.order.max_order_value import MaxOrderValue
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from tests.rules.builders import a_buy, a_cancel, a_close, a_sell, an_account, an_amend, an_open_order, codes, judged

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
    ids=[
        "flagged",
        "flagged and larger",
        "close-position",
        "same side",
        "other symbol",
        "cancel",
        "amend of an order nobody knows",
    ],
)
def test_everything_else_is_not_its_business(command):
    assert breach(command) is None


def amended(size, price="50000", *, of="0.5", filled="0", world=LONG_2, rule=REQUIRE, said=Side.SELL, **order):
    """What is said of an amend of a resting sell of ``of``."""
    order = an_open_order(Side.SELL, "BTCUSDT", of, "60000", order_id="9", filled=filled, **order)
    return breach(an_amend(said, "BTCUSDT", size, price, order_id="9"), world.resting(order), rule)


@pytest.mark.parametrize("rule", [REQUIRE, FORCE], ids=["require", "force"])
def test_an_amend_that_grows_an_unflagged_order_against_the_position_is_refused(rule):
    closes, flips = amended("2", rule=rule), amended("2.001", rule=rule)
    assert (closes.code, closes.observed, closes.limit) == ("EXIT_NOT_REDUCE_ONLY", "2", "2")
    assert closes.message == "reduces the BTCUSDT position of 2 without the reduce-only flag"
    assert (flips.code, flips.observed, flips.limit) == ("POSITION_FLIP", "2.001", "2")
    assert flips.message == "would flip the BTCUSDT position of 2"
    assert (closes.headroom, flips.headroom) == (None, None)
    assert closes.advice == flips.advice
    assert closes.advice == (
        "leave the order at 0.5, for an amend cannot put the flag on, and close the rest with a second one with"
        " reduceOnly=true"
    )


def test_of_an_amend_only_what_is_left_of_the_order_counts():
    assert amended("2.4", filled="0.4").code == "EXIT_NOT_REDUCE_ONLY"
    assert amended("2.401", filled="0.4").code == "POSITION_FLIP"
    assert amended("0.9", filled="0.4") is None
    assert "leave the order at 0.9," in amended("0.901", filled="0.4").advice


@pytest.mark.parametrize(("size", "of"), [("0.5", "0.5"), ("0.4", "0.5"), ("3", "3"), ("2.5", "3")])
def test_an_amend_that_shrinks_such_an_order_or_moves_its_price_passes(size, of):
    """The order was let go when there was no such position; refused, it would rest on as it is."""
    assert amended(size, "49000", of=of) is None


@pytest.mark.parametrize(
    "found",
    [
        amended("9", reduce_only=True),
        amended("9", world=SHORT_2),
        amended("9", world=an_account()),
        amended("9", world=an_account().hedged().long("BTCUSDT", "2"), position_side="SHORT"),
        amended("9", world=an_account().long("ETHUSDT", "2")),
    ],
    ids=["reduce-only", "same side", "flat", "hedged", "other symbol"],
)
def test_other_amends_may_grow(found):
    assert found is None


def test_the_side_of_an_amend_is_that_of_its_order():
    assert amended("3", said=Side.BUY).code == "POSITION_FLIP"


def test_an_amend_against_the_position_is_refused_by_the_engine_and_nothing_is_forced_on_it():
    world = LONG_2.resting(an_open_order(Side.SELL, "BTCUSDT", "0.001", "60000", order_id="9"))
    amend = an_amend(Side.SELL, "BTCUSDT", "3", "50000", order_id="9")
    for rule in (REQUIRE, FORCE):
        decision = judged(amend, world, rule)
        assert (codes(decision), decision.effective, decision.headroom) == (["POSITION_FLIP"], amend, None)
        assert refused_at_size(decision) is None


def test_of_an_amend_that_would_flip_no_size_is_remembered_that_the_bot_was_not_told():
    world = LONG_2.resting(an_open_order(Side.SELL, "BTCUSDT", "0.5", "60000", order_id="9"))
    amend = an_amend(Side.SELL, "BTCUSDT", "3", "60000", order_id="9")
    for limit, told in (("60000", None), ("30000", Decimal("0.5"))):
        decision = judged(amend, world, REQUIRE, MaxOrderValue(limit=Decimal(limit)))
        assert sorted(codes(decision)) == ["ORDER_VALUE_ABOVE_LIMIT", "POSITION_FLIP"]
        assert (decision.headroom, refused_at_size(decision)) == (told, told)


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
