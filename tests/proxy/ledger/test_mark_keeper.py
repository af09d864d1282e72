"""Keeping marks and fundings minute by minute, whatever the venue and the disk do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.exchange.market_payloads import FundingRate
from proxy.exchange.troubles import VenueRefused, VenueUnavailable
from proxy.ledger import mark_keeper
from proxy.ledger.mark_keeper import MarkKeeper
from proxy.ledger.marks import KEPT, Funding, MarkBook, MarkReader, MarksUnavailable
from rules.snapshot import Market
from tests.rules.builders import NOW

VENUE = "binanceusdm"
MINUTE = timedelta(minutes=1)
HOURS = timedelta(hours=1)
STAMP = datetime(2026, 11, 24, 16, tzinfo=UTC)


class Reads:
    """The venue's list of funding rates, and what was asked of it."""

    def __init__(self) -> None:
        self.charged: list[datetime] = [STAMP - 16 * HOURS, STAMP - 8 * HOURS]
        self.asked: list[tuple[str, int]] = []
        self.trouble: dict[str, Exception] = {}

    async def funding_rates(self, symbol: str, limit: int, *, since_ms: int | None = None) -> tuple[FundingRate, ...]:
        assert since_ms is not None
        self.asked.append((symbol, since_ms))
        if symbol in self.trouble:
            raise self.trouble[symbol]
        at = [round(each.timestamp() * 1000) for each in self.charged]
        return tuple(FundingRate(ms, Decimal("0.0001")) for ms in at if ms >= since_ms)[:limit]


class World:
    """A keeper whose clock and prices the test holds."""

    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.symbols: tuple[str, ...] = ("BTCUSDT",)
        self.markets: dict[str, Market] = {}
        self.reads = Reads()
        self.path = directory / "ledger" / "marks.db"
        self.reader = MarkReader(self.path)
        self.keeper = MarkKeeper(
            venue=VENUE,
            path=self.path,
            reads=self.reads,  # type: ignore[arg-type]  # The part of it that is used.
            symbols=lambda: self.symbols,
            markets=lambda: self.markets,
            now=lambda: self.now,
        )
        self.prices("50000")

    def prices(self, price: str, *, stamp: datetime = STAMP, symbol: str = "BTCUSDT") -> None:
        market = Market(symbol=symbol, mark_price=Decimal(price), as_of=self.now, next_funding_at=stamp)
        self.markets[symbol] = market

    def mark(self, at: datetime, symbol: str = "BTCUSDT", within: timedelta = MINUTE / 2) -> Decimal | None:
        """The mark that was kept around then."""
        marks = self.reader.marks_between(VENUE, symbol, at - within, at + within)
        return marks[0][1] if marks else None

    def fundings(self) -> list[datetime]:
        found = self.reader.funding_between(VENUE, "BTCUSDT", NOW - 100 * HOURS, NOW + 100 * HOURS)
        return [each.at for each in found]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    built = World(tmp_path)
    yield built
    await built.keeper.aclose()


async def test_marks_are_kept_minute_by_minute_for_the_symbols_that_matter(world: World):
    world.prices("3000", symbol="ETHUSDT")
    for n in range(3):
        world.now = NOW + n * MINUTE
        world.prices(str(50_000 + n))
        await world.keeper.keep()
    assert [world.mark(NOW + n * MINUTE) for n in range(3)] == [50_000, 50_001, 50_002]
    assert world.mark(NOW, "ETHUSDT", MINUTE) is None


async def test_of_a_minute_the_first_mark_is_kept_and_of_a_new_symbol_at_once(world: World):
    await world.keeper.keep()
    world.now = NOW + timedelta(seconds=5)
    world.symbols = ("BTCUSDT", "ETHUSDT")
    world.prices("1")
    world.prices("3000", symbol="ETHUSDT")
    await world.keeper.keep()
    second = timedelta(seconds=1)
    assert world.mark(NOW, within=second) == 50_000
    assert world.mark(world.now, within=second) is None
    assert world.mark(world.now, "ETHUSDT", second) == 3_000


async def test_a_price_that_is_old_is_no_price_of_this_minute(world: World):
    world.now = NOW + MINUTE
    await world.keeper.keep()
    assert world.mark(NOW) == 50_000, "a minute is not old"
    world.prices("1")
    world.now += timedelta(seconds=61)
    await world.keeper.keep()
    assert world.mark(NOW + MINUTE) is None


async def test_fundings_of_the_last_day_are_read_at_first_and_then_at_each_stamp(world: World):
    await world.keeper.keep()
    await world.keeper.keep()
    assert world.fundings() == [STAMP - 16 * HOURS, STAMP - 8 * HOURS]
    assert len(world.reads.asked) == 1
    world.now = STAMP + MINUTE
    world.reads.charged.append(STAMP)
    world.prices("50000", stamp=STAMP + 8 * HOURS)
    await world.keeper.keep()
    await world.keeper.keep()
    assert world.fundings()[-1] == STAMP
    assert len(world.reads.asked) == 2
    assert world.reads.asked[1][1] == round((STAMP - 8 * HOURS).timestamp() * 1000) + 1


