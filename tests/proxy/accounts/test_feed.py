"""A feed keeps its stream open, says at once when it is not, and holds no more frames than it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.accounts import feed as feeds
from proxy.accounts.feed import Feed
from proxy.exchange.troubles import VenueUnavailable


class Line:
    """A stream whose connections a test opens and ends."""

    silent_s = 0.0

    def __init__(self) -> None:
        self.connects = 0
        self.open = asyncio.Event()
        self.refuses = False
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        self.connects += 1
        if self.refuses:
            raise VenueUnavailable("refused")
        self._end = asyncio.get_running_loop().create_future()
        self.open.set()

    async def ended(self) -> str:
        return await asyncio.shield(self._end)

    async def disconnect(self) -> None:
        self.open.clear()

    def cut(self) -> None:
        self._end.set_result("cut")

    def fail(self) -> None:
        self._end.set_exception(VenueUnavailable("key not renewed"))


class Desk:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.line = Line()
        self.news = asyncio.Event()
        self.feed = Feed("demo", opened=self._opened, broke=self._broke, woke=lambda: self.told.append("frame"))
        self.feed.stream = self.line

    def _opened(self) -> None:
        self.told.append("opened")
        self.news.set()

    def _broke(self, why: str) -> None:
        self.told.append(why)
        self.news.set()

    async def next(self) -> str:
        async with asyncio.timeout(5):
            await self.news.wait()
        self.news.clear()
        return self.told[-1]


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(feeds, "BACKOFF_FIRST_S", 0.001)
    monkeypatch.setattr(feeds, "BACKOFF_MAX_S", 0.01)
    desk = Desk()
    task = asyncio.create_task(desk.feed.run())
    yield desk
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_that_ends_is_told_and_made_again(desk: Desk) -> None:
    assert await desk.next() == "opened"
    assert desk.feed.connected
    desk.line.cut()
    assert await desk.next() == "cut"
    assert not desk.feed.connected
    assert desk.feed.silent_s is None
    assert await desk.next() == "opened"


async def test_trouble_while_it_is_open_is_told_too(desk: Desk) -> None:
    await desk.next()
    desk.line.fail()
    assert await desk.next() == "key not renewed"
    assert await desk.next() == "opened"


async def test_a_venue_that_refuses_is_tried_again(desk: Desk) -> None:
    await desk.next()
    desk.line.refuses = True
    desk.line.cut()
    assert await desk.next() == "cut"
    assert await desk.next() == "refused"
    desk.line.refuses = False
    while await desk.next() != "opened":
        pass
    assert desk.line.connects >= 3


async def test_a_new_connection_can_be_asked_for(desk: Desk) -> None:
    await desk.next()
    desk.feed.reconnect()
    assert await desk.next() == "its listen key ran out"
    assert await desk.next() == "opened"


async def test_frames_wait_in_their_order(desk: Desk) -> None:
    for number in range(3):
        desk.feed.received(number)
    assert desk.feed.take() == [0, 1, 2]
    assert desk.feed.take() == []


async def test_too_many_waiting_frames_are_a_gap(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.next()
    monkeypatch.setattr(feeds, "QUEUE_MAX", 2)
    for number in range(3):
        desk.feed.received(number)
    assert "more than 2 events waited" in desk.told
    assert desk.feed.take() == []
