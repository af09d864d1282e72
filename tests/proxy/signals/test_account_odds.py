"""From an account as the guard knows it to the forecasts that its rules read, and how old these are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.exchange.payloads import positions_of
from proxy.signals.account_odds import AccountOdds
from proxy.signals.bars import HOUR_S
from proxy.signals.hours import HourFeed
from proxy.signals.legs import book_of
from proxy.signals.shelf import Shelf
from proxy.signals.symbol_forecast import SymbolForecast
from rules.account import Account
from rules.facts import AccountRecord
from rules.fresh import WithoutFacts
from rules.instrument import MarginTier
from rules.market.liquidation_forecast import LiquidationForecast
from tests.proxy.signals.books import Learner, some_bars
from tests.rules.builders import NOW, World, a_buy, a_close, an_account, an_instrument, codes, judged

TIERS = (
    MarginTier(
        notional_floor=Decimal(0),
        notional_cap=Decimal(10_000_000),
        leverage_max=Decimal(100),
        maintenance_rate=Decimal("0.01"),
        maintenance_amount=Decimal(0),
    ),
)
HOUR = int(NOW.timestamp()) // HOUR_S * HOUR_S


@dataclass
class Prices:
    markets: dict[str, Any]
    instruments: dict[str, Any]


def with_price(account: Account, symbol: str, price: str | None) -> Account:
    legs = tuple(
        replace(leg, liquidation_price=None if price is None else Decimal(price)) if leg.symbol == symbol else leg
        for leg in account.positions
    )
    return replace(account, positions=legs)


class House:
    """A world, hours of its symbols, and what works its accounts out."""

    def __init__(self, world: World, data_dir: Path, *, hours: int = 1_000, at: datetime = NOW) -> None:
        self.world = world
        self.at = at
        self.broken: set[tuple[str, int]] = set()
        self.feed = HourFeed(
            reads=cast("Any", None),
            shelf=Shelf(data_dir, "venue"),
            warm=(),
            make=Learner,
            remake=Learner.of,
            now=lambda: self.at,
            clock_offset_ms=lambda: 0,
        )
        for seed, symbol in enumerate(world.markets):
            found = self.feed.known[symbol] = SymbolForecast(symbol, Learner(), self.feed.history)
            for bar in some_bars(hours, until=HOUR, price=float(world.markets[symbol].mark_price), seed=seed):
                found.feed(bar)
        instruments = {symbol: an_instrument(symbol, tiers=TIERS) for symbol in world.markets}
        self.odds = AccountOdds(
            feed=self.feed,
            prices=Prices(dict(world.markets), instruments),
            has_held=lambda symbol, horizon_h: (symbol, horizon_h) not in self.broken,
            now=lambda: self.at,
        )

    async def forecasts(self, account: Account | None = None):
        account = account or self.world.account
        assert account is not None
        await self.odds.work_out([account])
        return self.odds.forecasts(account.name)


def leveraged(price: str | None = "48500") -> World:
    """Two bitcoin on 5,000 of balance, liquidated 3 % below the mark."""
    world = an_account().worth("5000").long("BTCUSDT", "2")
    assert world.account is not None
    return replace(world, account=with_price(world.account, "BTCUSDT", price))


async def test_a_leveraged_leg_is_forecast_for_every_horizon_and_so_is_the_account(tmp_path):
    world = leveraged().marked("BTCUSDT", "50000", next_funding_at=NOW + timedelta(hours=6, minutes=30))
    found = await House(world, tmp_path).forecasts()
    assert [(each.symbol, each.horizon_s) for each in found] == [
        ("BTCUSDT", 3_600),
        ("BTCUSDT", 28_800),
        ("BTCUSDT", 86_400),
        ("BTCUSDT", 23_400),
        ("", 3_600),
        ("", 28_800),
        ("", 86_400),
        ("", 23_400),
    ]
    leg, account = found[:3], found[4:7]
    assert [each.probability for each in leg] == sorted(each.probability for each in leg)
    assert all(whole.probability >= part.probability for whole, part in zip(account, leg, strict=True))
    assert leg[1].probability > 0.05
    assert all(each.as_of == NOW for each in found)


async def test_the_rule_refuses_an_entry_on_it_and_lets_the_way_out_pass(tmp_path):
    world = leveraged()
    stated = await House(world, tmp_path).forecasts()
    seen = replace(world, record=AccountRecord(account="demo", version=1, as_of=NOW, forecasts=stated))
    rule = LiquidationForecast(probability_max=Decimal("0.05"))
    assert codes(judged(a_buy("BTCUSDT", "0.1"), seen, rule)) == ["LIQUIDATION_PROBABILITY_ABOVE_LIMIT"]
    assert codes(judged(a_buy("ETHUSDT", "0.1"), seen, rule)) == ["LIQUIDATION_PROBABILITY_ABOVE_LIMIT"]
    assert codes(judged(a_close("BTCUSDT"), seen, rule)) == []


async def test_it_is_as_old_as_the_oldest_of_what_it_rests_on(tmp_path):
    old_account, old_marks = leveraged().surveyed(400), leveraged().marked("BTCUSDT", "50000", seconds_ago=400)
    for world in (old_account, old_marks):
        (first, *_) = await House(world, tmp_path).forecasts()
        assert first.as_of == NOW - timedelta(seconds=400)
    # The hour that ended at ten is still not here at a quarter past: from five past on the forecasts grow old.
    late = NOW + timedelta(minutes=45)
    fresh = leveraged().marked("BTCUSDT", "50000", seconds_ago=-2_700).surveyed(-2_700)
    (first, *_) = await House(fresh, tmp_path, at=late).forecasts()
    assert first.as_of == late - timedelta(minutes=10)


async def test_nothing_is_stated_without_a_leg_or_without_hours_of_one(tmp_path):
    house = House(an_account(), tmp_path)
    assert await house.forecasts() == ()
    del house.feed.known["BTCUSDT"]
    assert await house.forecasts(leveraged().account) == ()


async def test_an_account_that_is_gone_is_forgotten(tmp_path):
    house = House(leveraged(), tmp_path)
    assert await house.forecasts()
    await house.odds.work_out([])
    assert house.odds.forecasts("demo") == ()
    assert house.odds.legs_of("BTCUSDT") == []


async def test_what_has_not_held_is_not_reliable_and_neither_is_what_rests_on_it(tmp_path):
    house = House(leveraged().long("ETHUSDT", "1"), tmp_path)
    assert all(each.reliable for each in await house.forecasts())
    house.broken = {("BTCUSDT", 8)}
    broken = {(each.symbol, each.horizon_s) for each in house.odds.forecasts("demo") if not each.reliable}
    assert broken == {("BTCUSDT", 28_800), ("", 28_800)}


async def test_young_symbols_are_cold_and_nobody_is_to_rely_on_them(tmp_path):
    house = House(leveraged(), tmp_path, hours=100)
    assert not any(each.reliable for each in await house.forecasts())
    found = house.odds.found["demo"].forecast
    assert found.cold and found.legs[0].cold


@pytest.mark.parametrize(("long", "short", "price"), [("2", "1", "10309"), ("1", "2", "87379"), ("2", "1.9", "0")])
async def test_a_healthy_hedge_is_told_as_one_whichever_side_outweighs(tmp_path, long, short, price):
    world = an_account().hedged().worth("40000").long("BTCUSDT", long).short("BTCUSDT", short)
    assert world.account is not None
    world = replace(world, account=with_price(world.account, "BTCUSDT", price))
    stated = await House(world, tmp_path).forecasts()
    assert len(stated) == 9 and max(each.probability for each in stated) < 1e-3
    seen = replace(world, record=AccountRecord(account="demo", version=1, as_of=NOW, forecasts=stated))
    assert codes(judged(a_buy("ETHUSDT", "0.01"), seen, LiquidationForecast(probability_max=Decimal("0.05")))) == []


def hedge(long: str, short: str, price: str | None, *, worth: str = "6000") -> World:
    """Both legs of bitcoin as the venue's answer has them; ``None``: no price was told since they changed."""
    rows = [
        {
            "symbol": "BTCUSDT",
            "positionSide": side,
            "positionAmt": amount,
            "entryPrice": "50000",
            "markPrice": "50000",
            "isolatedWallet": "0",
            **({} if price is None else {"liquidationPrice": price}),
        }
        for side, amount in (("LONG", long), ("SHORT", f"-{short}"))
    ]
    world = an_account().hedged().worth(worth)
    assert world.account is not None
    return replace(world, account=replace(world.account, positions=positions_of(rows)))


