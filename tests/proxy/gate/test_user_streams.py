"""A bot's private stream: whose it is, what it shows, and that it never has a hole; against a venue on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from proxy.gate import account_stream, user_streams
from proxy.gate.user_streams import UserStreams
from proxy.vault.keys import GuardKey, Secret, stream_key
from proxy.venues.binance.client_ids import outward, tag
from rules.position.own_share import OwnShare
from rules.rule import Rule
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import NOW
from tests.support.gates import VENUE, Exchange, Gate, Keys, MemorySocket, a_bare_frame, a_frame, an_exchange

KEY_PATH = "/fapi/v1/listenKey"
LATER = datetime(2026, 11, 25, tzinfo=UTC)


class Streams:
    """The venue's private streams."""

    def __init__(self) -> None:
        self.host = ""
        self.opened: list[str] = []
        self.open: list[ServerConnection] = []
        self._arrived = asyncio.Event()
        self._server: Server | None = None
        self._port = 0

    async def start(self) -> None:
        self._server = await serve(self._follow, "127.0.0.1", self._port)
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        self.host = f"ws://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _follow(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.opened.append(connection.request.path)
        self.open.append(connection)
        self._arrived.set()
        try:
            async for _ in connection:
                raise AssertionError("the guard says nothing on a private stream")
        except ConnectionClosed:
            pass  # The guard has had enough.
        self.open.remove(connection)

    async def followed(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.opened) < times:
                self._arrived.clear()
                await self._arrived.wait()

    async def say(self, event: dict[str, Any]) -> None:
        for connection in self.open:
            await connection.send(json.dumps(event))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_stream, "PAUSE_MIN_S", 0.02)
    monkeypatch.setattr(user_streams, "TEND_EVERY_S", 0.02)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.in_directory(tmp_path / "vault")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as answering:
        yield answering


@pytest.fixture
async def venue() -> AsyncIterator[Streams]:
    streams = Streams()
    await streams.start()
    yield streams
    await streams.stop()


@asynccontextmanager
async def a_gate(desk: Desk, keys: Keys, exchange: Exchange, venue: Streams, *rules: Rule) -> AsyncIterator[Gate]:
    opened = Gate(desk, keys, exchange, *rules, stream_host=venue.host)
    try:
        yield opened
    finally:
        await opened.aclose()


@pytest.fixture
async def gate(desk: Desk, keys: Keys, exchange: Exchange, venue: Streams) -> AsyncIterator[Gate]:
    async with a_gate(desk, keys, exchange, venue) as opened:
        yield opened


async def attached(
    gate: Gate, key: GuardKey, *, combined: bool = False, events: frozenset[str] | None = None
) -> MemorySocket:
    socket = MemorySocket()
    assert await gate.streams.ready(stream_key(key))
    assert gate.streams.open(stream_key(key), socket, combined=combined, events=events) is not None
    return socket


async def down(gate: Gate) -> None:
    """Wait until the gate knows that the account's stream is down."""
    async with asyncio.timeout(5):
        while gate.streams._accounts["demo"].stream.live.is_set():
            await asyncio.sleep(0.005)


async def closed(socket: MemorySocket) -> tuple[int, str] | None:
    async with asyncio.timeout(5):
        await socket.gone.wait()
    return socket.closed


async def test_the_key_a_bot_gets_is_the_guards_own(gate: Gate, keys: Keys, exchange: Exchange) -> None:
    for method in ("POST", "PUT"):
        answer = await gate.key_only(method, KEY_PATH, keys.hmac)
        assert (answer.status_code, answer.json()) == (200, {"listenKey": stream_key(keys.hmac)})
    assert (await gate.key_only("DELETE", KEY_PATH, keys.hmac)).json() == {}
    assert "UPSTREAM1" not in stream_key(keys.hmac)
    assert [(method, path) for method, path, _ in exchange.asked] == [("POST", KEY_PATH)]


