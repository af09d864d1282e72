"""What everybody may hear of the markets: shapes, doors, and a book that can be kept from its changes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.sandbox.practice import PracticeServer, start, stop
from tests.sandbox.sockets import hear_account, listen, trader

BTC = "BTCUSDT"


@pytest.fixture(scope="module")
def running() -> Iterator[PracticeServer]:
    """A calm market on a fast clock: forty steps, so a minute in six seconds, every second."""
    process, server = start("--scenario", "calm", "--speed", "10")
    yield server
    server.control.close()
    stop(process)


FIELDS = {
    "btcusdt@aggTrade": "e E s a p q f l T m",
    "btcusdt@trade": "e E T s t p q X m",
    "btcusdt@markPrice": "e E s p i P r T",
    "btcusdt@markPrice@1s": "e E s p i P r T",
    "btcusdt@kline_1m": "e E s k",
    "btcusdt_perpetual@continuousKline_1h": "e E ps ct k",
    "btcusdt@bookTicker": "e u E T s b B a A",
    "!bookTicker": "e u E T s b B a A",
    "btcusdt@ticker": "e E s p P w c Q o h l v q O C F L n",
    "btcusdt@miniTicker": "e E s c o h l v q",
    "btcusdt@depth": "e E T s U u pu b a",
    "btcusdt@depth@100ms": "e E T s U u pu b a",
    "btcusdt@depth5@500ms": "e E T s U u pu b a",
}
LISTS = {"!markPrice@arr": "markPriceUpdate", "!ticker@arr": "24hrTicker", "!miniTicker@arr": "24hrMiniTicker"}


async def test_every_stream_speaks_in_its_shape(running: PracticeServer) -> None:
    missing = dict(FIELDS)
    async with listen(running, f"/stream?streams={'/'.join(FIELDS)}") as ear:
        while missing:
            message = await ear.next()
            if fields := missing.pop(message["stream"], None):
                assert set(message["data"]) == set(fields.split()), message


async def test_streams_of_every_market_speak_in_lists(running: PracticeServer) -> None:
    missing = dict(LISTS)
    async with listen(running, f"/stream?streams={'/'.join(LISTS)}") as ear:
        while missing:
            message = await ear.next()
            if event := missing.pop(message["stream"], None):
                assert {entry["e"] for entry in message["data"]} == {event}
                assert BTC in {entry["s"] for entry in message["data"]}


@pytest.mark.parametrize("prefix", ["", "/public", "/market", "/private"])
async def test_every_door_to_a_stream(running: PracticeServer, prefix: str) -> None:
    async with listen(running, f"{prefix}/ws/btcusdt@trade/ethusdt@trade") as ear:
        assert (await ear.next())["e"] == "trade"
    async with listen(running, f"{prefix}/ws/btcusdt@trade") as ear:
        assert (await ear.next())["s"] == BTC
    async with listen(running, f"{prefix}/stream?streams=btcusdt@trade") as ear:
        assert (await ear.next())["stream"] == "btcusdt@trade"
    for path in (f"{prefix}/ws", f"{prefix}/ws/17"):
        async with listen(running, path) as ear:
            await ear.ask(method="SUBSCRIBE", params=["btcusdt@trade"], id=1)
            assert (await ear.next())["e"] == "trade"


async def test_there_are_no_other_doors(running: PracticeServer) -> None:
    for path in ("/", "/wss", "/ws-api/v3", "/public", "/other/ws"):
        with pytest.raises(InvalidStatus) as refused:
            async with listen(running, path):
                pass
        assert refused.value.response.status_code == 404


async def test_a_book_kept_from_its_changes_is_the_book(venue: PracticeServer) -> None:
    """The venue's own recipe: buffer, snapshot, drop what is older, then chain every frame by `pu`."""
    bot = trader(venue)
    async with listen(venue, "/ws/btcusdt@depth@100ms") as ear:
        bot.order(BTC, "BUY", "1")
        buffered = [await ear.next()]
        bot.order(BTC, "BUY", "0.5", "89000")
        book = snapshot(bot.client.get("/fapi/v1/depth", params={"symbol": BTC, "limit": 1000}).json())
        last_id = book.pop("id")
        bot.order(BTC, "SELL", "2")
        venue.price(BTC, "90500")
        venue.step(3)
        final = snapshot(bot.client.get("/fapi/v1/depth", params={"symbol": BTC, "limit": 1000}).json())
        final_id = final.pop("id")
        buffered += await ear.until(lambda frame: bool(frame["u"] >= final_id - 1))
        frames = [frame for frame in buffered if frame["u"] >= last_id]
        assert frames[0]["U"] <= last_id <= frames[0]["u"]
        for before, after in itertools.pairwise(buffered):
            assert after["pu"] == before["u"] < after["U"] <= after["u"]
        for frame in frames:
            for side in ("b", "a"):
                book[side] |= dict(frame[side])
    for side in ("b", "a"):
        assert {price: size for price, size in book[side].items() if float(size)} == final[side]


