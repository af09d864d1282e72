"""The distance of legs that leave their tier on the way, and the two ways to it: by sums, and leg by leg."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.margin.known import MarginUnknown
from rules.margin.maintenance import maintenance_margin
from rules.margin.moves import Moving, distance_to_liquidation
from rules.model import Command, MarginMode, PositionSide, Side
from tests.rules.builders import World, a_buy, a_sell, an_open_order
from tests.rules.position.margin_worlds import TIERS, cross, isolated
from tests.rules.test_margin import after, alone

D = Decimal
BUY, SELL = Side
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
FIRST, SECOND, THIRD = TIERS


def line(backing: str, notional: str, side: Side, tier: object = FIRST) -> Decimal:
    """Where a leg would end if it kept this tier."""
    rate, amount = tier.maintenance_rate, tier.maintenance_amount  # type: ignore[attr-defined]
    return (D(backing) - D(notional) * rate + amount) / (D(notional) * (1 - side.sign * rate))


def leg_by_leg(world: World) -> World:
    """With an isolated leg beside it that nothing stands behind: then sums are not enough."""
    return world.isolating("DOGEUSDT", "10", margin="0").setting("DOGEUSDT", MarginMode.ISOLATED)


# One leg.


def test_a_short_grows_into_the_last_tier() -> None:
    distance = alone("200000", "400000", SELL)
    assert distance == line("200000", "400000", SELL, THIRD) < line("200000", "400000", SELL, SECOND)


def test_a_tier_that_the_first_line_leads_to_and_the_answer_does_not_reach_is_left_again() -> None:
    assert 90_000 * (1 + line("412200", "90000", SELL, FIRST)) > 500_000
    assert 90_000 * (1 + line("412200", "90000", SELL, SECOND)) < 500_000
    assert alone("412200", "90000", SELL) == line("412200", "90000", SELL, SECOND)


@pytest.mark.parametrize("growing", [True, False])
def test_a_leg_of_nothing_changes_nothing(growing: bool) -> None:
    legs = [Moving(D(notional), (D(notional),), growing, TIERS) for notional in ("50000", "0")]
    assert distance_to_liquidation(D(10_000), legs) == distance_to_liquidation(D(10_000), legs[:1])


def test_what_is_missing_is_called_the_margin_tiers() -> None:
    with pytest.raises(MarginUnknown, match=r"^the margin tiers$"):
        maintenance_margin(D(1), ())


def test_the_loss_through_the_mark_is_that_of_the_whole_order() -> None:
    found = after(a_buy("BTCUSDT", "2", "50500"), cross().worth("20000"))
    assert found.distance == line("19000", "101000", BUY)


# The cross balance.


@pytest.mark.parametrize("world", [cross(), leg_by_leg(cross())], ids=["by sums", "leg by leg"])
def test_a_cross_leg_leaves_its_tier_on_its_way(world: World) -> None:
    grown = after(a_sell("BTCUSDT", "1.8"), world.worth("20000")).distance
    assert grown == line("20000", "90000", SELL, SECOND) < line("20000", "90000", SELL, FIRST)
    shrunk = after(a_buy("BTCUSDT", "2.2"), world.worth("30000")).distance
    assert shrunk == line("30000", "110000", BUY, FIRST) < line("30000", "110000", BUY, SECOND)


@pytest.mark.parametrize("world", [cross(), leg_by_leg(cross())], ids=["by sums", "leg by leg"])
def test_another_symbol_leaves_its_tier_too(world: World) -> None:
    world = world.worth("30000").short("ETHUSDT", "36")
    found = after(a_buy("BTCUSDT", "0.2"), world).distance
    free = 30_000 - 10_000 * FIRST.maintenance_rate - 90_000 * SECOND.maintenance_rate + SECOND.maintenance_amount
    assert found == free / (100_000 - 10_000 * FIRST.maintenance_rate + 90_000 * SECOND.maintenance_rate)


@pytest.mark.parametrize("world", [cross(), leg_by_leg(cross())], ids=["by sums", "leg by leg"])
def test_an_entry_of_another_symbol_under_way_counts_on_its_own_side(world: World) -> None:
    world = world.worth("10000")
    for way in (world.holding(a_sell("ETHUSDT", "4")), world.resting(an_open_order(SELL, "ETHUSDT", "4", "2500"))):
        assert after(a_buy("BTCUSDT", "1"), way) == after(a_buy("BTCUSDT", "1"), world.short("ETHUSDT", "4"))


CROSS, HEDGED = cross().worth("30000"), cross(hedged=True).worth("30000")


@pytest.mark.parametrize(
    ("world", "command"),
    [
        (CROSS, a_buy("BTCUSDT", "1")),
        (CROSS.short("BTCUSDT", "3"), a_buy("BTCUSDT", "1")),
        (CROSS.long("BTCUSDT", "3"), a_sell("BTCUSDT", "1")),
        (CROSS.long("BTCUSDT", "1").short("ETHUSDT", "4"), a_buy("BTCUSDT", "0.5")),
        (CROSS.long("ETHUSDT", "4").resting(an_open_order(SELL, "ETHUSDT", "9", "2500")), a_sell("BTCUSDT", "1")),
        (HEDGED.long("BTCUSDT", "1").short("BTCUSDT", "2"), a_buy("BTCUSDT", "0.5", position_side=LONG)),
        (HEDGED.long("BTCUSDT", "1").short("BTCUSDT", "2"), a_sell("BTCUSDT", "0.5", position_side=SHORT)),
        (HEDGED.long("ETHUSDT", "1").short("ETHUSDT", "2"), a_buy("BTCUSDT", "0.5", position_side=LONG)),
        (HEDGED.long("ETHUSDT", "1"), a_sell("BTCUSDT", "0.5", position_side=SHORT)),
    ],
)
def test_both_ways_lead_to_one_answer(world: World, command: Command) -> None:
    short, long = after(command, world), after(command, leg_by_leg(world))
    assert abs(short.distance - long.distance) < D("1e-20")
    assert short.maintenance_margin == long.maintenance_margin


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_leg_by_leg_too_what_is_kept_of_other_symbols_is_not_used_once_they_have_changed(symbol: str) -> None:
    kept = leg_by_leg(cross().worth("100000").long("BTCUSDT", "1").short("ETHUSDT", "4"))
    for other in ("ETHUSDT", "BTCUSDT"):
        after(a_buy(other, "1"), kept)
    later = kept.holding(a_buy("BTCUSDT", "5"))
    assert later.account is not None
    anew = replace(later, account=replace(later.account))
    for order in (a_sell(symbol, "1"), a_buy(symbol, "1")):
        assert after(order, later) == after(order, anew)
        assert after(order, kept) == after(order, replace(kept, account=replace(later.account)))


def test_a_tier_whose_amount_is_larger_than_its_margin_requires_nothing() -> None:
    odd = replace(FIRST, maintenance_amount=D(500))
    world = cross().worth("10000")
    world = replace(world, instruments={name: replace(each, tiers=(odd,)) for name, each in world.instruments.items()})
    for way in (world, leg_by_leg(world)):
        way = replace(way, instruments={name: replace(each, tiers=(odd,)) for name, each in way.instruments.items()})
        assert after(a_buy("BTCUSDT", "1"), way).maintenance_margin == 0


# Isolated.


def test_an_isolated_leg_leaves_its_tier_on_its_way() -> None:
    found = after(a_sell("BTCUSDT", "1.8"), isolated(leverage=2)).distance
    assert found == line("45000", "90000", SELL, SECOND)
