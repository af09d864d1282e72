"""Prices are published at the marks' pace: what stands beside them may be missing or old, and never holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from proxy.accounts import markets
from proxy.accounts.markets import MarketKeeper
from proxy.exchange.market_payloads import Touch
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueUnavailable
from rules.instrument import Instrument
from rules.snapshot import Market
from tests.rules.builders import NOW, an_instrument

TOUCH = Touch(bid_price=Decimal(99), bid_quantity=Decimal(1), ask_price=Decimal(101), ask_quantity=Decimal(2))


class Hands:
    """The venue's answers; each read may be made to fail."""

    def __init__(self) -> None:
        self.public = self
        self.touches_trouble: Exception | None = None
        self.marks_trouble: Exception | None = None
        self.listed: dict[str, Instrument] = {}

    async def instruments(self) -> dict[str, Instrument]:
        return dict(self.listed)

    async def markets(self, now: datetime) -> dict[str, Market]:
        if self.marks_trouble is not None:
            raise self.marks_trouble
        return {symbol: Market(symbol=symbol, mark_price=Decimal(100), as_of=now) for symbol in ("AUSDT", "BUSDT")}

    async def touches(self) -> dict[str, Touch]:
        if self.touches_trouble is not None:
            raise self.touches_trouble
        return {"AUSDT": TOUCH}

    async def last_prices(self) -> dict[str, Decimal]:
        return {"AUSDT": Decimal("100.5")}


class Store:
    """What gates would be given."""

    def __init__(self) -> None:
        self.markets: list[Mapping[str, Market]] = []
        self.instruments: list[Mapping[str, Instrument]] = []

    async def publish_markets(self, venue: str, version: str, content: Mapping[str, Market]) -> None:
        self.markets.append(content)

    async def publish_instruments(self, venue: str, version: str, content: Mapping[str, Instrument]) -> None:
        self.instruments.append(content)


class World:
    def __init__(self) -> None:
        self.hands, self.store, self.answered = Hands(), Store(), list[float]()
        self.documents: list[str] = []
        self.keeper = MarketKeeper(
            venue="binanceusdm",
            hands=self.hands,  # type: ignore[arg-type]  # The part of them that is used.
            store=self.store,  # type: ignore[arg-type]
            document=self._document,
            now=lambda: NOW,
            every_s=0.01,
            answered=self.answered.append,
        )

    async def _document(self, name: str, *_: Any) -> None:
        self.documents.append(name)

    async def while_running(self, until: Callable[[], bool]) -> None:
        running = asyncio.create_task(self.keeper.run())
        try:
            async with asyncio.timeout(10):
                while not until():
                    await asyncio.sleep(0.005)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def world() -> World:
    return World()


async def test_quotes_join_the_marks(world: World):
    await world.keeper.read_quotes()
    await world.keeper.publish_markets()
    (published,) = world.store.markets
    assert published["AUSDT"] == Market(
        symbol="AUSDT",
        mark_price=Decimal(100),
        as_of=NOW,
        bid_price=Decimal(99),
        bid_quantity=Decimal(1),
        ask_price=Decimal(101),
        ask_quantity=Decimal(2),
        last_price=Decimal("100.5"),
    )
    assert published["BUSDT"] == Market(symbol="BUSDT", mark_price=Decimal(100), as_of=NOW), "nobody quotes it"


async def test_how_old_prices_are_goes_by_the_moment_they_were_asked_for(world: World):
    assert world.keeper.priced_at is None, "before any was read"
    await world.keeper.publish_markets()
    assert world.keeper.priced_at == NOW


async def test_a_store_that_lost_the_instruments_is_told_at_once_what_was_read_last(world: World):
    await world.keeper.publish_instruments_again()
    assert world.store.instruments == [], "nothing was read yet"
    world.hands.listed = {"AUSDT": an_instrument("AUSDT")}
    await world.keeper.publish_instruments()
    world.hands.listed = {}
    await world.keeper.publish_instruments_again()
    assert world.store.instruments == [{"AUSDT": an_instrument("AUSDT")}] * 2
    assert world.documents == ["instruments:binanceusdm"] * 2, "the record for the audit was lost with it"


async def test_quotes_of_long_ago_are_no_quotes(world: World, monkeypatch: pytest.MonkeyPatch):
    await world.keeper.read_quotes()
    monkeypatch.setattr(markets, "QUOTES_KEPT_S", -1.0)
    await world.keeper.publish_markets()
    market = world.store.markets[0]["AUSDT"]
    assert (market.mark_price, market.bid_price, market.ask_price, market.last_price) == (100, None, None, None)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (VenueUnavailable("down"), "quotes of binanceusdm (best bid and ask) failed: down"),
        (VenueThrottled(429, 60), "quotes of binanceusdm (best bid and ask): throttled (429), retry after 60 s"),
        (VenueRefused(-1, "no"), "quotes of binanceusdm (best bid and ask) failed: refused (-1): no"),
    ],
)
async def test_quotes_that_fail_hold_neither_marks_nor_one_another(
    world: World, trouble: Exception, said: str, caplog: pytest.LogCaptureFixture
):
    world.hands.touches_trouble = trouble
    await world.while_running(lambda: len(world.store.markets) > 3)
    market = world.store.markets[-1]["AUSDT"]
    assert (market.mark_price, market.bid_price, market.last_price) == (100, None, Decimal("100.5"))
    assert said in caplog.text


async def test_quotes_come_back_by_themselves(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(markets, "QUOTES_EVERY_S", 0.01)
    world.hands.touches_trouble = VenueUnavailable("down")
    await world.while_running(lambda: len(world.store.markets) > 1)
    world.hands.touches_trouble = None
    await world.while_running(lambda: world.store.markets[-1]["AUSDT"].bid_price == 99)


async def test_quotes_that_hang_hold_nothing(world: World):
    hanging: Callable[[], Awaitable[Any]] = asyncio.Event().wait
    world.keeper._touches._ask = hanging
    await world.while_running(lambda: len(world.store.markets) > 3)
    assert world.store.markets[-1]["AUSDT"].last_price == Decimal("100.5")


async def test_how_long_marks_took_is_told_when_they_come_and_when_they_do_not(world: World):
    await world.keeper.publish_markets()
    assert len(world.answered) == 1
    assert 0 <= world.answered[0] < 1_000
    world.hands.marks_trouble = VenueUnavailable("time-out")
    with pytest.raises(VenueUnavailable):
        await world.keeper.publish_markets()
    assert len(world.answered) == 2


@pytest.mark.parametrize("refusal", [VenueRefused(-1, "no"), VenueThrottled(429, 1)])
async def test_a_refusal_says_nothing_of_the_way(world: World, refusal: Exception):
    world.hands.marks_trouble = refusal
    with pytest.raises(type(refusal)):
        await world.keeper.publish_markets()
    assert world.answered == []