async def test_candles_close(running: PracticeServer) -> None:
    async with listen(running, "/ws/btcusdt@kline_1m") as ear:
        heard = await ear.until(lambda message: bool(message["k"]["x"]))
        following = await ear.next()
    closed = heard[-1]["k"]
    assert closed["T"] - closed["t"] == 59_999
    assert float(closed["l"]) <= min(float(closed["o"]), float(closed["c"]))
    assert (following["k"]["t"], following["k"]["x"]) == (closed["t"] + 60_000, False)


async def test_liquidations_are_public(venue: PracticeServer) -> None:
    bot = trader(venue)
    bot.send("POST", "/fapi/v1/leverage", symbol=BTC, leverage=50)
    bot.order(BTC, "BUY", "4")
    async with listen(venue, "/stream?streams=!forceOrder@arr/btcusdt@forceOrder/ethusdt@forceOrder") as ear:
        venue.price(BTC, "80000")
        first, second = await ear.next(), await ear.next()
    assert {first["stream"], second["stream"]} == {"!forceOrder@arr", "btcusdt@forceOrder"}
    order = first["data"]["o"]
    assert (order["s"], order["S"], order["f"]) == (BTC, "SELL", "IOC")


async def test_a_delisting_is_told(venue: PracticeServer) -> None:
    async with listen(venue, "/ws/!contractInfo") as ear:
        venue.control.post("/delist", json={"symbol": "SOLUSDT", "after_s": 1}).raise_for_status()
        venue.step(8)
        told = await ear.next()
        assert (told["e"], told["s"], told["cs"]) == ("contractInfo", "SOLUSDT", "SETTLING")


async def test_a_market_that_is_not_listed_is_silent(venue: PracticeServer) -> None:
    async with listen(venue, "/ws/nopeusdt@markPrice@1s") as ear:
        assert await ear.ask(method="LIST_SUBSCRIPTIONS", id=1) == {"result": ["nopeusdt@markPrice@1s"], "id": 1}
        await ear.connection.send(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 2}))
        await ear.next()
        assert (await ear.next())["s"] == BTC


COMMANDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"method": "SUBSCRIBE", "params": ["btcusdt@ticker"], "id": 1}, {"result": None, "id": 1}),
    ({"method": "SUBSCRIBE", "params": ["btcusdt@ticker"], "id": "a-b"}, {"result": None, "id": "a-b"}),
    ({"method": "LIST_SUBSCRIPTIONS", "id": 3}, {"result": ["btcusdt@ticker"], "id": 3}),
    ({"method": "GET_PROPERTY", "params": ["combined"], "id": 4}, {"result": False, "id": 4}),
    ({"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}, {"result": None, "id": 5}),
    ({"method": "GET_PROPERTY", "params": ["combined"], "id": 6}, {"result": True, "id": 6}),
    ({"method": "UNSUBSCRIBE", "params": ["btcusdt@ticker"], "id": 7}, {"result": None, "id": 7}),
    ({"method": "LIST_SUBSCRIPTIONS", "id": 8}, {"result": [], "id": 8}),
]
ERRORS: list[tuple[str, int, str]] = [
    ("{", 3, "Invalid JSON"),
    ("[1]", 2, "expected an object"),
    ('{"method":"LIST_SUBSCRIPTIONS"}', 2, "request ID must be an unsigned integer"),
    ('{"method":"LIST_SUBSCRIPTIONS","id":-1}', 2, "request ID must be an unsigned integer"),
    ('{"method":"subscribe","params":[],"id":1}', 2, "unknown variant `subscribe`"),
    ('{"method":"SUBSCRIBE","params":["BTCUSDT@ticker"],"id":1}', 2, "invalid stream"),
    ('{"method":"SUBSCRIBE","params":["btcusdt@kline_7m"],"id":1}', 2, "invalid stream"),
    ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "expected a string"),
    ('{"method":"SUBSCRIBE","params":"btcusdt@ticker","id":1}', 2, "expected a sequence"),
    ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1, "expected Boolean"),
    ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 1, "expected Boolean"),
    ('{"method":"GET_PROPERTY","params":["combined",true],"id":1}', 2, "too many parameters"),
    ('{"method":"SET_PROPERTY","params":["speed",true],"id":1}', 0, "Unknown property"),
    ('{"method":"GET_PROPERTY","params":[1],"id":1}', 2, "property name must be a string"),
]


