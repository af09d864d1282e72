"""Market streams through the gate: what bots get, what the venue is asked, and what happens when it goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from email.utils import parsedate_to_datetime

import pytest
from websockets.exceptions import InvalidStatus

from proxy.gate.streams import feed as feeds
from proxy.gate.streams import relay as relays
from tests.proxy.gate.socket_worlds import a_world, asked, close_code, received
from tests.support.waiting import until

TRADE = '{"e":"aggTrade", "p":"1.50" ,"nested":{"k":[1,2]}}'


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The venue's limits on calls are not those of a test."""
    monkeypatch.setattr(feeds, "CALL_EVERY_S", 0.005)
    monkeypatch.setattr(feeds, "PAUSE_S", 0.01)


async def test_a_raw_stream_gets_the_bytes_of_the_venue():
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade") as bot:
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.publish("btcusdt@aggTrade", TRADE)
        assert await received(bot) == TRADE


async def test_a_combined_stream_gets_them_wrapped_as_they_came():
    async with a_world() as (venue, gate), gate.connect("/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade") as bot:
        await until(lambda: venue.subscribed["ethusdt@aggTrade"] == 1)
        await venue.publish("ethusdt@aggTrade", TRADE)
        assert await received(bot) == f'{{"stream":"ethusdt@aggTrade","data":{TRADE}}}'


@pytest.mark.parametrize(
    "path",
    ["/ws", "/ws/3", "/market/ws/12", "/public/ws/0", "/private/ws", "/stream", "/market/stream", "/public/stream"],
)
async def test_every_path_real_clients_use_takes_subscriptions(path):
    async with a_world() as (venue, gate), gate.connect(path) as bot:
        assert await asked(bot, "SUBSCRIBE", "btcusdt@aggTrade", "btcusdt@depth@100ms", call_id=7) == {
            "result": None,
            "id": 7,
        }
        # The answer comes when the venue has taken them, each at the endpoint that carries it.
        assert venue.subscribed == {"btcusdt@aggTrade": 1, "btcusdt@depth@100ms": 1}
        assert sorted(venue.paths) == ["/market/stream", "/public/stream"]
        await venue.publish("btcusdt@aggTrade", TRADE)
        wrapped = f'{{"stream":"btcusdt@aggTrade","data":{TRADE}}}'
        assert await received(bot) == (wrapped if "stream" in path else TRADE)


async def test_twenty_bots_share_one_connection_and_one_subscription():
    async with a_world() as (venue, gate), contextlib.AsyncExitStack() as stack:
        bots = [await stack.enter_async_context(gate.connect("/ws/btcusdt@aggTrade")) for _ in range(20)]
        for bot in bots:
            assert await asked(bot, "SUBSCRIBE", "ethusdt@aggTrade") == {"result": None, "id": 1}
        await venue.publish("ethusdt@aggTrade", TRADE)
        assert {await received(bot) for bot in bots} == {TRADE}
        assert venue.paths == ["/market/stream"]
        assert venue.subscribed == {"btcusdt@aggTrade": 1, "ethusdt@aggTrade": 1}


async def test_the_venue_is_told_when_the_last_bot_leaves():
    async with a_world() as (venue, gate):
        async with gate.connect("/ws/btcusdt@aggTrade") as first, gate.connect("/ws/btcusdt@aggTrade") as second:
            await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
            await first.close()
            await venue.publish("btcusdt@aggTrade", TRADE)
            assert await received(second) == TRADE
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 0)


async def test_what_was_unsubscribed_is_not_sent():
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade/ethusdt@aggTrade") as bot:
        assert await asked(bot, "UNSUBSCRIBE", "btcusdt@aggTrade", "never@aggTrade") == {"result": None, "id": 1}
        await until(lambda: venue.subscribed["ethusdt@aggTrade"] == 1)
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 0)
        await venue.publish("btcusdt@aggTrade", '"late"')
        await venue.publish("ethusdt@aggTrade", TRADE)
        assert await received(bot) == TRADE


async def test_a_stream_asked_for_again_at_once_is_confirmed():
    async with a_world() as (venue, gate), gate.connect("/ws") as bot:
        for _ in range(3):
            await asked(bot, "SUBSCRIBE", "btcusdt@aggTrade")
            await asked(bot, "UNSUBSCRIBE", "btcusdt@aggTrade")
        await asked(bot, "SUBSCRIBE", "btcusdt@aggTrade")
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)


