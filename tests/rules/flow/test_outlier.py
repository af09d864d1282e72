"""A single order against what is usual of its bot, before it is sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rules.facts import Score
from rules.flow.outlier import order_score
from rules.model import Side
from rules.usual import UsualSizes
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order

SIZED = an_account().used_to(any_size="60000 120000 240000")


def value(command, world):
    return order_score(command, world.snapshot).value


@pytest.mark.parametrize(
    ("quantity", "expected"), [("1.199", 0.0), ("1.2", 0.54), ("2.399", 0.54), ("2.4", 0.78), ("4.8", 0.9), ("48", 0.9)]
)
def test_a_size_has_the_highest_score_whose_bound_it_reaches(quantity, expected):
    assert value(a_buy("BTCUSDT", quantity, "50000"), SIZED) == expected


def test_a_market_order_is_judged_by_its_size_too():
    assert value(a_sell("BTCUSDT", "3"), SIZED) == 0.78


def test_a_size_is_told_beside_its_bound():
    assert order_score(a_buy("BTCUSDT", "2.4", "50000"), SIZED.snapshot) == Score(
        value=0.78, why="size 120000.00 is above 120000.00"
    )


def test_a_symbol_and_side_has_bounds_of_its_own():
    small = UsualSizes(symbol="BTCUSDT", side=Side.BUY, bounds=(Decimal(100), Decimal(200), Decimal(300)))
    world = an_account().used_to(any_size="60000 120000 240000", sizes=(small,))
    assert value(a_buy("BTCUSDT", "0.01", "50000"), world) == 0.9
    assert value(a_sell("BTCUSDT", "0.01", "50000"), world) == 0.0
    assert value(a_buy("ETHUSDT", "1", "2500"), world) == 0.0


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (a_buy("BTCUSDT", "1", "50249"), 0.0),
        (a_buy("BTCUSDT", "1", "50250"), 0.54),
        (a_sell("BTCUSDT", "1", "49750"), 0.54),
        (a_sell("BTCUSDT", "1", "40000"), 0.9),
        (a_buy("BTCUSDT", "1", "49000"), 0.0),
        (a_buy("BTCUSDT", "1", "45000"), 0.54),
        (a_sell("BTCUSDT", "1", "55000"), 0.54),
        (a_buy("BTCUSDT", "1"), 0.0),
    ],
)
def test_a_price_is_judged_by_how_far_it_is_through_the_mark_or_away_from_it(command, expected):
    world = an_account().used_to(through="0.005 0.02 0.1", away="0.1 0.2 0.4")
    assert value(command, world) == expected


def test_a_price_below_one_is_judged_as_any_and_against_a_mark_of_nothing_none():
    world = an_account().used_to(through="0.005 0.02 0.1")
    assert value(a_buy("DOGEUSDT", "1", "0.102"), world) == 0.78
    assert value(a_buy("BTCUSDT", "1", "50000"), world.marked("BTCUSDT", "0")) == 0.0


def test_a_price_is_told_with_its_direction():
    world = an_account().used_to(through="0.005 0.02 0.1", away="0.1 0.2 0.4")
    assert order_score(a_sell("BTCUSDT", "1", "49500"), world.snapshot).why == (
        "price is 1 % through the mark, above 0.5 %"
    )
    assert order_score(a_buy("BTCUSDT", "1", "40000"), world.snapshot).why == (
        "price is 20 % away from the mark, above 20 %"
    )


def test_a_symbol_it_does_not_trade_is_named():
    world = an_account().used_to(symbols=("BTCUSDT",), new_symbol=0.8)
    assert value(a_buy("BTCUSDT", "1"), world) == 0.0
    assert order_score(a_buy("ETHUSDT", "1"), world.snapshot) == Score(
        value=0.8, why="ETHUSDT is a symbol it does not trade"
    )


def test_a_bot_too_new_to_tell_has_no_symbol_of_its_own():
    assert value(a_buy("ETHUSDT", "1"), an_account().used_to(symbols=())) == 0.0


def test_the_most_unusual_part_counts():
    world = an_account().used_to(any_size="1 2 900000", symbols=("BTCUSDT",), new_symbol=0.8)
    assert value(a_buy("ETHUSDT", "1"), world) == 0.8


def test_an_amend_is_judged_as_an_order():
    resting = an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5")
    world = SIZED.resting(resting)
    assert value(an_amend(Side.BUY, "BTCUSDT", "5", "50000", order_id="5"), world) == 0.9


def test_nothing_known_says_nothing():
    for world in (an_account(), an_account().used_to()):
        assert value(a_buy("BTCUSDT", "100", "90000"), world) == 0.0
    assert value(a_cancel(), SIZED) == 0.0


def test_without_a_mark_no_price_is_judged():
    world = an_account().used_to(through="0.005 0.02 0.1")
    bare = world.snapshot.__class__(
        now=world.snapshot.now, bot="demo-bot", account=None, controls=world.controls, usual=world.usual
    )
    assert order_score(a_buy("BTCUSDT", "1", "90000"), bare) == Score()