@pytest.mark.parametrize("hours", [1_000, 100], ids=["warm", "young"])
@pytest.mark.parametrize(
    ("long", "short", "price"), [("2", "1.9", "0"), ("2", "1.9", None), ("1.9", "2", "79136"), ("1.9", "2", None)]
)
async def test_a_healthy_hedge_is_told_as_one_as_the_venue_answers_and_after_a_fill(
    tmp_path, long, short, price, hours
):
    world = hedge(long, short, price)
    house = House(world, tmp_path, hours=hours)
    stated = await house.forecasts()
    assert {each.symbol for each in stated} == {"BTCUSDT", ""} and max(each.probability for each in stated) < 1e-3
    seen = replace(world, record=AccountRecord(account="demo", version=1, as_of=NOW, forecasts=stated))
    assert codes(judged(a_buy("ETHUSDT", "0.01"), seen, LiquidationForecast(probability_max=Decimal("0.05")))) == []


def test_a_price_that_is_not_told_is_another_thing_than_one_there_is_none_of():
    assert [leg.liquidation_price for leg in hedge("2", "1.9", "0").account.positions] == [0, 0]
    for nothing in (None, ""):
        assert [leg.liquidation_price for leg in hedge("2", "1.9", nothing).account.positions] == [None, None]


BENDING = (
    replace(TIERS[0], notional_cap=Decimal(60_000)),
    replace(
        TIERS[0],
        notional_floor=Decimal(60_000),
        maintenance_rate=Decimal("0.05"),
        maintenance_amount=Decimal(2_400),
    ),
)


