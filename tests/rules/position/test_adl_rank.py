"""A leg near the front of the auto-deleveraging queue is not grown."""

import pytest

from rules.model import PositionSide, Side
from rules.position.adl_rank import AdlRank
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, codes, judged

RULE = AdlRank(rank_max=3)
LONG = an_account().long("BTCUSDT", "1")
SHORT = an_account().short("BTCUSDT", "1")


@pytest.mark.parametrize(("world", "order"), [(LONG, a_buy), (SHORT, a_sell)], ids=["long", "short"])
@pytest.mark.parametrize(("rank", "code"), [(0, None), (2, None), (3, "ADL_RANK_TOO_HIGH"), (4, "ADL_RANK_TOO_HIGH")])
def test_a_leg_is_grown_below_the_rank_alone(world, order, rank, code):
    found = RULE.check(order("BTCUSDT", "0.001"), world.ranked("BTCUSDT", rank).snapshot)
    assert (found.code if found is not None else None) == code


def test_the_refusal_says_the_rank():
    found = RULE.check(a_buy("BTCUSDT", "1"), LONG.ranked("BTCUSDT", 4).snapshot)
    assert (found.observed, found.limit) == ("4", "below 3")
    assert found.message == "BTCUSDT has auto-deleveraging rank 4"
    assert found.advice == "reduce the position or its leverage first; reduce-only orders pass"


@pytest.mark.parametrize(("world", "order"), [(LONG, a_buy), (SHORT, a_sell)], ids=["long", "short"])
def test_a_rank_nobody_knows_lets_the_leg_not_grow(world, order):
    found = RULE.check(order("BTCUSDT", "1"), world.snapshot)
    assert (found.code, found.message) == (
        "FACTS_UNKNOWN",
        "the auto-deleveraging rank of BTCUSDT is not known now",
    )


def test_an_unknown_account_lets_nothing_in():
    found = RULE.check(a_buy("BTCUSDT", "1"), an_account().unsurveyed().snapshot)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")


def test_a_new_leg_the_other_side_and_other_symbols_pass():
    assert RULE.check(a_buy("BTCUSDT", "1"), an_account().snapshot) is None
    assert AdlRank(rank_max=1).check(a_buy("BTCUSDT", "1"), an_account().snapshot) is None
    assert RULE.check(a_buy("BTCUSDT", "1"), an_account().long("BTCUSDT", "0").ranked("BTCUSDT", 4).snapshot) is None
    assert RULE.check(a_sell("BTCUSDT", "0.5"), LONG.ranked("BTCUSDT", 4).snapshot) is None
    assert RULE.check(a_buy("ETHUSDT", "1"), LONG.ranked("BTCUSDT", 4).snapshot) is None


def test_hedge_legs_have_their_own_ranks():
    world = an_account().hedged().long("BTCUSDT", "1").ranked("BTCUSDT", 4).short("BTCUSDT", "1")
    legs = world.account.positions
    assert [leg.adl_quantile for leg in legs] == [4, None]
    assert RULE.check(a_buy("BTCUSDT", "1", position_side=PositionSide.LONG), world.snapshot).observed == "4"


def test_the_leg_that_would_grow_is_found_whichever_is_listed_first():
    world = an_account().hedged().short("BTCUSDT", "1").long("BTCUSDT", "1").ranked("BTCUSDT", 4)
    for order in (
        a_buy("BTCUSDT", "1", position_side=PositionSide.LONG),
        a_sell("BTCUSDT", "1", position_side=PositionSide.SHORT),
    ):
        assert AdlRank(rank_max=3).check(order, world.snapshot).code == "ADL_RANK_TOO_HIGH"


def test_amends_are_judged_and_exits_pass():
    world = LONG.ranked("BTCUSDT", 4).resting(an_open_order(Side.BUY, "BTCUSDT", "1", "49000"))
    assert RULE.check(an_amend(Side.BUY, "BTCUSDT", "2", order_id="1"), world.snapshot) is not None
    assert codes(judged(a_sell("BTCUSDT", "1", reduce_only=True), world, RULE)) == []


@pytest.mark.parametrize("rank", [0, 5])
def test_a_rank_there_is_not_is_refused(rank):
    with pytest.raises(ValueError, match=r"^adl_rank needs a rank_max from 1 to 4; every leg has at least rank 0$"):
        AdlRank(rank_max=rank)
    assert [AdlRank(rank_max=each).rank_max for each in (1, 4)] == [1, 4]
