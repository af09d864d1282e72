"""What a kill costs of the venue's budget, and what is kept of it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.kill.budget import Prices, Spend, cost_of_killing, exceeds, reserve
from rules.kill.settings import Reserve
from rules.model import OrderType, Side
from tests.rules.builders import World, an_account, an_instrument, an_open_order

PRICES = Prices(survey=91, listing=1, cancel=3, depth=2, close=4, fees=5)
READS = PRICES.listing + 4 * PRICES.survey
"""The press's survey and three calm read-backs."""


def cost(world: World) -> Spend:
    assert world.account is not None
    return cost_of_killing(world.account, world.instruments, PRICES)


def test_an_empty_account_costs_the_reads_that_prove_it() -> None:
    assert cost(an_account()) == Spend(weight=READS, orders=0)


def test_orders_cost_a_survey_and_one_cancel_for_each_symbol_and_kind() -> None:
    world = an_account().resting(
        an_open_order(Side.BUY, "BTCUSDT", "1", "40000"),
        an_open_order(Side.BUY, "BTCUSDT", "1", "41000", client_order_id="b"),
        an_open_order(Side.SELL, "BTCUSDT", "1", "0", order_type=OrderType.STOP_MARKET, client_order_id="c"),
        an_open_order(Side.BUY, "ETHUSDT", "1", "2000", client_order_id="d"),
    )
    assert cost(world) == Spend(weight=READS + PRICES.survey + 3 * PRICES.cancel, orders=0)


def test_a_leg_costs_as_many_rounds_and_orders_as_it_has_slices() -> None:
    world = an_account().long("BTCUSDT", "25").short("ETHUSDT", "3")
    world = world.listing("BTCUSDT", market_quantity_max=Decimal(10)).listing("ETHUSDT")
    slices, symbols = 4, 2
    weight = READS + 3 * PRICES.survey + slices * (PRICES.depth + 2 * PRICES.close) + symbols * PRICES.fees
    assert cost(world) == Spend(weight=weight, orders=8)


def test_a_maximum_of_one_unit_takes_a_slice_for_each() -> None:
    world = an_account().long("BTCUSDT", "25").listing("BTCUSDT", market_quantity_max=Decimal(1))
    assert cost(world).orders == 50


def test_two_kills_cost_what_both_do() -> None:
    assert Spend(weight=7, orders=2) + Spend(weight=30, orders=5) == Spend(weight=37, orders=7)


def test_a_symbol_that_is_not_listed_is_closed_in_one_slice() -> None:
    world = an_account().long("BTCUSDT", "25").unlisted("BTCUSDT")
    weight = READS + PRICES.survey + PRICES.depth + 2 * PRICES.close + PRICES.fees
    assert cost(world) == Spend(weight=weight, orders=2)


@pytest.mark.parametrize(
    ("costs", "kept"),
    [
        ([], 480),
        ([100], 480),
        ([320], 480),
        ([400], 600),
        ([400, 400], 1_200),
        ([1_280], 1_920),
        ([9_999], 1_920),
    ],
)
def test_the_reserve_follows_the_cost_between_a_fifth_and_four_fifths(costs: list[int], kept: int) -> None:
    assert reserve(costs, 2_400, Reserve()) == kept


def test_a_part_of_a_unit_is_kept_whole() -> None:
    assert reserve([], 301, Reserve()) == 61


def test_what_cannot_be_kept_is_known() -> None:
    assert not exceeds([1_280], 2_400, Reserve())
    assert exceeds([1_281], 2_400, Reserve())


@given(st.lists(st.integers(0, 5_000), max_size=5), st.integers(1, 5_000), st.integers(0, 5_000), st.integers(0, 5_000))
def test_at_least_a_fifth_is_kept_and_a_dearer_kill_never_keeps_less(
    costs: list[int], limit: int, dearer: int, another: int
) -> None:
    kept = reserve(costs, limit, Reserve())
    assert kept * 5 >= limit
    assert reserve([*costs, another], limit, Reserve()) >= kept
    assert reserve([each + dearer for each in costs], limit, Reserve()) >= kept


@given(st.integers(1, 200), st.integers(1, 40))
def test_a_larger_position_never_costs_less(quantity: int, more: int) -> None:
    small, large = (
        an_account().long("BTCUSDT", str(size)).listing("BTCUSDT", market_quantity_max=Decimal(7))
        for size in (quantity, quantity + more)
    )
    assert cost(large).weight >= cost(small).weight
    assert cost(large).orders >= cost(small).orders


@pytest.mark.parametrize(
    "wrong",
    [
        {"share_min": Decimal("0.19")},
        {"share_min": Decimal("0.5"), "share_max": Decimal("0.4")},
        {"share_max": Decimal(1)},
        {"margin": Decimal("0.9")},
    ],
)
def test_a_reserve_that_is_none_is_refused(wrong: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Reserve(**wrong)


def test_an_instrument_without_a_maximum_is_closed_in_one_slice() -> None:
    world = an_account().long("BTCUSDT", "25")
    instrument = an_instrument("BTCUSDT", market_quantity_max=Decimal(0))
    assert world.account is not None
    assert cost_of_killing(world.account, {"BTCUSDT": instrument}, PRICES).orders == 2
