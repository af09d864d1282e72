"""Margin arithmetic: tiers, and how far the market may move; the practice exchange's own engine has the last word."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.account import SymbolSettings
from rules.exposure import held_order
from rules.instrument import MarginTier
from rules.margin.known import MarginUnknown
from rules.margin.liquidation import Liquidation, liquidation_after
from rules.margin.maintenance import account_maintenance, maintenance_margin
from rules.margin.moves import Moving, distance_to_liquidation
from rules.model import Command, MarginMode, OrderType, PositionSide, Side
from rules.prices import worst_named
from tests.properties.strategies import examples
from tests.rules.builders import World, a_buy, a_sell, an_account, an_amend, an_open_order
from tests.rules.position.margin_worlds import TIERS, cross, isolated, tiered

D = Decimal
BUY, SELL = Side
FIRST, SECOND, _ = TIERS


def after(command: Command, world: World) -> Liquidation:
    order = held_order(command, world.snapshot)
    assert order is not None
    return liquidation_after(order, world.snapshot, worst_named(command, world.snapshot))


def alone(backing: str, notional: str, side: Side, tiers: tuple[MarginTier, ...] = TIERS) -> Decimal:
    legs = [Moving(D(notional), (D(notional),), side is SELL, tiers)]
    return distance_to_liquidation(D(backing), legs)


# Tiers


@pytest.mark.parametrize(
    ("notional", "margin"),
    [
        ("0", "0"),
        ("50000", "200"),
        ("99999", "399.996"),
        ("100000", "400"),
        ("200000", "900"),
        ("500000", "2400"),
        ("600000", "4400"),
        ("99000000", "1972400"),
    ],
)
def test_maintenance_margin_is_continuous_over_the_tiers(notional: str, margin: str) -> None:
    assert maintenance_margin(D(notional), TIERS) == D(margin)


def test_maintenance_margin_is_never_below_zero() -> None:
    odd = replace(FIRST, maintenance_amount=D(500))
    assert maintenance_margin(D(100), (odd,)) == 0


def test_without_tiers_nothing_is_known() -> None:
    with pytest.raises(MarginUnknown, match="the margin tiers"):
        maintenance_margin(D(1), ())


def test_an_account_needs_the_margin_of_all_its_legs() -> None:
    world = tiered(an_account().long("BTCUSDT", "1").short("ETHUSDT", "100"))
    assert account_maintenance(world.snapshot) == 200 + 1150
    with pytest.raises(MarginUnknown, match="the margin tiers of ETHUSDT"):
        account_maintenance(world.listing("ETHUSDT").snapshot)


# One leg


@pytest.mark.parametrize(("side", "expected"), [(BUY, D(9800) / 49800), (SELL, D(9800) / 50200)])
def test_a_leg_ends_where_its_backing_is_its_maintenance_margin(side: Side, expected: Decimal) -> None:
    assert alone("10000", "50000", side) == expected


def test_a_short_grows_into_the_next_tier_on_its_way() -> None:
    distance = alone("20000", "90000", SELL)
    assert distance == (20_000 - 90_000 * SECOND.maintenance_rate + SECOND.maintenance_amount) / (
        90_000 * (1 + SECOND.maintenance_rate)
    )
    assert 90_000 * (1 + distance) > 100_000


def test_a_long_shrinks_into_the_tier_below_on_its_way_which_asks_more_than_the_line_of_its_own() -> None:
    distance = alone("30000", "110000", BUY)
    kind = (30_000 - 110_000 * SECOND.maintenance_rate + SECOND.maintenance_amount) / (
        110_000 * (1 - SECOND.maintenance_rate)
    )
    assert distance == (30_000 - 110_000 * FIRST.maintenance_rate) / (110_000 * (1 - FIRST.maintenance_rate)) < kind


def test_a_leg_without_its_margin_is_liquidated_at_once() -> None:
    assert alone("200", "50000", BUY) == 0
    assert alone("0", "50000", SELL) < 0


def test_a_long_with_more_than_its_notional_behind_it_never_is() -> None:
    assert alone("60000", "50000", BUY) > 1


notionals = st.decimals("1", "2000000", places=2)
backings = st.decimals("-1000", "3000000", places=2)


@given(backings, notionals, st.sampled_from(Side))
def test_at_the_distance_the_balance_is_the_requirement(backing: Decimal, notional: Decimal, side: Side) -> None:
    distance = distance_to_liquidation(backing, [Moving(notional, (notional,), side is SELL, TIERS)])
    moved = notional * (1 - side.sign * distance)
    if 0 < distance < 1:
        assert abs(backing - notional * distance - maintenance_margin(moved, TIERS)) < D("0.000001")


@given(backings, st.lists(st.tuples(notionals, st.booleans()), min_size=1, max_size=4), notionals)
def test_more_at_stake_is_never_farther_away(backing: Decimal, legs: list[tuple[Decimal, bool]], more: Decimal) -> None:
    symbols = [Moving(notional, (notional,), growing, TIERS) for notional, growing in legs]
    before = distance_to_liquidation(backing, symbols)
    larger = legs[0][0] + more
    after_all = distance_to_liquidation(backing, [Moving(larger, (larger,), legs[0][1], TIERS), *symbols[1:]])
    assert after_all <= before or before <= 0


# The leg an order grows


def test_a_cross_leg_has_the_whole_balance_behind_it() -> None:
    found = after(a_buy("BTCUSDT", "1"), cross().worth("10000"))
    assert found == Liquidation(
        distance=D(9800) / 49800, price=50_000 * (1 - D(9800) / 49800), maintenance_margin=D(200)
    )


def test_a_short_ends_above_the_mark() -> None:
    found = after(a_sell("BTCUSDT", "1"), cross().worth("10000"))
    assert (found.distance, found.price) == (D(9800) / 50200, 50_000 * (1 + D(9800) / 50200))


def test_the_price_is_never_below_zero() -> None:
    found = after(a_buy("BTCUSDT", "1"), cross().worth("100000"))
    assert found.distance > 1 and found.price == 0


@pytest.mark.parametrize(
    "world",
    [
        cross().worth("10000").long("BTCUSDT", "1"),
        cross().worth("10000").resting(an_open_order(BUY, "BTCUSDT", "1", "50000")),
        cross().worth("10000").holding(a_buy("BTCUSDT", "1")),
    ],
    ids=["position", "resting", "held"],
)
def test_what_is_open_rests_or_is_under_way_counts(world: World) -> None:
    assert after(a_buy("BTCUSDT", "1"), world) == after(a_buy("BTCUSDT", "2"), cross().worth("10000"))


def test_the_other_side_is_neither_stake_nor_credit() -> None:
    world = cross().worth("10000").short("BTCUSDT", "3")
    assert after(a_buy("BTCUSDT", "1"), world) == after(a_buy("BTCUSDT", "1"), cross().worth("10000"))


def test_an_order_priced_through_the_mark_has_lost_the_difference_already() -> None:
    world = cross().worth("10000")
    paid = after(a_buy("BTCUSDT", "1", "51000"), world)
    assert paid.distance == (10_000 - 1000 - 51_000 * FIRST.maintenance_rate) / (51_000 * (1 - FIRST.maintenance_rate))
    sold = after(a_sell("BTCUSDT", "1", "49000"), world)
    assert sold.distance == (10_000 - 1000 - D(200)) / (50_000 * (1 + FIRST.maintenance_rate))


@pytest.mark.parametrize(("order", "price"), [(a_buy, "49000"), (a_buy, "50000"), (a_sell, "50000")])
def test_a_better_price_than_the_mark_is_no_credit(order: Any, price: str) -> None:
    world = cross().worth("10000")
    assert after(order("BTCUSDT", "1", price), world) == after(order("BTCUSDT", "1"), world)


def test_the_whole_account_moves_against_itself_together() -> None:
    world = cross().worth("10000").short("ETHUSDT", "10").long("DOGEUSDT", "50000")
    found = after(a_buy("BTCUSDT", "1"), world)
    rate = FIRST.maintenance_rate
    required = 80_000 * rate
    assert found.maintenance_margin == required
    assert found.distance == (10_000 - required) / (80_000 - 50_000 * rate - 5_000 * rate + 25_000 * rate)


def test_another_symbol_s_larger_side_counts_and_a_short_in_it_grows() -> None:
    world = cross().worth("10000")
    mixed = world.long("ETHUSDT", "10").resting(an_open_order(SELL, "ETHUSDT", "1", "2500"))
    only = world.long("ETHUSDT", "10")
    assert after(a_buy("BTCUSDT", "1"), mixed).distance < after(a_buy("BTCUSDT", "1"), only).distance
    assert after(a_buy("BTCUSDT", "1"), mixed).maintenance_margin == D(300)


def test_both_legs_of_a_hedge_need_their_margin_and_only_one_loses() -> None:
    world = cross(hedged=True).worth("10000").long("BTCUSDT", "1").short("BTCUSDT", "1")
    rate = FIRST.maintenance_rate
    bought = after(a_buy("BTCUSDT", "0.5", position_side=PositionSide.LONG), world)
    assert bought.distance == (10_000 - 125_000 * rate) / (75_000 + 125_000 * rate)
    assert bought.maintenance_margin == 125_000 * rate
    lone = after(a_buy("BTCUSDT", "0.5", position_side=PositionSide.LONG), cross(hedged=True).worth("10000"))
    assert lone.distance == (10_000 - 25_000 * rate) / (25_000 * (1 - rate))
    sold = after(a_sell("BTCUSDT", "0.5", position_side=PositionSide.SHORT), cross(hedged=True).worth("10000"))
    assert sold.distance == (10_000 - 25_000 * rate) / (25_000 * (1 + rate))


def test_another_hedged_symbol_needs_the_margin_of_both_its_legs() -> None:
    world = cross(hedged=True).worth("10000").long("ETHUSDT", "4").short("ETHUSDT", "2")
    found = after(a_buy("BTCUSDT", "1", position_side=PositionSide.LONG), world)
    rate = FIRST.maintenance_rate
    assert found.distance == (10_000 - 65_000 * rate) / (60_000 - 50_000 * rate + 15_000 * rate)
    longs = cross(hedged=True).worth("10000").long("ETHUSDT", "4")
    found = after(a_buy("BTCUSDT", "1", position_side=PositionSide.LONG), longs)
    assert found.distance == (10_000 - 60_000 * rate) / (60_000 * (1 - rate))


def test_an_amend_is_measured_as_the_larger_of_both_orders() -> None:
    world = cross().worth("10000").resting(an_open_order(BUY, "BTCUSDT", "1", "50000", order_id="7"))
    amended = after(an_amend(BUY, "BTCUSDT", "3", "50000", order_id="7"), world)
    assert amended == after(a_buy("BTCUSDT", "3"), cross().worth("10000"))


# Isolated


def test_an_isolated_order_has_the_margin_its_leverage_sets_aside() -> None:
    found = after(a_buy("BTCUSDT", "1"), isolated(leverage=10).worth("1000000"))
    assert found.distance == (5000 - D(200)) / 49800
    assert found.maintenance_margin == 200


def test_an_isolated_leg_has_its_own_margin_and_profit() -> None:
    world = isolated(leverage=10).isolating("BTCUSDT", "1", margin="6000", entry_price="49000")
    rate = FIRST.maintenance_rate
    now = (7000 - 50_000 * rate) / (50_000 * (1 - rate))
    then = (12_000 - D(400)) / (100_000 * (1 - rate))
    assert now > then
    assert after(a_buy("BTCUSDT", "1"), world).distance == then
    assert after(a_buy("BTCUSDT", "1"), world).maintenance_margin == 400


def test_buying_more_does_not_hide_an_isolated_leg_that_is_near_already() -> None:
    world = isolated(leverage=10).isolating("BTCUSDT", "1", margin="5000", entry_price="54000")
    near = (1000 - D(200)) / 49800
    assert after(a_buy("BTCUSDT", "0.001"), world).distance == near
    assert after(a_buy("BTCUSDT", "9"), world).distance == near


def test_what_is_under_way_does_not_hide_behind_a_larger_order() -> None:
    world = isolated(leverage=10).isolating("BTCUSDT", "1", margin="50000")
    held = world.holding(a_buy("BTCUSDT", "9", "60000"))
    assert after(a_buy("BTCUSDT", "1"), held).distance < after(a_buy("BTCUSDT", "1"), world).distance


def test_what_rests_on_an_isolated_leg_brings_its_own_margin() -> None:
    world = isolated(leverage=10).isolating("BTCUSDT", "1", margin="6000")
    resting = world.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000"))
    assert after(a_buy("BTCUSDT", "1"), resting) == after(a_buy("BTCUSDT", "2"), world)


def test_an_isolated_order_priced_through_the_mark_has_lost_the_difference_already() -> None:
    world = isolated(leverage=10)
    paid = after(a_buy("BTCUSDT", "1", "51000"), world)
    assert paid.distance == (5100 - 1000 - 51_000 * FIRST.maintenance_rate) / (51_000 * (1 - FIRST.maintenance_rate))
    sold = after(a_sell("BTCUSDT", "1", "49000"), world)
    # The venue sets aside a tenth of what it fills at: 4,900.
    assert sold.distance == (4900 - 1000 - D(200)) / (50_000 * (1 + FIRST.maintenance_rate))


@pytest.mark.parametrize(
    ("order", "resting", "held"),
    [
        (a_buy("BTCUSDT", "1", "51000"), an_open_order(BUY, "BTCUSDT", "10", "40000"), None),
        (a_sell("BTCUSDT", "1", "49000"), an_open_order(SELL, "BTCUSDT", "10", "60000"), None),
        (a_buy("BTCUSDT", "1", "51000"), an_open_order(BUY, "BTCUSDT", "10", "40000"), "1"),
        (a_sell("BTCUSDT", "1", "49000"), an_open_order(SELL, "BTCUSDT", "10", "60000"), "-1"),
    ],
    ids=["buy", "sell", "buy on top of a leg", "sell on top of a leg"],
)
def test_what_rests_beside_it_does_not_make_up_for_what_an_isolated_order_loses_at_once(
    order: Command, resting: Any, held: str | None
) -> None:
    world = isolated(leverage=20).worth("1000000")
    if held is not None:
        world = world.isolating("BTCUSDT", held, margin="20000")
    assert after(order, world.resting(resting)).distance <= after(order, world).distance
    under_way = (a_buy if held == "1" or resting.side is BUY else a_sell)("BTCUSDT", "10")
    assert after(order, world.holding(under_way)).distance <= after(order, world).distance


def test_an_isolated_sale_amended_through_the_mark_has_the_margin_of_what_it_fills_at() -> None:
    """Not that of the higher price it named before."""
    world = isolated(leverage=10).resting(an_open_order(SELL, "BTCUSDT", "1", "60000", order_id="7"))
    amended = after(an_amend(SELL, "BTCUSDT", "1", "49000", order_id="7"), world)
    assert amended.distance == after(a_sell("BTCUSDT", "1", "49000"), isolated(leverage=10)).distance
    beside = world.resting(an_open_order(SELL, "BTCUSDT", "10", "60000", order_id="8"))
    assert after(an_amend(SELL, "BTCUSDT", "1", "49000", order_id="7"), beside).distance == amended.distance


def test_the_other_isolated_leg_stands_alone() -> None:
    world = isolated(leverage=10, hedged=True).isolating("BTCUSDT", "-5", margin="1")
    found = after(a_buy("BTCUSDT", "1", position_side=PositionSide.LONG), world)
    assert found == after(a_buy("BTCUSDT", "1", position_side=PositionSide.LONG), isolated(leverage=10, hedged=True))


def test_isolated_margin_stands_behind_no_cross_leg() -> None:
    plain = cross().worth("10000")
    apart = (
        plain.worth("16000")
        .isolating("ETHUSDT", "10", margin="5500", entry_price="2450")
        .setting("ETHUSDT", MarginMode.ISOLATED)
    )
    assert after(a_buy("BTCUSDT", "1"), apart) == after(a_buy("BTCUSDT", "1"), plain)


def test_an_isolated_leg_that_has_lost_its_margin_owes_the_account_nothing_and_gives_nothing() -> None:
    plain = cross().worth("10000")
    lost = plain.isolating("ETHUSDT", "10", margin="100", entry_price="3000").setting("ETHUSDT", MarginMode.ISOLATED)
    assert after(a_buy("BTCUSDT", "1"), lost) == after(a_buy("BTCUSDT", "1"), plain)


def test_isolated_orders_take_their_margin_from_the_cross_balance_when_they_fill() -> None:
    order = an_open_order(SELL, "ETHUSDT", "10", "2500")
    world = cross().worth("10000").setting("ETHUSDT", MarginMode.ISOLATED, leverage=5).resting(order)
    assert after(a_buy("BTCUSDT", "1"), world) == after(a_buy("BTCUSDT", "1"), cross().worth("5000"))
    held = world.worth("15000").isolating("ETHUSDT", "2", margin="5000")
    assert after(a_buy("BTCUSDT", "1"), held) == after(a_buy("BTCUSDT", "1"), cross().worth("5000"))


# What another asset margins


def with_usdc(world: World) -> World:
    """In single-asset mode, with contracts that USDC margins, of which nothing but the marks is known."""
    for symbol in ("BTCUSDC", "ETHUSDC"):
        world = world.marked(symbol, "50000").setting(symbol, MarginMode.CROSS)
    return world.with_assets(False)


@pytest.mark.parametrize("beside", [False, True], ids=["all on cross", "one isolated"])
def test_in_single_asset_mode_contracts_of_another_asset_take_nothing_from_the_balance(beside: bool) -> None:
    """Not a leg of either margin mode, and nothing that rests or is under way."""
    plain = with_usdc(cross().worth("10000").long("ETHUSDT", "1"))
    if beside:
        plain = plain.isolating("DOGEUSDT", "1000", margin="50").setting("DOGEUSDT", MarginMode.ISOLATED)
    order = a_buy("BTCUSDT", "0.1")
    expected = after(order, plain)
    resting, sold = an_open_order(BUY, "ETHUSDC", "3", "50000"), a_sell("ETHUSDC", "2")
    for world in (
        plain.long("BTCUSDC", "2"),
        plain.isolating("BTCUSDC", "0.4", margin="12000").setting("BTCUSDC", MarginMode.ISOLATED),
        plain.isolating("BTCUSDC", "0.4", margin=None),
        plain.resting(resting),
        plain.setting("ETHUSDC", MarginMode.ISOLATED).resting(resting),
        plain.holding(sold),
        plain.setting("ETHUSDC", MarginMode.ISOLATED).holding(sold),
    ):
        assert after(order, world) == expected


def test_in_multi_assets_mode_and_while_the_mode_is_not_known_they_count() -> None:
    world = tiered(with_usdc(cross().worth("10000")).listing("BTCUSDC", quote_asset="USDC").long("BTCUSDC", "0.1"))
    alone_, order = cross().worth("10000"), a_buy("BTCUSDT", "0.1")
    assert after(order, world) == after(order, alone_) == after(order, world.holding(a_buy("BTCUSDC", "0.1")))
    for multi_assets in (None, True):
        assert after(order, world.with_assets(multi_assets)).distance < after(order, alone_).distance


# Smaller is never worse


orders = st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.booleans(), st.integers(1, 4000))


@given(
    st.booleans(),
    st.integers(1, 50),
    st.lists(orders, max_size=3),
    st.integers(-2000, 2000),
    st.integers(1, 60_000),
    st.tuples(st.booleans(), st.integers(2, 4000), st.integers(45_000, 55_000)),
    st.decimals("0.001", "0.6", places=3),
)
@examples(150)
def test_if_an_order_is_far_enough_every_smaller_one_is(
    apart: bool,
    leverage: int,
    under_way: list[tuple[str, bool, int]],
    held: int,
    margin: int,
    asked: tuple[bool, int, int],
    required: Decimal,
) -> None:
    world = (isolated if apart else cross)(leverage=leverage).worth("200000")
    if held and apart:
        world = world.isolating("BTCUSDT", str(D(held) / 1000), margin=str(margin), entry_price="51000")
    elif held:
        world = world._position("BTCUSDT", D(held) / 1000)
    for symbol, buys, lots in under_way:
        world = world.holding((a_buy if buys else a_sell)(symbol, str(D(lots) / 1000)))
    buys, lots, price = asked
    order = a_buy if buys else a_sell
    whole = after(order("BTCUSDT", str(D(lots) / 1000), str(price)), world)
    if whole.distance < required:
        return
    for part in {1, lots // 2, lots - 1}:
        assert after(order("BTCUSDT", str(D(part) / 1000), str(price)), world).distance >= required


# What is not known


@pytest.mark.parametrize(
    ("world", "missing"),
    [
        (cross().unsurveyed(), "the account"),
        (cross().unmarked("BTCUSDT"), "the mark price of BTCUSDT"),
        (cross().listing("BTCUSDT"), "the margin tiers of BTCUSDT"),
        (cross().unlisted("BTCUSDT"), "the margin tiers of BTCUSDT"),
        (cross().long("ETHUSDT", "1").listing("ETHUSDT"), "the margin tiers of ETHUSDT"),
        (tiered(an_account()), "the margin mode of BTCUSDT"),
        (isolated(leverage=5).isolating("BTCUSDT", "1", margin=None), "the margin of the isolated BTCUSDT leg"),
        (tiered(an_account()).isolating("BTCUSDT", "1", margin="5000"), "the leverage set for BTCUSDT"),
    ],
)
def test_what_is_not_known_is_named(world: World, missing: str) -> None:
    with pytest.raises(MarginUnknown) as trouble:
        after(a_buy("BTCUSDT", "1"), world)
    assert str(trouble.value) == missing


def test_an_open_leg_says_its_mode_whatever_the_setting_said_before() -> None:
    world = isolated(leverage=10).long("BTCUSDT", "1").worth("10000")
    assert after(a_buy("BTCUSDT", "1"), world) == after(
        a_buy("BTCUSDT", "1"), cross().worth("10000").long("BTCUSDT", "1")
    )


def test_a_stop_entry_counts_at_its_trigger() -> None:
    world = cross().worth("10000")
    order = a_buy("BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="51000")
    assert after(order, world) == after(a_buy("BTCUSDT", "1", "51000"), world)
    sold = a_sell("BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="49000")
    assert after(sold, world) == after(a_sell("BTCUSDT", "1", "49000"), world)


def test_a_stop_limit_entry_counts_at_the_worse_of_its_two_prices() -> None:
    world = cross().worth("10000")
    sold = a_sell("BTCUSDT", "1", "48000", order_type=OrderType.STOP, trigger_price="49000")
    assert after(sold, world).distance == after(a_sell("BTCUSDT", "1", "48000"), world).distance
    bought = a_buy("BTCUSDT", "1", "52000", order_type=OrderType.STOP, trigger_price="51000")
    assert after(bought, world) == after(a_buy("BTCUSDT", "1", "52000"), world)


def test_a_sell_that_is_amended_through_the_mark_counts_at_its_new_price() -> None:
    world = cross().worth("10000").resting(an_open_order(SELL, "BTCUSDT", "1", "50000", order_id="7"))
    amended = after(an_amend(SELL, "BTCUSDT", "1", "48000", order_id="7"), world)
    assert amended == after(a_sell("BTCUSDT", "1", "48000"), cross().worth("10000"))


def test_settings_of_a_symbol_are_those_listed_or_the_usual_ones() -> None:
    world = cross()
    assert world.account is not None
    usual = SymbolSettings(symbol="", margin_mode=MarginMode.CROSS, leverage=D(20))
    account = replace(world.account, usual_settings=usual, settings=())
    assert account.settings_of("BTCUSDT") == replace(usual, symbol="BTCUSDT")
    assert replace(account, settings=world.account.settings).settings_of("BTCUSDT") == world.account.settings[0]
    assert replace(account, usual_settings=None).settings_of("BTCUSDT") is None
    assert account.margin_mode_of("BTCUSDT") is MarginMode.CROSS
    assert replace(account, usual_settings=None).margin_mode_of("BTCUSDT") is None


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_what_is_kept_of_other_symbols_is_not_used_once_they_have_changed(symbol: str) -> None:
    """An order of ETH keeps what BTC brings to the cross balance; then BTC is bought, or is itself the matter."""
    kept = cross().worth("100000").long("BTCUSDT", "1").short("ETHUSDT", "4")
    after(a_buy("ETHUSDT", "1"), kept)
    later = kept.holding(a_buy("BTCUSDT", "5"))
    assert later.account is not None
    anew = replace(later, account=replace(later.account))
    order = a_sell(symbol, "1")
    assert after(order, later) == after(order, anew)
    assert after(order, kept) == after(order, replace(kept, account=replace(later.account)))
