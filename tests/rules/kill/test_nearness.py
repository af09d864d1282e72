"""The guard's own distance to liquidation of legs as they stand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import Account
from rules.kill.nearness import distance_of, is_carried, notional, revalued
from tests.rules.builders import World, an_account
from tests.rules.position.margin_worlds import TIERS, cross

BTC, ETH, USDC = "BTCUSDT", "ETHUSDT", "BTCUSDC"


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


def distances(world: World) -> list[Decimal]:
    """Of every leg, in the order in which they were opened."""
    account, instruments = world.snapshot.account, world.snapshot.instruments
    assert account is not None
    found = [distance_of(leg, account, instruments) for leg in account.positions]
    return [each for each in found if each is not None]


def paired(long: str, short: str, worth: str) -> World:
    return cross(hedged=True).worth(worth).long(BTC, long).short(BTC, short)


def test_what_one_leg_of_a_symbol_loses_the_other_gains() -> None:
    """A fall takes 50,000 of the net for the whole of the price; both legs need 0.4 % of what they are worth then."""
    long, short = distances(paired("2", "1", "20000"))
    assert abs(20_000 - long * 50_000 - Decimal("0.004") * 150_000 * (1 - long)) < Decimal("0.001")
    assert short == Decimal("Infinity"), "however far it rises, the long gains more than both require"


def test_of_an_all_but_even_hedge_a_rise_alone_is_an_end_for_the_margin_it_takes() -> None:
    """Both legs reach the tier of 2 % less 7,600 long before: 20,000 and 5,000 a price are what is left for it."""
    long, short = distances(paired("10", "9.9", "20000"))
    assert long == Decimal("Infinity"), "the net is smaller than the balance: no fall ends it"
    assert abs(20_000 + 5_000 * short - (Decimal("0.02") * 995_000 * (1 + short) - 2 * 7_600)) < Decimal("0.001")


def test_a_hedge_past_what_it_requires_is_at_its_end() -> None:
    assert distances(paired("10", "9.9", "4775")) == [0, 0]


def test_another_symbols_hedge_takes_no_more_than_its_net() -> None:
    alone = cross(hedged=True).worth("20000").long(BTC, "1")
    found = distances(alone.long(ETH, "4").short(ETH, "2"))[0]
    assert abs(20_000 - found * 55_000 - Decimal("0.004") * 65_000 * (1 - found)) < Decimal("0.001")
    gaining = distances(alone.long(ETH, "2").short(ETH, "4"))[0]
    assert abs(20_000 - gaining * 50_000 - Decimal("0.004") * 65_000 * (1 - gaining)) < Decimal("0.001")


def test_a_leg_that_is_small_beside_what_the_others_require_is_not_past_its_end() -> None:
    """The margin of the others falls faster than the leg loses."""
    long, short = distances(cross().worth("20000").long(BTC, "0.001").short(ETH, "100"))
    assert long == Decimal("Infinity") and 0 < short < 1


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


def in_single_asset_mode(worth: str, *, hedged: bool = False) -> World:
    """With a contract that USDC margins, beside those of the USDT balance."""
    world = cross(hedged=hedged).worth(worth).with_assets(False).marked(USDC, "50000")
    return world.listing(USDC, quote_asset="USDC", tiers=TIERS)


def test_what_another_asset_margins_takes_nothing_from_the_balance() -> None:
    plain = in_single_asset_mode("10000").long(BTC, "0.3")
    alone, isolating = distance(plain), plain.isolating(USDC, "0.4", margin="12000")
    assert alone is not None and 0 < alone < 1
    assert distance(isolating) == distance(plain.isolating(USDC, "0.4", margin=None)) == alone
    assert distance(plain.long(USDC, "2")) == distance(plain.long(USDC, "2").unlisted(USDC)) == alone
    for multi_assets in (None, True):
        assert distance(isolating.with_assets(multi_assets)) == 0
        nearer = distance(plain.with_assets(multi_assets).long(USDC, "2"))
        assert nearer is not None and nearer < alone


def test_of_a_cross_leg_that_another_asset_margins_nothing_is_known_whatever_the_balance() -> None:
    world = in_single_asset_mode("250000").long(USDC, "0.4")
    assert distance(world, USDC) is None
    assert distance(world.with_assets(None), USDC) == distance(world.with_assets(True), USDC) == Decimal("Infinity")
    isolated = in_single_asset_mode("0").isolating(USDC, "0.4", margin="2000")
    assert distance(isolated, USDC) == Decimal(1920) / (20_000 - 80), "it has its margin of its own"


def test_the_newest_mark_of_what_another_asset_margins_moves_no_balance() -> None:
    snapshot = in_single_asset_mode("20000").long(USDC, "1").snapshot
    assert snapshot.account is not None
    fallen = {USDC: replace(snapshot.markets[USDC], mark_price=Decimal(49_000))}
    moved = revalued(snapshot.account, fallen)
    assert (moved.margin_balance, moved.positions[0].mark_price) == (20_000, 49_000)
    for multi_assets in (None, True):
        assert revalued(replace(snapshot.account, multi_assets=multi_assets), fallen).margin_balance == 19_000


@pytest.mark.parametrize(
    ("long", "short", "price", "carried"),
    [
        ("2", "1", "10309", (False, True)),
        ("2", "1.99", "1321070", (True, False)),
        ("1", "2", "87379", (True, False)),
        ("1", "2", "49000", (False, False)),
    ],
)
def test_a_rise_that_ends_a_hedge_of_another_asset_is_not_taken_for_a_fall_past_its_end(
    long: str, short: str, price: str, carried: tuple[bool, ...]
) -> None:
    """What is behind it is never known; no long is left for long where it is past its end."""
    account = priced(in_single_asset_mode("500", hedged=True).long(USDC, long).short(USDC, short), price)
    assert tuple(is_carried(leg, account) for leg in account.positions) == carried


def priced(world: World, price: str) -> Account:
    """The account, with the venue's one liquidation price on all its legs."""
    account = world.snapshot.account
    assert account is not None
    return replace(
        account, positions=tuple(replace(leg, liquidation_price=Decimal(price)) for leg in account.positions)
    )


