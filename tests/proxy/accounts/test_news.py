"""What is published together, and what does not wait for anything."""

from __future__ import annotations

import asyncio

import pytest

from proxy.accounts import news as module
from proxy.accounts.news import News


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of gathering does not come while the test lasts."""
    monkeypatch.setattr(module, "GATHER_S", 3600.0)


async def is_due(news: News) -> bool:
    """Whether a wait is over without any time passing."""
    waiting = asyncio.ensure_future(news.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if waiting.done():
        return True
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return False


async def test_what_the_stream_tells_is_due_after_a_moment() -> None:
    news = News()
    for _ in range(3):
        news.told()
        assert not await is_due(news), "others may follow"
        await asyncio.wait_for(news.wait(), 10)
        assert not await is_due(news), "it was taken"


@pytest.mark.usefixtures("never")
async def test_a_doubt_waits_for_nothing_and_takes_along_what_was_gathered() -> None:
    news = News()
    news.told()
    news.at_once()
    assert await is_due(news)
    assert not await is_due(news)


async def test_what_was_taken_along_is_not_due_again() -> None:
    news = News()
    news.told()
    news.at_once()
    await news.wait()
    await asyncio.sleep(3 * module.GATHER_S)
    assert not await is_due(news)


async def test_frames_that_follow_do_not_put_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.02)
    news = News()
    waiting = asyncio.ensure_future(news.wait())
    async with asyncio.timeout(10):
        while not waiting.done():
            news.told()
            await asyncio.sleep(0.001)


async def test_what_comes_while_news_is_published_is_due_after_it() -> None:
    news = News()
    news.told()
    await news.wait()
    news.told()
    await asyncio.wait_for(news.wait(), 10)