async def test_the_trading_socket_gives_the_same_key(gate: Gate, keys: Keys) -> None:
    expected = {"listenKey": stream_key(keys.ed25519)}
    async with gate.socket() as socket:
        only_key = json.dumps({"id": 1, "method": "userDataStream.start", "params": {"apiKey": keys.ed25519.key}})
        assert (await socket.ask(only_key))["result"] == expected
        await socket.ask(a_frame(keys, "session.logon", {}, keys.ed25519))
        assert (await socket.ask(a_bare_frame("userDataStream.ping")))["result"] == expected
        assert (await socket.ask(a_bare_frame("userDataStream.stop")))["result"] == {}


async def test_every_gate_knows_every_key_and_nobody_elses(gate: Gate, keys: Keys, venue: Streams) -> None:
    another_gate = UserStreams(
        identities=type(gate.identities)(keys.vault, VENUE),
        upstream=gate.upstream,
        hosts={"fapi": gate.exchange.url},
        stream_host=venue.host,
        now=lambda: NOW,
        views=gate.streams._views,
    )
    for key in (keys.hmac, keys.ed25519):
        found = another_gate.open(stream_key(key), MemorySocket(), combined=False)
        assert found is not None and found.guard_key == key.key
    for unknown in ("", "x" * 64, keys.hmac.key, "UPSTREAM1"):
        assert another_gate.open(unknown, MemorySocket(), combined=False) is None
    await another_gate.aclose()


async def test_a_key_issued_while_the_gate_runs_is_known(gate: Gate, keys: Keys) -> None:
    gate.streams.open(stream_key(keys.hmac), MemorySocket(), combined=False)
    new = keys.vault.issue(bot="late", account="demo", label="late", now=LATER)
    found = gate.streams.open(stream_key(new), MemorySocket(), combined=False)
    assert found is not None and found.bot == "late"


async def test_all_bots_of_an_account_share_one_upstream_stream(
    gate: Gate, keys: Keys, venue: Streams, exchange: Exchange
) -> None:
    sockets = [await attached(gate, key) for key in (keys.hmac, keys.hmac, keys.ed25519)]
    await venue.say({"e": "ORDER_TRADE_UPDATE", "o": {"c": "x"}})
    for socket in sockets:
        assert await socket.answer() == {"e": "ORDER_TRADE_UPDATE", "o": {"c": "x"}}
    assert venue.opened == ["/private/ws?listenKey=UPSTREAM1"]
    assert len(exchange.asked) == 1


async def test_a_bot_sees_its_own_account_only(desk: Desk, keys: Keys, exchange: Exchange, venue: Streams) -> None:
    keys.vault.add_exchange_key(account="other", venue=VENUE, api_key="O" * 64, api_secret=Secret("o" * 64), now=LATER)
    stranger = keys.vault.issue(bot="stranger", account="other", label="s", now=LATER)
    async with a_gate(desk, keys, exchange, venue) as gate:
        mine = await attached(gate, keys.hmac)
        exchange.body = b'{"listenKey":"UPSTREAM2"}'
        theirs = await attached(gate, stranger)
        assert venue.opened == ["/private/ws?listenKey=UPSTREAM1", "/private/ws?listenKey=UPSTREAM2"]
        for number, connection in enumerate(venue.open):
            await connection.send(json.dumps({"n": number}))
        assert (await mine.answer(), await theirs.answer()) == ({"n": 0}, {"n": 1})
        assert mine.silent and theirs.silent


def a_new_order(own_id: str, bot: str) -> dict[str, Any]:
    order = {"s": "BTCUSDT", "c": outward(own_id, tag("demo", bot)), "S": "BUY", "x": "NEW", "i": 1, "ps": "BOTH"}
    return {"e": "ORDER_TRADE_UPDATE", "o": order}


