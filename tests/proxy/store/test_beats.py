"""Turns in a real store whose clock is put back: none lasts longer for it than it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from proxy.store.beats import BeatStore
from proxy.store.embedded import EmbeddedStore
from proxy.store.keys import Keys


@pytest.fixture
async def beats(server: EmbeddedStore, desk: str) -> AsyncIterator[BeatStore]:
    store = BeatStore(server.url, desk)
    yield store
    await store.aclose()


async def put_back_by_ten_minutes(raw: redis.asyncio.Redis, keys: Keys) -> None:
    """To its clock, the moments that stand there come so much later."""
    await raw.hincrby(keys.turn, "until_us", 600_000_000)


async def test_a_holder_that_died_before_the_clock_was_put_back_is_out_of_the_way_in_time(
    beats: BeatStore, raw: redis.asyncio.Redis, keys: Keys
) -> None:
    await beats.take_turn("the warden", 0.3)
    await put_back_by_ten_minutes(raw, keys)
    assert not (await beats.take_turn("watchdog", 5.0)).ours, "it may live, and has not asked again yet"
    await asyncio.sleep(0.4)
    turn = await beats.take_turn("watchdog", 5.0)
    assert (turn.ours, turn.number) == (True, 2)


async def test_a_holder_that_lives_keeps_its_turn_over_a_clock_that_is_put_back(
    beats: BeatStore, raw: redis.asyncio.Redis, keys: Keys
) -> None:
    await beats.take_turn("the warden", 0.3)
    await put_back_by_ten_minutes(raw, keys)
    await beats.take_turn("watchdog", 5.0)
    assert (await beats.take_turn("the warden", 5.0)).number == 1
    await asyncio.sleep(0.4)
    assert not (await beats.take_turn("watchdog", 5.0)).ours


async def test_a_turn_that_an_earlier_version_took_ends_when_it_said(
    beats: BeatStore, raw: redis.asyncio.Redis, keys: Keys
) -> None:
    seconds, micros = await raw.time()
    until_us = int(seconds) * 1_000_000 + int(micros) + 300_000
    await raw.hset(keys.turn, mapping={"holder": "the warden", "until_us": until_us, "number": 7})
    assert not (await beats.take_turn("watchdog", 5.0)).ours
    await asyncio.sleep(0.4)
    assert (await beats.take_turn("watchdog", 5.0)).number == 8