async def test_subscriptions_are_listed_and_the_form_of_messages_can_be_changed():
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade") as bot:
        await asked(bot, "SUBSCRIBE", "!ticker@arr")
        listed = await asked(bot, "LIST_SUBSCRIPTIONS")
        assert listed == {"result": ["btcusdt@aggTrade", "!ticker@arr"], "id": 1}
        assert await asked(bot, "GET_PROPERTY", "combined") == {"result": False, "id": 1}
        assert await asked(bot, "SET_PROPERTY", "combined", True) == {"result": None, "id": 1}
        assert await asked(bot, "GET_PROPERTY", "combined") == {"result": True, "id": 1}
        await venue.publish("btcusdt@aggTrade", TRADE)
        assert json.loads(await received(bot)) == {"stream": "btcusdt@aggTrade", "data": json.loads(TRADE)}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("SUBSCRIBE", ["btcusdt@aggTrade", "btcusdt@everything"], 2),
        ("SUBSCRIBE", ["BTCUSDT@aggTrade"], 2),
        ("SUBSCRIBE", ["x" * 64], 2),
        ("SUBSCRIBE", [], 2),
        ("SUBSCRIBE", [1], 2),
        ("SUBSCRIBE", [f"a{n}usdt@aggTrade" for n in range(201)], 2),
        ("SET_PROPERTY", ["combined", "true"], 1),
        ("SET_PROPERTY", ["colour", True], 0),
        ("SET_PROPERTY", [True], 2),
        ("GET_PROPERTY", [], 2),
    ],
)
async def test_what_is_wrong_with_a_call_is_said_and_nothing_of_it_is_done(method, params, code):
    async with a_world() as (_, gate), gate.connect("/ws") as bot:
        answer = await asked(bot, method, *params, call_id=3)
        assert (answer["id"], answer["error"]["code"]) == (3, code)
        assert await asked(bot, "LIST_SUBSCRIPTIONS") == {"result": [], "id": 1}


@pytest.mark.parametrize("method", ["SUBSCRIBE", "UNSUBSCRIBE"])
async def test_a_call_that_names_no_stream_is_told_so(method):
    async with a_world() as (_, gate), gate.connect("/ws") as bot:
        answer = await asked(bot, method)
        assert answer["error"] == {"code": 2, "msg": "Invalid request: 'params' is a list of at least one stream"}


async def test_the_two_hundred_and_first_stream_of_a_bot_is_refused():
    async with a_world() as (_, gate), gate.connect("/ws") as bot:
        await asked(bot, "SUBSCRIBE", *(f"a{n}usdt@aggTrade" for n in range(200)))
        answer = await asked(bot, "SUBSCRIBE", "btcusdt@aggTrade")
        assert "TOO_MANY_STREAMS" in answer["error"]["msg"]


async def test_a_connection_to_the_venue_carries_two_hundred_streams_and_the_next_one_the_rest():
    async with a_world() as (venue, gate), gate.connect("/ws") as first, gate.connect("/ws") as second:
        await asked(first, "SUBSCRIBE", *(f"a{n}usdt@aggTrade" for n in range(150)))
        await asked(second, "SUBSCRIBE", *(f"b{n}usdt@aggTrade" for n in range(100)))
        assert venue.paths == ["/market/stream"] * 2
        assert sum(venue.subscribed.values()) == 250


async def test_when_every_connection_is_full_a_bot_is_told(monkeypatch):
    monkeypatch.setattr(feeds, "STREAMS_MAX", 2)
    monkeypatch.setattr(relays, "FEEDS_PER_CATEGORY_MAX", 1)
    async with a_world() as (_, gate), gate.connect("/ws/aa@aggTrade") as bot, gate.connect("/ws") as other:
        answer = await asked(bot, "SUBSCRIBE", "bb@aggTrade", "cc@aggTrade")
        assert "TOO_MANY_STREAMS" in answer["error"]["msg"]
        # Nothing of it was kept, so there is room for one.
        assert await asked(other, "SUBSCRIBE", "bb@aggTrade") == {"result": None, "id": 1}


async def test_bots_keep_their_sockets_through_a_short_break_of_the_venue():
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade") as bot:
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.stop()
        await venue.start()
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.publish("btcusdt@aggTrade", TRADE)
        assert await received(bot) == TRADE


async def test_a_break_closes_at_once_who_would_miss_a_difference():
    async with (
        a_world() as (venue, gate),
        gate.connect("/ws/btcusdt@depth/btcusdt@aggTrade") as book,
        gate.connect("/ws/btcusdt@depth5@100ms") as snapshots,
    ):
        await until(lambda: len(venue.subscribed) == 3)
        await venue.stop()
        assert await close_code(book) == 1012
        await venue.start()
        await until(lambda: venue.subscribed["btcusdt@depth5@100ms"] == 1)
        await venue.publish("btcusdt@depth5@100ms", TRADE)
        assert await received(snapshots) == TRADE


async def test_a_long_silence_closes_everyone(monkeypatch):
    monkeypatch.setattr(feeds, "DOWN_MAX_S", 0.2)
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade") as bot:
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.stop()
        assert await close_code(bot) == 1012
        async with gate.connect("/ws") as late:
            await late.send('{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}')
            assert await close_code(late) == 1012
        monkeypatch.setattr(feeds, "DOWN_MAX_S", 30.0)  # A busy machine takes its time to come back, too.
        await venue.start()
        async with gate.connect("/ws") as back:
            assert await asked(back, "SUBSCRIBE", "btcusdt@aggTrade") == {"result": None, "id": 1}


