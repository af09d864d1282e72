"""Reading the venue's funding list: through trouble, page by page, and not for ever for what does not come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from proxy.accounts import funding_watch
from proxy.accounts.funding_watch import FundingWatch
from proxy.accounts.shares import Shares
from proxy.exchange.payloads import FundingRow
from proxy.exchange.troubles import VenueThrottled, VenueTrouble, VenueUnavailable
from rules.model import Side
from tests.proxy.accounts.builders import a_fill, a_funding, an_account_event
from tests.support.waiting import until

PAGE = 3


class List:
    """A venue's funding list that answers ``PAGE`` rows at a time, and the troubles first that it is told to."""

    def __init__(self) -> None:
        self.rows: list[FundingRow] = []
        self.troubles: list[VenueTrouble] = []
        self.asked = 0
        self.shares = Shares(lambda name: name.partition("/")[0])
        self.shares.apply(a_fill("ann/1", Side.BUY, "1"))
        self.watch = FundingWatch(account="main", shares=self.shares, venue=self)

    async def fundings(self, since_ms: int) -> tuple[FundingRow, ...]:
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return tuple(row for row in self.rows if row.at_ms >= since_ms)[:PAGE]

    @property
    def received(self) -> Decimal:
        return sum((share.funding for share in self.shares.all()), Decimal(0))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funding_watch, "SOON_S", 0.002)
    monkeypatch.setattr(funding_watch, "AWAY_S", 0.004)
    monkeypatch.setattr(funding_watch, "FUNDINGS_MAX", PAGE)


@asynccontextmanager
async def running() -> AsyncIterator[List]:
    listed = List()
    task = asyncio.create_task(listed.watch.run())
    await until(lambda: listed.watch.mark is not None)
    try:
        yield listed
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_row_that_comes_after_its_event_is_waited_for() -> None:
    async with running() as listed:
        asked = listed.asked
        listed.watch.hear(an_account_event("FUNDING_FEE", change="-4"))
        await until(lambda: listed.asked >= asked + 3)
        listed.rows = [a_funding("1", "-4")]
        await until(lambda: listed.received == -4)


async def test_a_row_that_never_comes_is_not_asked_for_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as listed:
        listed.watch.hear(an_account_event("FUNDING_FEE", change="-4"))
        await until(lambda: "is not in the venue's list" in caplog.text)
        assert listed.asked <= funding_watch.READINGS_MAX + 1
        listed.rows = [a_funding("1", "-4")]
        listed.watch.look_soon()
        await until(lambda: listed.received == -4)


async def test_other_events_ask_for_nothing() -> None:
    async with running() as listed:
        listed.watch.hear(an_account_event("ORDER", change="-4"))
        assert not listed.watch._news.is_set()


async def test_the_venues_troubles_are_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as listed:
        listed.troubles = [VenueUnavailable("away"), VenueThrottled(429, 0.005)]
        listed.rows = [a_funding("1", "-4")]
        listed.watch.look_soon()
        await until(lambda: listed.received == -4)
    assert "funding of main cannot be read: away" in caplog.text
    assert "funding of main: throttled (429)" in caplog.text


async def test_a_list_longer_than_a_reading_is_counted_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funding_watch, "PAGES_MAX", 2)
    async with running() as listed:
        listed.rows = [a_funding(str(number), "-1", at_ms=10**7 * number) for number in range(1, 21)]
        listed.watch.look_soon()
        await until(lambda: listed.received == -20)


async def test_a_page_of_one_moment_is_trouble_and_not_an_endless_reading(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as listed:
        listed.rows = [a_funding(str(number), "-1") for number in range(PAGE)]
        listed.watch.look_soon()
        await until(lambda: "of one moment" in caplog.text)
        assert listed.received == 0