@pytest.mark.parametrize("tiers", [TIERS, BENDING], ids=["one tier", "two tiers"])
@pytest.mark.parametrize(("long", "short"), [("2", "1"), ("1", "2"), ("2", "1.5"), ("1.2", "1.5"), ("2", "0.1")])
def test_without_a_price_the_end_of_a_hedge_is_where_its_net_no_longer_keeps_both_legs(long, short, tiers):
    world = hedge(long, short, None, worth="9000")
    instruments = {"BTCUSDT": an_instrument("BTCUSDT", tiers=tiers)}
    book = book_of(world.account, world.markets, instruments)
    heavier, lighter = sorted(book.legs, key=lambda leg: -abs(leg.quantity))
    assert lighter.distance is None and lighter.is_known
    move = -heavier.distance if heavier.is_long else heavier.distance
    after = [leg.after(move) for leg in book.legs]
    assert book.balance + sum(gained for gained, _ in after) == pytest.approx(sum(needed for _, needed in after))
    assert 0 < heavier.distance == heavier.together


def test_a_hedge_that_keeps_nothing_more_is_at_its_end_and_without_tiers_nobody_knows():
    world = hedge("2", "1.9", None, worth="1000")
    instruments = {"BTCUSDT": an_instrument("BTCUSDT", tiers=TIERS)}
    assert [leg.distance for leg in book_of(world.account, world.markets, instruments).legs] == [0, 0]
    assert not any(leg.is_known for leg in book_of(world.account, world.markets, {}).legs)
    beside = world.isolating("ETHUSDT", "1", margin=None).account
    instruments["ETHUSDT"] = an_instrument("ETHUSDT", tiers=TIERS)
    assert not any(leg.is_known for leg in book_of(beside, world.markets, instruments).legs)


