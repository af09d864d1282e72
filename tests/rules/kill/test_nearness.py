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


def test_an_isolated_leg_stands_alone() -> None:
    rich = cross().worth("1000000").isolating(BTC, "1", margin="1000")
    poor = cross().worth("2000").isolating(BTC, "1", margin="1000")
    assert distance(rich) == distance(poor)


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