async def test_a_bot_hears_of_its_orders_by_its_own_ids(gate: Gate, keys: Keys, venue: Streams) -> None:
    another = keys.vault.issue(bot="another", account="demo", label="another", now=LATER)
    mine, theirs = await attached(gate, keys.hmac), await attached(gate, another, combined=True)
    await venue.say(a_new_order("mine", "demo-bot"))
    assert (await mine.answer())["o"]["c"] == "mine"
    assert (await theirs.answer())["data"] == a_new_order("mine", "demo-bot")


async def test_where_bots_have_shares_each_hears_of_its_own_orders_alone(
    desk: Desk, keys: Keys, exchange: Exchange, venue: Streams
) -> None:
    another = keys.vault.issue(bot="another", account="demo", label="another", now=LATER)
    async with a_gate(desk, keys, exchange, venue, OwnShare()) as gate:
        mine, theirs = await attached(gate, keys.hmac), await attached(gate, another, combined=True)
        await venue.say(a_new_order("mine", "demo-bot"))
        await venue.say(a_new_order("theirs", "another"))
        assert (await theirs.answer())["data"]["o"]["c"] == "theirs"
        assert (await mine.answer())["o"]["c"] == "mine"
        assert mine.silent and theirs.silent


async def test_a_combined_stream_names_the_key_the_bot_asked_for(gate: Gate, keys: Keys, venue: Streams) -> None:
    socket = await attached(gate, keys.hmac, combined=True)
    await venue.say({"e": "ACCOUNT_UPDATE"})
    assert await socket.answer() == {"stream": stream_key(keys.hmac), "data": {"e": "ACCOUNT_UPDATE"}}


async def test_a_bot_hears_the_types_of_events_that_it_asked_for(gate: Gate, keys: Keys, venue: Streams) -> None:
    narrow = await attached(gate, keys.hmac, events=frozenset({"ACCOUNT_UPDATE", "MARGIN_CALL"}))
    whole = await attached(gate, keys.hmac)
    for event in ("TRADE_LITE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL"):
        await venue.say({"e": event})
    assert [(await whole.answer())["e"] for _ in range(4)][-1] == "MARGIN_CALL"
    assert [(await narrow.answer())["e"] for _ in range(2)] == ["ACCOUNT_UPDATE", "MARGIN_CALL"]
    assert narrow.silent


async def test_a_view_may_change_and_withhold_events(gate: Gate, keys: Keys, venue: Streams) -> None:
    gate.views.show = lambda account, event, bot: () if b"secret" in event else (event.replace(b"{", b'{"to":"bot",'),)
    socket = await attached(gate, keys.hmac)
    await venue.say({"e": "secret"})
    await venue.say({"e": "open"})
    assert await socket.answer() == {"to": "bot", "e": "open"}


async def test_a_view_that_fails_shows_nothing_and_says_so(gate: Gate, keys: Keys, venue: Streams) -> None:
    gate.views.show = lambda account, event, bot: (event[10_000:10_001] or bytes([10_000]),)
    socket = await attached(gate, keys.hmac)
    await venue.say({"e": "x"})
    assert await closed(socket) == (1011, "GUARD INTERNAL: connect again and read the account")
    assert socket.silent


async def test_after_a_gap_every_bot_must_connect_again(gate: Gate, keys: Keys, venue: Streams) -> None:
    sockets = [await attached(gate, key) for key in (keys.hmac, keys.ed25519)]
    venue.open[0].transport.abort()
    for socket in sockets:
        told = await closed(socket)
        assert told is not None and told[0] == 1012 and "gap" in told[1]
    await venue.followed(2)
    again = await attached(gate, keys.hmac)
    await venue.say({"e": "x"})
    assert await again.answer() == {"e": "x"}
    assert sockets[0].silent


async def test_an_expired_upstream_key_is_a_gap_and_no_event_of_the_bots(
    gate: Gate, keys: Keys, venue: Streams, exchange: Exchange
) -> None:
    socket = await attached(gate, keys.hmac)
    await venue.say({"e": "listenKeyExpired", "E": 1})
    told = await closed(socket)
    assert told is not None and told[0] == 1012
    assert socket.silent
    await venue.followed(2)
    assert [method for method, _, _ in exchange.asked] == ["POST", "POST"]