async def test_a_bot_that_comes_back_during_an_outage_has_as_long_as_the_first(monkeypatch):
    monkeypatch.setattr(feeds, "DOWN_MAX_S", 1.0)
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade") as bot:
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.stop()
        await asyncio.sleep(0.7)
        began = time.monotonic()
        async with gate.connect("/ws/ethusdt@aggTrade") as late:
            assert await close_code(bot) == 1012
            assert await close_code(late) == 1012
            assert time.monotonic() - began >= 1.0


async def test_a_venue_that_does_not_answer_calls_counts_as_silent(monkeypatch):
    monkeypatch.setattr(feeds, "ANSWER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(feeds, "DOWN_MAX_S", 0.2)
    async with a_world() as (venue, gate):
        venue.silent = True
        async with gate.connect("/ws") as bot:
            await bot.send('{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}')
            assert await close_code(bot) == 1012
        assert len(venue.paths) > 1  # It was asked again on another connection.


async def test_a_stream_the_venue_refuses_costs_its_followers_their_socket_and_nobody_else():
    async with a_world() as (venue, gate), gate.connect("/ws") as good, gate.connect("/ws") as bad:
        venue.refuses = {"oddusdt@aggTrade"}
        await bad.send('{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","oddusdt@aggTrade"],"id":1}')
        assert await asked(good, "SUBSCRIBE", "btcusdt@aggTrade") == {"result": None, "id": 1}
        assert await close_code(bad) == 1008
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.publish("btcusdt@aggTrade", TRADE)
        assert await received(good) == TRADE


@pytest.mark.parametrize("sent", ["not JSON", '{"stream":"btcusdt@aggTrade"}', "[]", '{"id":"one"}'])
async def test_what_is_no_message_of_a_stream_ends_the_connection_to_the_venue(sent):
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade") as bot:
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.connections[0].send(sent)
        await until(lambda: len(venue.paths) == 2 and venue.subscribed["btcusdt@aggTrade"] == 1)
        await venue.publish("btcusdt@aggTrade", TRADE)
        assert await received(bot) == TRADE


async def test_no_redirect_is_followed():
    async with a_world() as (venue, gate), a_world() as (elsewhere, _):
        venue.redirect = f"{elsewhere.url}/market/stream"
        async with gate.connect("/ws/btcusdt@aggTrade"):
            await asyncio.sleep(0.1)  # Time for several attempts; nothing to wait for when nothing is to happen.
        assert elsewhere.paths == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with a_world() as (venue, gate), gate.connect("/ws/btcusdt@aggTrade"):
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)


async def test_a_connection_nobody_needs_is_closed_and_opened_anew(monkeypatch):
    monkeypatch.setattr(feeds, "IDLE_S", 0.02)
    async with a_world() as (venue, gate):
        async with gate.connect("/ws/btcusdt@aggTrade"):
            await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        await until(lambda: venue.connections == [])
        async with gate.connect("/ws") as bot:
            assert await asked(bot, "SUBSCRIBE", "btcusdt@aggTrade") == {"result": None, "id": 1}


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/ws/",
        "/ws/btcusdt@everything",
        "/ws/BTCUSDT@aggTrade",
        "/ws/btcusdt%40aggTrade",
        "/ws/btcusdt@aggTrade?streams=ethusdt@aggTrade",
        "/ws/" + "/".join(f"a{n}@aggTrade" for n in range(201)),
        "/stream/btcusdt@aggTrade",
        "/stream?streams=",
        "/stream?streams=btcusdt@aggTrade&streams=ethusdt@aggTrade",
        "/stream?stream=btcusdt@aggTrade",
        "/other/ws",
        "/ws-fapi/v2",
        "/ws-fapi/v1?returnRateLimits=no",
        "/ws-fapi/v1?timeUnit=MICROSECOND",
        "/ws?listenKey=short",
        "/fapi/v1/time",
    ],
)
async def test_a_path_that_is_not_served_is_refused_at_the_handshake(path):
    async with a_world() as (_, gate):
        with pytest.raises(InvalidStatus) as refused:
            await gate.connect(path)
        response = refused.value.response
        assert response.status_code == 403
        assert response.headers["Content-Type"] == "application/json"
        assert parsedate_to_datetime(response.headers["Date"])
        answer = json.loads(response.body)
        assert answer["code"] == -1002 and "UNKNOWN_ROUTE" in answer["msg"]


async def test_a_path_outside_the_prefix_is_refused():
    async with a_world() as (_, gate):
        with pytest.raises(InvalidStatus) as refused:
            await gate.connect("/../healthz")
        assert refused.value.response.status_code == 403