async def test_a_rate_that_is_not_listed_yet_is_asked_for_again_but_not_for_ever(world: World):
    await world.keeper.keep()
    world.prices("50000", stamp=STAMP + 8 * HOURS)
    for minutes in (0, 1):
        world.now = STAMP + minutes * MINUTE
        await world.keeper.keep()
    assert len(world.reads.asked) == 3
    world.reads.charged.append(STAMP)
    world.now = STAMP + 2 * MINUTE
    await world.keeper.keep()
    await world.keeper.keep()
    assert (len(world.reads.asked), world.fundings()[-1]) == (4, STAMP)
    world.prices("50000", stamp=STAMP + 16 * HOURS)
    world.now = STAMP + 8 * HOURS + timedelta(minutes=11)
    await world.keeper.keep()
    await world.keeper.keep()
    assert len(world.reads.asked) == 5


async def test_what_was_charged_while_nobody_looked_is_filled_in(world: World):
    await world.keeper.keep()
    await world.keeper.aclose()
    again = World(world.path.parent.parent)
    again.reads.charged += [STAMP, STAMP + 8 * HOURS, STAMP + 16 * HOURS]
    again.now = STAMP + 17 * HOURS
    again.prices("50000", stamp=STAMP + 24 * HOURS)
    await again.keeper.keep()
    assert world.fundings() == again.reads.charged
    await again.keeper.aclose()


async def test_a_symbol_the_venue_refuses_keeps_nobody_else_from_its_fundings(
    world: World, caplog: pytest.LogCaptureFixture
):
    world.symbols = ("AAAUSDT", "BTCUSDT")
    world.prices("1", symbol="AAAUSDT")
    world.reads.trouble["AAAUSDT"] = VenueRefused(-1121, "Invalid symbol.")
    for _ in range(3):
        await world.keeper.keep()
    assert len(world.fundings()) == 2
    assert [symbol for symbol, _ in world.reads.asked] == ["AAAUSDT", "BTCUSDT"]
    assert "funding rates of AAAUSDT are not kept: refused (-1121)" in caplog.text


async def test_one_symbol_is_asked_about_at_a_time_and_one_in_trouble_waits_its_turn(world: World):
    world.symbols = ("AAAUSDT", "BTCUSDT")
    world.prices("1", symbol="AAAUSDT")
    world.reads.trouble["AAAUSDT"] = VenueUnavailable("down")
    for seconds in range(3):
        world.now = NOW + timedelta(seconds=seconds)
        with contextlib.suppress(VenueUnavailable):
            await world.keeper.keep()
    assert [symbol for symbol, _ in world.reads.asked] == ["AAAUSDT", "BTCUSDT", "AAAUSDT"]


async def test_marks_are_kept_while_fundings_cannot_be_read(world: World):
    world.reads.trouble["BTCUSDT"] = VenueUnavailable("down")
    with pytest.raises(VenueUnavailable):
        await world.keeper.keep()
    assert world.mark(NOW) == 50_000
    world.reads.trouble.clear()
    await world.keeper.keep()
    assert len(world.fundings()) == 2


async def test_what_is_older_than_ninety_days_goes(world: World):
    world.now = NOW - KEPT - MINUTE
    world.prices("1")
    await world.keeper.keep()
    world.now = NOW
    world.prices("2")
    await world.keeper.keep()
    assert (world.mark(NOW - KEPT - MINUTE), world.mark(NOW)) == (None, 2)


async def test_a_disk_that_takes_nothing_stops_nothing_and_is_tried_again(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mark_keeper, "TROUBLE_PAUSE_S", 0.01)
    world.path.parent.write_text("a file stands where the folder should be")
    running = asyncio.create_task(world.keeper.run())
    try:
        async with asyncio.timeout(10):
            while "mark prices are not kept" not in caplog.text:
                await asyncio.sleep(0.01)
            world.path.parent.unlink()
            while world.keeper._book is None or _kept(world) is None:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _kept(world: World) -> Decimal | None:
    try:
        return world.mark(NOW)
    except MarksUnavailable:
        return None


async def test_rates_are_kept_as_they_were_charged(world: World):
    await world.keeper.keep()
    book = MarkBook.open(world.path)
    assert world.reader.funding_between(VENUE, "BTCUSDT", STAMP - 9 * HOURS, STAMP) == (
        Funding(STAMP - 8 * HOURS, Decimal("0.0001")),
    )
    book.close()