async def test_a_bot_put_on_a_stream_that_is_down_must_connect_again(gate: Gate, keys: Keys, venue: Streams) -> None:
    """Its handshake is over, so what happens now it would never hear of."""
    key = stream_key(keys.hmac)
    assert await gate.streams.ready(key)
    await venue.stop()
    await down(gate)
    socket = MemorySocket()
    place = gate.streams.open(key, socket, combined=False)
    assert socket.closed == (1012, "the exchange's private stream is down; connect again and read the account")
    assert place is not None
    place.close()
    await venue.start()
    assert await gate.streams.ready(key)
    await venue.say({"e": "x"})
    assert socket.silent


async def test_a_stream_that_breaks_while_the_share_is_asked_for_is_waited_for_again(
    gate: Gate, keys: Keys, venue: Streams
) -> None:
    begin, asked, told = gate.views.begin, asyncio.Event(), asyncio.Event()

    async def slowly(account: str, bot: str, *, anew: bool = False) -> None:
        asked.set()
        await told.wait()
        await begin(account, bot, anew=anew)

    gate.views.begin = slowly
    ready = asyncio.create_task(gate.streams.ready(stream_key(keys.hmac)))
    async with asyncio.timeout(5):
        await asked.wait()
    await venue.stop()
    await down(gate)
    told.set()
    done, _ = await asyncio.wait({ready}, timeout=0.1)
    assert not done, "a handshake now would begin a stream with a hole"
    await venue.start()
    assert await ready
    socket = MemorySocket()
    gate.streams.open(stream_key(keys.hmac), socket, combined=False)
    await venue.say({"e": "x"})
    assert await socket.answer() == {"e": "x"}