async def test_commands_are_answered(venue: PracticeServer) -> None:
    async with listen(venue, "/ws") as ear:
        for frame, answer in COMMANDS:
            assert await ear.ask(**frame) == answer


async def test_bad_commands_get_the_venues_errors(venue: PracticeServer) -> None:
    for number, (text, code, words) in enumerate(ERRORS):
        # A connection takes ten commands a second.
        async with listen(venue, f"/ws/{number}") as ear:
            await ear.connection.send(text)
            error = (await ear.next())["error"]
            assert (error["code"], words in error["msg"]) == (code, True), error


async def test_properties_change_the_shape_of_what_follows(running: PracticeServer) -> None:
    async with listen(running, "/ws/btcusdt@trade") as ear:
        assert "e" in await ear.next()
        await ear.ask(method="SET_PROPERTY", params=["combined", True], id=1)
        assert (await ear.next())["stream"] == "btcusdt@trade"


async def test_streams_and_commands_are_bounded(venue: PracticeServer) -> None:
    async with listen(venue, "/ws") as ear:
        names = [f"coin{number}usdt@trade" for number in range(200)]
        assert (await ear.ask(method="SUBSCRIBE", params=names, id=1))["result"] is None
        assert (await ear.ask(method="SUBSCRIBE", params=["btcusdt@trade"], id=2))["error"]["code"] == 2
    async with listen(venue, f"/stream?streams={'/'.join(names)}/btcusdt@trade") as ear:
        assert (await ear.closed())[0] == 1008
    async with listen(venue, "/ws") as ear:
        for number in range(11):
            await ear.connection.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        assert await ear.closed() == (1008, "Too many requests")


async def test_frames_are_bounded_and_of_text(venue: PracticeServer) -> None:
    async with listen(venue, "/ws") as ear:
        await ear.connection.send("x" * 70_000)
        assert (await ear.closed())[0] == 1009
    async with listen(venue, "/ws") as ear:
        await ear.connection.send(b"{}")
        assert (await ear.closed())[0] == 1003


def snapshot(reply: dict[str, Any]) -> dict[str, Any]:
    return {"id": reply["lastUpdateId"], "b": dict(reply["bids"]), "a": dict(reply["asks"])}


async def test_a_reader_too_slow_for_its_streams_is_cut() -> None:
    process, venue = start("--scenario", "calm", "--speed", "300")
    try:
        kinds = ("trade", "aggTrade", "depth@100ms", "depth20@100ms", "bookTicker", "kline_1m")
        symbols = ("btcusdt", "ethusdt", "solusdt", "xrpusdt", "dogeusdt")
        names = [f"{symbol}@{kind}" for symbol in symbols for kind in kinds]
        # A client that stops reading: its own queue fills, then the kernel's, then the venue's.
        async with listen(venue, f"/stream?streams={'/'.join(names)}", max_queue=1) as deaf:
            async with asyncio.timeout(30):
                while venue.streams()["market_sockets"]:
                    await asyncio.sleep(0.1)
            deaf.connection.transport.abort()
    finally:
        stop(process)


async def test_the_end_of_the_exchange_closes_every_socket() -> None:
    process, venue = start("--scenario", "calm")
    async with (
        listen(venue, "/ws/btcusdt@trade") as market,
        hear_account(venue) as account,
        listen(venue, "/ws-fapi/v1") as trading,
    ):
        process.terminate()
        assert [(await ear.closed())[0] for ear in (market, account, trading)] == [1012, 1012, 1012]
    stop(process)
