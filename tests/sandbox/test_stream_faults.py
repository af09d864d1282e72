"""Streams that misbehave on request: late, lost, doubled, swapped, silent, closed and refused."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.sandbox.practice import BOB, PracticeServer
from tests.sandbox.sockets import hear_account, heard_so_far, listen, trader

BTC = "BTCUSDT"


def client_ids(messages: list[Any]) -> list[str]:
    return [message["o"]["c"] for message in messages if message["e"] == "ORDER_TRADE_UPDATE"]


def place(bot: Any, *names: str) -> None:
    for name in names:
        bot.order(BTC, "BUY", "0.01", "88000", newClientOrderId=name).raise_for_status()


async def test_events_are_dropped_doubled_and_swapped_by_count(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        venue.streams(drop=1)
        place(bot, "a", "b")
        assert client_ids(await heard_so_far(ear, bot)) == ["b"]
        venue.streams(duplicate=2)
        place(bot, "c", "d", "e")
        assert client_ids(await heard_so_far(ear, bot)) == ["c", "c", "d", "d", "e"]
        venue.streams(reorder=2)
        place(bot, "f", "g", "h", "i", "j")
        assert client_ids(await heard_so_far(ear, bot)) == ["g", "f", "i", "h", "j"]
    assert (venue.streams()["drop"], venue.streams()["duplicate"], venue.streams()["reorder"]) == (0, 0, 0)


async def test_disarming_releases_what_was_held_back(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        venue.streams(reorder=1, drop=0)
        place(bot, "a")
        venue.control.delete("/streams")
        assert client_ids(await heard_so_far(ear, bot)) == ["a"]


async def test_an_execution_and_its_brief_twin_are_dropped_together(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        # The order's acceptance, the account's change, and the execution with its TRADE_LITE.
        venue.streams(drop=3)
        bot.order(BTC, "BUY", "0.01")
        assert await heard_so_far(ear, bot) == []


async def test_lag_delays_and_keeps_the_order(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        venue.streams(lag_ms=300)
        began = time.monotonic()
        place(bot, "a", "b")
        # Less lag does not let later events overtake.
        venue.streams(lag_ms=0)
        place(bot, "c")
        heard = [await ear.next() for _ in range(3)]
    assert client_ids(heard) == ["a", "b", "c"]
    assert time.monotonic() - began >= 0.3


async def test_a_frozen_stream_stays_open_and_loses_what_happens(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        venue.streams(freeze=True)
        place(bot, "lost")
        venue.streams(freeze=False)
        place(bot, "heard")
        assert client_ids(await heard_so_far(ear, bot)) == ["heard"]


async def test_a_frozen_stream_is_silent_about_what_was_under_way_too(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear, listen(venue, "/ws/btcusdt@trade") as prices:
        venue.streams(lag_ms=200, market_lag_ms=200)
        place(bot, "under-way")
        bot.order(BTC, "BUY", "0.02").raise_for_status()
        venue.streams(freeze=True, market_freeze=True)
        await asyncio.sleep(0.5)
        venue.streams(freeze=False, market_freeze=False, lag_ms=0, market_lag_ms=0)
        place(bot, "heard")
        assert client_ids(await heard_so_far(ear, bot)) == ["heard"]
        bot.order(BTC, "BUY", "0.03").raise_for_status()
        assert (await prices.next())["q"] == "0.030"


async def test_no_pair_to_be_swapped_any_more_releases_what_was_held_back(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        venue.streams(reorder=1)
        place(bot, "a")
        venue.streams(drop=0)
        venue.streams(reorder=0)
        assert client_ids([await ear.next()]) == ["a"]
        venue.streams(reorder=1)
        place(bot, "b")
        venue.streams(freeze=True)
        venue.streams(reorder=0)
        venue.streams(freeze=False)
        place(bot, "c")
        assert client_ids(await heard_so_far(ear, bot)) == ["c"]


async def test_faults_can_be_aimed_at_one_account(venue: PracticeServer) -> None:
    alice, bob = trader(venue), trader(venue, BOB)
    async with hear_account(venue) as hers, hear_account(venue, BOB) as his:
        assert venue.streams()["user_sockets"] == {"alice": 1, "bob": 1}
        venue.streams(accounts=["bob"], freeze=True)
        place(alice, "hers")
        place(bob, "his")
        assert client_ids(await heard_so_far(hers, alice)) == ["hers"]
        venue.streams(disconnect=True)
        assert (await his.closed())[0] == 1001
        assert venue.streams()["user_sockets"] == {"alice": 1}


async def test_nobody_is_let_in_while_sockets_are_refused(venue: PracticeServer) -> None:
    venue.streams(refuse=True)
    for path in ("/ws", "/ws-fapi/v1"):
        with pytest.raises(InvalidStatus) as refused:
            async with listen(venue, path):
                pass
        assert refused.value.response.status_code == 503
    venue.control.delete("/streams")
    async with listen(venue, "/ws") as ear:
        assert (await ear.ask(method="LIST_SUBSCRIPTIONS", id=1))["result"] == []


async def test_market_streams_freeze_lag_and_disconnect(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with listen(venue, "/ws/btcusdt@trade") as ear, hear_account(venue):
        venue.streams(market_freeze=True)
        bot.order(BTC, "BUY", "0.01").raise_for_status()
        venue.streams(market_freeze=False, market_lag_ms=200)
        began = time.monotonic()
        bot.order(BTC, "BUY", "0.02").raise_for_status()
        # The trade of the frozen time is lost, the next one late.
        assert (await ear.next())["q"] == "0.020"
        assert time.monotonic() - began >= 0.2
        venue.streams(market_disconnect=True)
        assert (await ear.closed())[0] == 1001
        assert venue.streams()["user_sockets"] == {"alice": 1}


def test_bodies_that_cannot_be_used_are_refused(venue: PracticeServer) -> None:
    for body in ({"drop": -1}, {"speed": 1}, {"freeze": "yes"}):
        assert venue.control.post("/streams", json=body).status_code == 400
    assert venue.control.put("/streams", json={}).status_code == 404