def test_what_one_symbol_of_a_hedge_gains_is_no_credit_for_another():
    world = hedge("2", "1.9", None).long("ETHUSDT", "10")
    instruments = {symbol: an_instrument(symbol, tiers=TIERS) for symbol in world.markets}
    legs = book_of(world.account, world.markets, instruments).legs
    ether = next(leg for leg in legs if leg.symbol == "ETHUSDT")
    # The bitcoin of both legs nets to 5,000 long, which falls with it.
    value = ether.quantity * ether.mark
    assert ether.distance == pytest.approx((6_000 - 1_950 - 0.01 * value) / (5_000 + value - 1_950 - 0.01 * value))


async def test_a_leg_whose_symbol_has_no_hours_silences_no_other(tmp_path):
    house = House(leveraged("49900").long("ETHUSDT", "0.0004"), tmp_path)
    for gone in (SymbolForecast("ETHUSDT", Learner(), house.feed.history), None):
        if gone is None:
            del house.feed.known["ETHUSDT"]
        else:
            house.feed.known["ETHUSDT"] = gone
        stated = await house.forecasts()
        assert {each.symbol for each in stated} == {"BTCUSDT", ""}
        assert all(each.reliable is (each.symbol == "BTCUSDT") for each in stated)
        assert min(each.probability for each in stated) > 0.5
        assert house.odds.found["demo"].forecast.cold


async def test_a_leg_without_a_hedge_that_is_past_its_price_is_certain(tmp_path):
    stated = await House(leveraged("51000"), tmp_path).forecasts()
    assert min(each.probability for each in stated) > 0.999


async def test_how_far_a_leg_is_not_being_known_is_not_told_as_the_lowest_odds(tmp_path):
    world = leveraged(None)
    house = House(world, tmp_path)
    house.odds._prices.instruments = {symbol: an_instrument(symbol) for symbol in world.markets}
    stated = await house.forecasts()
    assert stated == ()
    seen = replace(world, record=AccountRecord(account="demo", version=1, as_of=NOW, forecasts=stated))
    rule = LiquidationForecast(probability_max=Decimal("0.05"), when_stale=WithoutFacts.REFUSE)
    assert codes(judged(a_buy("BTCUSDT", "0.1"), seen, rule)) == ["FACTS_UNKNOWN"]


async def test_beside_a_leg_that_is_not_known_the_other_is_still_told_and_nobody_is_to_rely_on_the_whole(tmp_path):
    world = leveraged().isolating("ETHUSDT", "1", margin=None)
    assert world.account is not None
    stated = await House(world, tmp_path).forecasts()
    assert {each.symbol for each in stated} == {"BTCUSDT", ""}
    assert all(each.reliable is (each.symbol == "BTCUSDT") for each in stated)
    assert all(each.probability > 0.05 for each in stated if each.horizon_s >= 28_800)


def test_a_book_has_distances_of_the_venue_and_where_it_has_none_the_guards_own():
    world = leveraged()
    instruments = {symbol: an_instrument(symbol, tiers=TIERS) for symbol in world.markets}
    assert world.account is not None
    by_venue = book_of(world.account, world.markets, instruments).legs[0]
    assert by_venue.distance == pytest.approx(0.03)
    own = book_of(with_price(world.account, "BTCUSDT", None), world.markets, instruments).legs[0]
    # 5,000 behind 100,000 of which 1 % must stay: 4,000 / 99,000.
    assert own.distance == own.together == pytest.approx(4_000 / 99_000)
    never = book_of(with_price(world.account, "BTCUSDT", "0"), world.markets, instruments).legs[0]
    assert never.distance is None
    moved = book_of(world.account, world.marked("BTCUSDT", "49000").markets, instruments)
    assert moved.legs[0].distance == pytest.approx(0.5 / 49) and moved.balance == pytest.approx(3_000)


