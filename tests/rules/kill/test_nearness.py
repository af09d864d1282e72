"""The guard's own distance to liquidation of legs as they stand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.kill.nearness import distance_of, notional, revalued
from tests.rules.builders import World
from tests.rules.position.margin_worlds import cross

BTC, ETH = "BTCUSDT", "ETHUSDT"


def distance(world: World, symbol: str = BTC) -> Decimal | None:
    snapshot = world.snapshot
    account = snapshot.account
    assert account is not None
    account = revalued(account, snapshot.markets)
    leg = next(each for each in account.positions if each.symbol == symbol)
    return distance_of(leg, account, snapshot.instruments)


def test_a_smaller_balance_is_nearer_and_a_second_leg_of_the_same_side_too() -> None:
    far, near = cross().worth("100000").long(BTC, "1"), cross().worth("20000").long(BTC, "1")
    assert distance(far) > distance(near) > 0  # type: ignore[operator]
    assert distance(near.long(ETH, "5")) < distance(near)  # type: ignore[operator]


def test_the_other_side_is_no_credit() -> None:
    alone = distance(cross().worth("20000").long(BTC, "1"))
    hedged = distance(cross().worth("20000").long(BTC, "1").short(ETH, "5"))
    assert alone is not None and hedged is not None and hedged <= alone


def test_the_newest_mark_counts() -> None:
    world = cross().worth("20000").long(BTC, "1")
    snapshot = world.snapshot
    account = snapshot.account
    assert account is not None
    mark = account.positions[0].mark_price
    fallen = {BTC: replace(snapshot.markets[BTC], mark_price=mark - 1_000)}
    moved = revalued(account, fallen)
    assert moved.margin_balance == account.margin_balance - 1_000
    assert notional(moved.positions[0]) == mark - 1_000
    assert revalued(account, {}) == account


def test_what_every_leg_gains_and_loses_counts() -> None:
    snapshot = cross().worth("20000").long(BTC, "1").short(ETH, "10").snapshot
    assert snapshot.account is not None
    moved = {symbol: replace(market, mark_price=market.mark_price - 100) for symbol, market in snapshot.markets.items()}
    assert revalued(snapshot.account, moved).margin_balance == 20_000 - 100 + 10 * 100


# 50,000 of notional takes 0.4 % of maintenance margin, which moves with the price; see ``margin_worlds.TIERS``.


@pytest.mark.parametrize(
    ("quantity", "entry_price", "backing"),
    [("1", "50000", 1_000), ("1", "49000", 2_000), ("-1", "50000", 1_000), ("-1", "50500", 1_500)],
)
def test_an_isolated_leg_goes_as_far_as_its_margin_and_its_result_carry_it(
    quantity: str, entry_price: str, backing: int
) -> None:
    world = cross().isolating(BTC, quantity, margin="1000", entry_price=entry_price)
    found, sign = distance(world), 1 if Decimal(quantity) > 0 else -1
    assert found is not None
    required = Decimal("0.004") * 50_000 * (1 - sign * found)
    assert abs(backing - found * 50_000 - required) < Decimal("0.001")


def test_a_leg_within_the_unit_is_of_its_own_sign() -> None:
    worlds = (
        (cross().worth("1000").long(BTC, "0.5"), 1),
        (cross().worth("1000").short(BTC, "0.5"), -1),
        (cross().isolating(BTC, "0.5", margin="1000"), 1),
        (cross().isolating(BTC, "-0.5", margin="1000"), -1),
    )
    for world, sign in worlds:
        found = distance(world)
        assert found is not None
        assert abs(1_000 - found * 25_000 - Decimal("0.004") * 25_000 * (1 - sign * found)) < Decimal("0.001")


def test_what_backs_an_isolated_leg_backs_no_other() -> None:
    alone = distance(cross().worth("20000").long(ETH, "10"), ETH)
    beside = cross().worth("23000").long(ETH, "10").isolating(BTC, "1", margin="1000", entry_price="48000")
    assert distance(beside, ETH) == alone, "1,000 of margin and 2,000 of its result"
    under_water = cross().worth("20000").long(ETH, "10").isolating(BTC, "1", margin="1000", entry_price="52000")
    assert distance(under_water, ETH) == alone, "what it has lost beyond its margin is not the account's"


def test_a_hedge_of_the_leg_gains_nothing_and_needs_its_maintenance_margin() -> None:
    found = distance(cross().worth("20000").long(BTC, "1").short(ETH, "0.4"))
    assert found is not None
    assert abs(20_000 - found * 50_000 - Decimal("0.004") * 51_000 * (1 - found)) < Decimal("0.001")


@pytest.mark.parametrize(
    "world",
    [
        cross().worth("20000").long(BTC, "1").unlisted(BTC),
        cross().worth("20000").isolating(BTC, "1", margin=None),
        cross().worth("20000").long(ETH, "1").isolating(BTC, "1", margin=None),
    ],
)
def test_what_cannot_be_worked_out_is_not_guessed(world: World) -> None:
    assert distance(world) is None