def hedge(long: str, short: str, worth: str) -> World:
    return an_account().hedged().worth(worth).long(BTC, long).short(BTC, short)


@pytest.mark.parametrize(
    ("world", "price", "carried"),
    [
        # The mark is 50,000. Net long, ended by a fall; net short, ended by a rise.
        (hedge("2", "1", "40000"), "10309", (False, True)),
        (hedge("1", "2", "40000"), "87379", (True, False)),
        # Past it already: the leg that outweighs the other is, and the venue is closing it.
        (hedge("2", "1", "500"), "51000", (False, False)),
        (hedge("1", "2", "500"), "49000", (False, False)),
        # Nothing and next to nothing is left of the net: a rise ends it, far away.
        (hedge("2", "2", "40000"), "1000000", (True, False)),
        (hedge("2", "1.99", "40000"), "1321070", (True, False)),
        # No hedge: a price on the side where it gains has been passed.
        (an_account().worth("500").long(BTC, "1"), "51000", (False,)),
        (an_account().hedged().worth("500").long(BTC, "1").short(ETH, "1"), "51000", (False, False)),
    ],
)
def test_of_a_hedge_the_venues_one_price_is_that_of_the_leg_that_carries_the_other(
    world: World, price: str, carried: tuple[bool, ...]
) -> None:
    account = priced(world, price)
    assert tuple(is_carried(leg, account) for leg in account.positions) == carried


def test_an_isolated_leg_stands_for_itself() -> None:
    account = priced(an_account().hedged().worth("40000").long(BTC, "2").isolating(BTC, "-1", margin="100"), "49000")
    assert [is_carried(leg, account) for leg in account.positions] == [False, False]


def test_a_net_long_counts_as_past_it_while_its_backing_is_not_known() -> None:
    account = priced(hedge("2", "1.99", "40000").isolating(ETH, "1", margin=None), "1321070")
    assert [is_carried(leg, account) for leg in account.positions] == [False, False, False]