def test_shorts_look_upwards_and_isolated_legs_stand_alone():
    world = an_account().worth("5000").short("BTCUSDT", "1").isolating("ETHUSDT", "-10", margin="2000")
    instruments = {symbol: an_instrument(symbol, tiers=TIERS) for symbol in world.markets}
    account = with_price(with_price(world.account, "BTCUSDT", "52000"), "ETHUSDT", "2600")
    short, isolated = book_of(account, world.markets, instruments).legs
    assert (short.is_long, short.distance) == (False, pytest.approx(0.04))
    assert (isolated.isolated, isolated.backing) == (True, 2_000)
    assert book_of(account, world.markets, instruments).balance == pytest.approx(3_000)
    assert short.after(0.1)[0] == pytest.approx(-5_000) and short.after(0.1)[1] == pytest.approx(550)


def beside_usdc(world: World) -> World:
    """In single-asset mode, with a contract that USDC margins."""
    return world.with_assets(False).marked("BTCUSDC", "50000")


def test_what_another_asset_margins_is_no_part_of_the_cross_balance():
    world = beside_usdc(leveraged())
    instruments = {symbol: an_instrument(symbol, tiers=TIERS) for symbol in world.markets}
    alone = book_of(world.account, world.markets, instruments)
    isolating, cross = world.isolating("BTCUSDC", "0.4", margin="12000"), world.long("BTCUSDC", "0.4")
    for beside in (isolating, cross):
        book = book_of(beside.account, beside.markets, instruments)
        assert (book.balance, book.required, book.crossed) == (alone.balance, alone.required, book.legs[:1])
        assert book.legs[0].together == alone.legs[0].together
        together = book_of(beside.with_assets(True).account, beside.markets, instruments)
        assert together.balance - together.required < alone.balance - alone.required
    own = book_of(isolating.account, isolating.markets, instruments).legs[1]
    assert own.is_known and own.distance == own.together == pytest.approx((12_000 - 200) / (20_000 - 200))
    assert not book_of(cross.account, cross.markets, instruments).legs[1].is_known
    told = book_of(with_price(cross.account, "BTCUSDC", "49500"), cross.markets, instruments).legs[1]
    assert told.is_known and told.distance == pytest.approx(0.01)


async def test_a_cross_leg_of_another_asset_is_told_by_the_venues_price_and_makes_the_balance_no_colder(tmp_path):
    world = beside_usdc(leveraged())
    assert world.account is not None
    plain = House(world, tmp_path / "plain")
    await plain.forecasts()
    with_leg = world.long("BTCUSDC", "0.4")
    house = House(replace(with_leg, account=with_price(with_leg.account, "BTCUSDC", "49500")), tmp_path / "both")
    stated = await house.forecasts()
    assert {each.symbol for each in stated} == {"BTCUSDT", "BTCUSDC", ""}
    assert min(each.probability for each in stated if each.symbol == "BTCUSDC") > 0.05
    found, alone = house.odds.found["demo"].forecast, plain.odds.found["demo"].forecast
    assert (found.cold, found.stress) == (alone.cold, alone.stress)
    assert found.cross and found.legs[1].stress == () and found.legs[0].stress


def test_without_margin_tiers_the_venues_price_still_counts():
    world = leveraged()
    assert world.account is not None
    (leg,) = book_of(world.account, world.markets, {}).legs
    assert (leg.distance, leg.together, leg.tiers) == (pytest.approx(0.03), None, None)


async def test_a_symbol_that_is_dropped_while_an_account_is_worked_out_ends_nothing(tmp_path):
    house = House(leveraged().long("ETHUSDT", "1"), tmp_path)
    whole = await house.forecasts()
    under_way = asyncio.create_task(house.forecasts())
    for _ in range(2):
        await asyncio.sleep(0)
    await house.feed.follow(["ETHUSDT"])
    assert await under_way == whole, "worked out from what was known when it began"
    assert {each.symbol for each in await house.forecasts()} == {"ETHUSDT", ""}