async def test_a_share_that_is_not_told_in_time_begins_no_stream(
    gate: Gate, keys: Keys, venue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await gate.streams.ready(stream_key(keys.hmac))
    monkeypatch.setattr(user_streams, "READY_WITHIN_S", 0.05)

    async def never(account: str, bot: str, *, anew: bool = False) -> None:
        await asyncio.Event().wait()

    gate.views.begin = never
    async with asyncio.timeout(5):
        assert not await gate.streams.ready(stream_key(keys.hmac))


async def test_a_stream_that_does_not_come_up_is_said_to_bots(
    gate: Gate, keys: Keys, venue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_streams, "READY_WITHIN_S", 0.1)
    await venue.stop()
    answer = await gate.key_only("POST", KEY_PATH, keys.hmac)
    assert (answer.status_code, answer.json()["code"]) == (503, -1001)
    socket = MemorySocket()
    gate.streams.open(stream_key(keys.hmac), socket, combined=False)
    told = await closed(socket)
    assert told is not None and told[0] == 1012 and "is down" in told[1]
    await venue.start()


@pytest.mark.parametrize(("status", "body"), [(401, b'{"code":-2015,"msg":"x"}'), (502, b"<html>"), (200, b"{}")])
async def test_a_venue_without_a_key_is_asked_again(
    gate: Gate, keys: Keys, venue: Streams, exchange: Exchange, status: int, body: bytes
) -> None:
    exchange.status, exchange.body = status, body
    gate.streams.open(stream_key(keys.hmac), MemorySocket(), combined=False)
    await exchange.received(2)
    exchange.status, exchange.body = 200, None
    await venue.followed(1)


async def test_the_upstream_key_is_renewed(
    gate: Gate, keys: Keys, venue: Streams, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_stream, "RENEW_EVERY_S", 0.02)
    monkeypatch.setattr(account_stream, "RENEW_AGAIN_S", 0.02)
    socket = await attached(gate, keys.hmac)
    await exchange.received(3)
    exchange.status, exchange.body = 502, b""
    await exchange.received(6)
    assert {(method, path) for method, path, _ in exchange.asked[1:]} == {("PUT", KEY_PATH)}
    assert socket.closed is None
    exchange.status, exchange.body = 400, b'{"code":-1125,"msg":"This listenKey does not exist."}'
    told = await closed(socket)
    assert told is not None and told[0] == 1012


async def test_deleting_the_key_closes_that_bots_sockets(gate: Gate, keys: Keys, venue: Streams) -> None:
    mine, another = await attached(gate, keys.hmac), await attached(gate, keys.ed25519)
    await gate.key_only("DELETE", KEY_PATH, keys.hmac)
    assert await closed(mine) == (1000, "the stream key was deleted")
    await venue.say({"e": "x"})
    assert await another.answer() == {"e": "x"}
    assert (await gate.key_only("POST", KEY_PATH, keys.hmac)).json() == {"listenKey": stream_key(keys.hmac)}


async def test_a_key_switched_off_closes_its_sockets_and_opens_none(gate: Gate, keys: Keys, venue: Streams) -> None:
    mine, another = await attached(gate, keys.hmac), await attached(gate, keys.ed25519)
    keys.vault.disable(keys.hmac.key, LATER)
    async with asyncio.timeout(1):
        assert await closed(mine) == (1008, "GUARD KEY_DISABLED: this key was switched off")
    assert gate.streams.open(stream_key(keys.hmac), MemorySocket(), combined=False) is None
    assert "KEY_DISABLED" in (await gate.key_only("POST", KEY_PATH, keys.hmac)).text
    assert another.closed is None


async def test_a_bug_in_one_look_does_not_end_the_looking(
    gate: Gate, keys: Keys, venue: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    looked = asyncio.Event()

    async def failing(account: str) -> None:
        looked.set()
        raise RuntimeError("a bug")

    mine = await attached(gate, keys.hmac)
    gate.views.refresh = failing
    async with asyncio.timeout(5):
        await looked.wait()
    keys.vault.disable(keys.hmac.key, LATER)
    assert await closed(mine) == (1008, "GUARD KEY_DISABLED: this key was switched off")
    assert "tending the private stream of demo failed in the guard" in caplog.text


async def test_whoever_is_taken_off_hears_nothing(gate: Gate, keys: Keys, venue: Streams) -> None:
    stays = await attached(gate, keys.hmac)
    leaves = MemorySocket()
    place = gate.streams.open(stream_key(keys.hmac), leaves, combined=False)
    assert place is not None
    place.close()
    place.close()
    await venue.say({"e": "x"})
    assert await stays.answer() == {"e": "x"}
    assert leaves.silent and leaves.closed is None


async def test_a_stream_nobody_listens_to_is_given_up(
    gate: Gate, keys: Keys, venue: Streams, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gate.streams.ready(stream_key(keys.hmac))
    await venue.followed(1)
    (unheard,) = venue.open
    with monkeypatch.context() as impatience:
        impatience.setattr(user_streams, "IDLE_MAX_S", 0.05)
        async with asyncio.timeout(5):
            await unheard.wait_closed()
    # The venue's key is the account's: other gates and the warden may be using it.
    assert "DELETE" not in {method for method, _, _ in exchange.asked}
    await attached(gate, keys.hmac)
    assert len(venue.opened) == 2


async def test_a_redirect_is_not_followed(gate: Gate, keys: Keys, venue: Streams) -> None:
    elsewhere = Streams()
    await elsewhere.start()

    async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        location = f"{elsewhere.host}/private/ws".encode()
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
        asked.set()

    asked = asyncio.Event()
    server = await asyncio.start_server(redirecting, "127.0.0.1", 0)
    gate.streams._stream_host = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gate.streams.open(stream_key(keys.hmac), MemorySocket(), combined=False)
    for _ in range(2):
        async with asyncio.timeout(5):
            await asked.wait()
        asked.clear()
    assert elsewhere.opened == []
    server.close()
    await elsewhere.stop()
