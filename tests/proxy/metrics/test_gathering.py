"""One scrape: whatever part fails is missing and said to be, and nobody makes the warden work by asking often."""

from __future__ import annotations

import asyncio
import logging

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.metrics import gathering
from proxy.metrics.gathering import Gatherer, Source
from proxy.metrics.sheet import Sheet
from tests.support.metrics import samples


class Parts:
    """Sources that answer, or do not; how often they were asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 100.0

    async def sound(self, sheet: Sheet) -> None:
        self.asked += 1
        sheet.put("store_up", self.asked)

    async def away(self, sheet: Sheet) -> None:
        raise StoreGone("gone")

    async def broken(self, sheet: Sheet) -> None:
        raise RuntimeError("a bug")

    async def hanging(self, sheet: Sheet) -> None:
        await asyncio.Event().wait()

    def gatherer(self, **sources: Source) -> Gatherer:
        return Gatherer(sources, clock=lambda: self.now)


def up(text: bytes) -> dict[str, float]:
    return {labels["source"]: number for labels, number in samples(text.decode())["source_up"]}


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_a_part_that_fails_does_not_take_the_others_with_it(
    parts: Parts, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "SOURCE_TIMEOUT_S", 0.05)
    caplog.set_level(logging.ERROR)
    text = await parts.gatherer(a=parts.sound, b=parts.away, c=parts.broken, d=parts.hanging).text()
    assert up(text) == {"a": 1, "b": 0, "c": 0, "d": 0}
    assert samples(text.decode())["store_up"] == [({}, 1)]
    assert [record.getMessage() for record in caplog.records] == ["a part of the metrics failed: c"]


async def test_within_a_second_everybody_gets_the_same_sheet(parts: Parts) -> None:
    gatherer = parts.gatherer(a=parts.sound)
    texts = await asyncio.gather(*(gatherer.text() for _ in range(50)))
    assert parts.asked == 1 and len(set(texts)) == 1
    parts.now += 1.0
    await gatherer.text()
    assert parts.asked == 2
