"""One bot's socket: who is let in, what it may send, and how it ends. Bytes on a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.server import ServerProtocol

from proxy.gate.streams import door as doors
from proxy.gate.streams import keys as keyed
from proxy.gate.streams import outbox as outboxes
from proxy.gate.streams import socket as sockets
from proxy.gate.streams.outbox import Outbox
from tests.proxy.gate.socket_worlds import RawBot, a_world, asked, close_code, frame, received
from tests.support.waiting import until

LIST = '{"method":"LIST_SUBSCRIPTIONS","id":1}'
KEY = "k" * 64


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Most of these bots never answer a close."""
    monkeypatch.setattr(sockets, "CLOSE_DEADLINE_S", 0.2)


async def a_listing(bot: RawBot) -> None:
    """The bot is still served."""
    assert await bot.frame() == (1, b'{"result":[],"id":1}')


# Frames


async def test_a_message_in_pieces_with_a_ping_between_them_is_one_message():
    async with a_world() as (_, gate), gate.raw() as bot:
        assert bot.answer.startswith(b"HTTP/1.1 101 ")
        bot.write(frame(LIST[:9], fin=False), frame("hello", 9), frame(LIST[9:], 0))
        assert await bot.frame() == (10, b"hello")
        await a_listing(bot)


BAD = {
    "compressed": (frame(LIST, reserved=0x40), 1002),
    "a reserved bit": (frame(LIST, reserved=0x10), 1002),
    "not masked": (frame(LIST, masked=False), 1002),
    "an unknown opcode": (frame(LIST, 3), 1002),
    "a continuation of nothing": (frame(LIST, 0), 1002),
    "a message within a message": (frame("{", fin=False) + frame(LIST), 1002),
    "a ping in pieces": (frame("a", 9, fin=False), 1002),
    "a ping too long": (frame("a" * 126, 9), 1002),
    "binary": (frame(LIST, 2), 1003),
    "not UTF-8": (frame(b'{"method":"\xff"}'), 1007),
    "too large": (frame("x" * 65_537), 1009),
    "too large in sum": (frame("x" * 40_000, fin=False) + frame("x" * 40_000, 0), 1009),
    "said to be huge": (frame("x", length=1 << 40), 1009),
    "no JSON": (frame("SUBSCRIBE"), 1008),
    "two documents": (frame(LIST + LIST), 1008),
    "a document and a half": (frame(LIST + " x"), 1008),
    "an array": (frame(f"[{LIST}]"), 1008),
    "a name twice": (frame('{"method":"SUBSCRIBE","method":"UNSUBSCRIBE","id":1}'), 1008),
    "an unknown field": (frame('{"method":"LIST_SUBSCRIPTIONS","id":1,"apiKey":"x"}'), 1008),
    "nested": (frame('{"method":"SUBSCRIBE","params":[["btcusdt@aggTrade"]],"id":1}'), 1008),
    "deeply nested": (frame('{"params":' + "[" * 30_000), 1008),
    "not ASCII": (frame('{"method":"LIST_SUBSCRIPTIONS","id":"\uff11"}'), 1008),
    "half a character": (frame(r'{"method":"SUBSCRIBE","params":["\ud800"],"id":1}'), 1008),
    "an id that is no number": (frame('{"method":"LIST_SUBSCRIPTIONS","id":NaN}'), 1008),
    "an id that is a fraction": (frame('{"method":"LIST_SUBSCRIPTIONS","id":1.0}'), 1008),
    "an id too large": (frame('{"method":"LIST_SUBSCRIPTIONS","id":9223372036854775808}'), 1008),
    "an endless id": (frame('{"method":"LIST_SUBSCRIPTIONS","id":' + "1" * 5000 + "}"), 1008),
    "an unknown method": (frame('{"method":"order.place","params":[],"id":1}'), 1008),
    "a method that is no text": (frame('{"method":1,"id":1}'), 1008),
    "no method": (frame('{"id":1}'), 1008),
}


@pytest.mark.parametrize(("frames", "code"), BAD.values(), ids=BAD.keys())
async def test_what_cannot_be_read_in_one_way_ends_the_socket(frames, code):
    async with a_world() as (_, gate), gate.raw() as bot:
        bot.write(frames, frame('{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}'))
        assert await bot.closed() == code
        await until(lambda: gate.relay._topics == {})


@pytest.mark.parametrize(
    "flood",
    [frame("", 9), frame("", 10), frame(LIST), frame("{", fin=False) + frame("}", 0)],
    ids=["pings", "pongs", "lists", "fragments"],
)
async def test_a_flood_ends_the_socket(flood):
    async with a_world() as (_, gate), gate.raw() as bot:
        bot.write(flood * 500)
        assert await bot.closed() == 1008


async def test_a_message_in_too_many_pieces_ends_the_socket_within_the_rate_too():
    trading = Trading()
    async with a_world(trading=trading) as (_, gate):
        async with gate.raw("/ws-fapi/v1") as bot:
            bot.write(frame("a", fin=False), frame("a", 0, fin=False) * 14, frame("a", 0))
            assert await bot.frame() == (1, b"a" * 16)
            bot.write(frame("a", fin=False), frame("a", 0, fin=False) * 15, frame("a", 0))
            assert await bot.closed() == 1008
        assert trading.heard == ["a" * 16]


async def test_a_bot_within_the_rate_is_answered_every_time():
    async with a_world() as (_, gate), gate.raw() as bot:
        bot.write(frame(LIST) * int(doors.STREAM_CALLS_PER_S))
        for _ in range(int(doors.STREAM_CALLS_PER_S)):
            await a_listing(bot)


async def test_each_of_a_burst_on_the_trading_socket_is_answered_in_its_turn():
    trading = Trading()
    burst = [f"cancel {number}" for number in range(80)]
    async with a_world(trading=trading) as (_, gate), gate.raw("/ws-fapi/v1") as bot:
        begun = asyncio.get_running_loop().time()
        bot.write(*(frame(text.ljust(400)) for text in burst))
        assert [(await bot.frame())[1].decode().strip() for _ in burst] == burst
        too_many = len(burst) - doors.TRADING_CALLS_PER_S - sockets.PARSED_AT_ONCE / 400
        assert asyncio.get_running_loop().time() - begun > too_many / doors.TRADING_CALLS_PER_S * 0.9


async def test_a_flood_on_the_trading_socket_is_read_at_its_rate_and_nobody_else_notices():
    trading = Trading()
    async with a_world(trading=trading) as (_, gate), gate.raw("/ws-fapi/v1") as flood, gate.connect("/ws") as other:
        begun = asyncio.get_running_loop().time()
        flood.write(frame("x") * 100_000)
        await until(lambda: len(trading.heard) >= doors.TRADING_CALLS_PER_S)
        async with asyncio.timeout(2):
            await asked(other, "LIST_SUBSCRIPTIONS")
        await asyncio.sleep(0.5)
        seconds = 1 + asyncio.get_running_loop().time() - begun
        assert len(trading.heard) < seconds * doors.TRADING_CALLS_PER_S + sockets.PARSED_AT_ONCE / len(frame("x")) + 1
        async with asyncio.timeout(3):
            await gate.stop()


async def test_pings_that_gathered_behind_a_burst_on_the_trading_socket_are_answered_and_close_nothing():
    trading = Trading()
    pings = [frame(f"ping {number}", 9) for number in range(12)]
    async with a_world(trading=trading) as (_, gate), gate.raw("/ws-fapi/v1") as bot:
        bot.write(*(frame("cancel".ljust(250)) for _ in range(60)), *pings, frame("", 10) * 12, frame("last"))
        told = [await bot.frame()]
        while told[-1] != (1, b"last"):
            told.append(await bot.frame())
        assert [said for opcode, said in told if opcode == 10] == [b"ping %d" % number for number in range(12)]
        assert len(trading.heard) == 61


async def test_a_flood_of_pings_on_the_trading_socket_is_read_at_the_rate_of_messages():
    async with a_world(trading=Trading()) as (_, gate), gate.raw("/ws-fapi/v1") as flood:
        flood.write(frame("", 9) * 5000)
        pongs, at_once = 0, sockets.PARSED_AT_ONCE / len(frame("", 9)) + 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    assert await flood.frame() == (10, b"")
                    pongs += 1
        assert at_once - 2 <= pongs <= at_once + doors.TRADING_CALLS_PER_S


async def test_what_waits_unread_is_not_taken_for_younger_than_it_is_nor_what_comes_later_for_older():
    trading = Trading()
    loop = asyncio.get_running_loop()
    said_at: list[float] = []

    def say(bot: RawBot, count: int) -> None:
        for _ in range(count):
            said_at.append(loop.time())
            bot.write(frame("order".ljust(250)))

    async with a_world(trading=trading) as (_, gate), gate.raw("/ws-fapi/v1") as bot:
        say(bot, 90)
        for _ in range(12):  # These lie in the gate's kernel until the burst has been worked off, and longer.
            await asyncio.sleep(0.1)
            say(bot, 3)
        await until(lambda: len(trading.heard) == len(said_at))
        assert max(came - said for came, said in zip(trading.came_at, said_at, strict=True)) < 0.1
        late = [said - came for came, said in zip(trading.came_at, said_at, strict=True)]
        assert late[89] < 0.1 < max(late), "all of the burst was taken off the wire at once, what came behind was not"
        for _ in range(4):
            await asyncio.sleep(0.3)
            say(bot, 1)
            await until(lambda: len(trading.heard) == len(said_at))
            assert abs(trading.came_at[-1] - said_at[-1]) < 0.1


async def test_a_bot_that_goes_on_behind_its_burst_is_not_late_since_the_burst():
    trading = Trading()
    loop = asyncio.get_running_loop()
    async with a_world(trading=trading) as (_, gate), gate.raw("/ws-fapi/v1") as bot:
        bot.write(frame("order".ljust(250)) * 80)
        for _ in range(8):  # So fast that something always waits.
            await asyncio.sleep(0.2)
            said_at = loop.time()
            bot.write(frame("order".ljust(250)) * 9)
        await until(lambda: len(trading.heard) == 80 + 8 * 9)
        assert 0 < said_at - trading.came_at[-1] < 1


async def test_a_gate_that_holds_still_hears_all_that_it_took_off_the_wire():
    trading = Trading()
    burst = [f"cancel {number}" for number in range(100)]
    async with a_world(trading=trading) as (_, gate), gate.raw("/ws-fapi/v1") as bot:
        bot.write(*(frame(text.ljust(250)) for text in burst))
        await until(lambda: len(trading.heard) >= doors.TRADING_CALLS_PER_S)
        (own,) = gate.bots
        own.hold()
        assert own.behind
        bot.write(frame("too late"))
        await until(lambda: not own.behind)
        await asyncio.sleep(0.2)
        assert [text.strip() for text in trading.heard] == burst
        own.shutdown()
        assert [(await bot.frame())[1].decode().strip() for _ in burst] == burst
        assert await bot.closed() == 1012


# The end


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (frame("x", 2), 1003),
        (frame("x", masked=False), 1002),
        (frame("a", fin=False) + frame("a", 0) * 16, 1002),
    ],
    ids=["binary", "not masked", "a message out of nothing"],
)
async def test_what_was_said_whole_on_the_trading_socket_is_heard_though_it_is_closed_for_what_came_behind(last, code):
    trading = Trading()
    async with a_world(trading=trading) as (_, gate):
        async with gate.raw("/ws-fapi/v1") as bot:
            bot.write(frame("cancel") * 3, last, frame("too late"))
            assert await bot.closed() == code
        await until(lambda: len(trading.heard) >= 3)
        await until(lambda: gate.door._open == 0)
        assert [text for text in trading.heard if text != "aa"] == ["cancel"] * 3


async def test_a_close_is_answered_with_its_code():
    async with a_world() as (_, gate), gate.raw() as bot:
        bot.write(frame((1000).to_bytes(2), 8))
        assert await bot.closed() == 1000


async def test_what_a_bot_said_before_it_hung_up_is_still_heard():
    trading = Trading()
    async with a_world(trading=trading) as (_, gate):
        async with gate.raw("/ws-fapi/v1") as bot:
            bot.write(frame("cancel"), frame((1000).to_bytes(2), 8))
            assert await bot.closed() == 1000
        await until(lambda: trading.heard == ["cancel"])


async def test_a_bot_that_does_not_answer_our_close_is_let_go_in_time():
    async with a_world() as (_, gate), gate.raw() as bot:
        bot.write(frame(b"", 2))
        async with asyncio.timeout(1):
            assert await bot.closed() == 1003


async def test_a_bot_that_does_not_answer_pings_is_cut_off(monkeypatch):
    monkeypatch.setattr(sockets, "PING_EVERY_S", 0.05)
    async with a_world() as (_, gate), gate.raw() as silent, gate.connect("/ws") as awake:
        async with asyncio.timeout(2):
            assert await silent.closed() is None
        assert await asked(awake, "LIST_SUBSCRIPTIONS") == {"result": [], "id": 1}


async def test_a_stopping_gate_sends_its_bots_elsewhere():
    async with a_world() as (_, gate), gate.connect("/ws/btcusdt@aggTrade") as bot, gate.raw() as deaf:
        async with asyncio.timeout(3):
            await gate.stop()
        assert await close_code(bot) == 1012
        assert await deaf.closed() == 1012


async def test_a_slow_reader_is_cut_off_and_nobody_else_notices(monkeypatch):
    monkeypatch.setattr(outboxes, "SOCKET_BYTES_MAX", 200_000)
    event = json.dumps("x" * 50_000)
    async with (
        a_world() as (venue, gate),
        gate.raw("/ws/btcusdt@aggTrade") as slow,
        gate.connect("/ws/btcusdt@aggTrade") as quick,
    ):
        # The event loop would read for it: a bot that does not read is one whose socket nobody looks at.
        slow.writer.transport.pause_reading()
        slow.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await until(lambda: venue.subscribed["btcusdt@aggTrade"] == 1)
        sent = 0
        while gate.door._open == 2:
            await venue.publish("btcusdt@aggTrade", event)
            assert await received(quick) == event
            sent += 1
            assert sent < 1000
        await venue.publish("btcusdt@aggTrade", '"after"')
        assert await received(quick) == '"after"'


class Peer:
    """A writer whose peer is ``waiting`` bytes behind."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.was_cut = False

    def flush(self) -> None:
        pass

    def backlog(self) -> int:
        return self.waiting

    def cut(self, why: str) -> None:
        self.was_cut = True


async def test_when_many_are_slow_the_slowest_go_until_the_rest_fits():
    half = outboxes.SOCKET_BYTES_MAX // 2
    peers = [Peer(half + number) for number in range(140)]
    outbox = Outbox()
    for peer in peers:
        outbox.fell_behind(peer)
    outbox.add(peers[0])
    await asyncio.sleep(0)
    kept = [peer.waiting for peer in peers if not peer.was_cut]
    assert sum(kept) <= outboxes.TOTAL_BYTES_MAX < sum(kept) + max(kept)
    assert kept == sorted(peer.waiting for peer in peers)[: len(kept)]


# Who is let in


async def status(gate, path="/ws", **options) -> int:
    try:
        async with gate.connect(path, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, 101),
        ("http://{own}", 101),
        ("https://{own}", 101),
        ("http://127.0.0.1", 403),
        ("http://127.0.0.1:1", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://{own}@evil.example", 403),
        ("http://{own}/", 403),
        ("ws://{own}", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
async def test_only_a_page_of_this_very_address_may_open_a_socket(origin, expected):
    async with a_world() as (_, gate):
        own = "{}:{}".format(*gate.address)
        assert await status(gate, origin=origin and origin.replace("{own}", own)) == expected


@pytest.mark.parametrize(
    ("host", "names", "expected"),
    [
        ("evil.example", (), b"403"),
        ("guard.lan", (), b"403"),
        ("guard.lan", ("guard.lan",), b"101"),
        ("localhost", (), b"101"),
        ("guard.localhost:8443", (), b"101"),
        ("[::1]:8080", (), b"101"),
    ],
)
async def test_a_name_that_was_pointed_here_by_others_is_no_own_name(host, names, expected):
    async with a_world(names=names) as (_, gate):
        bot = gate.raw("/ws", b"Origin: http://" + host.encode())
        bot.request = bot.request.replace(
            b"Host: %s:%d" % (gate.address[0].encode(), gate.address[1]), b"Host: " + host.encode()
        )
        async with bot:
            assert bot.answer.split()[1] == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Sec-WebSocket-Key: short"),
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"),
        (b"Connection: Upgrade", b"Host: other\r\nConnection: Upgrade"),
        (b"GET ", b"POST "),
        (b"Connection: Upgrade", b"Transfer-Encoding: chunked\r\nConnection: Upgrade"),
    ],
    ids=["key", "version", "two hosts", "method", "chunked"],
)
async def test_an_upgrade_that_is_not_quite_one_is_refused(old, new):
    async with a_world() as (_, gate):
        bot = gate.raw()
        bot.request = bot.request.replace(old, new)
        async with bot:
            assert bot.answer.startswith(b"HTTP/1.1 400 ")
            body = await bot.reader.read()
            assert json.loads(body)["code"] == -1130
        assert gate.door._open == 0


async def test_an_upgrade_behind_an_unanswered_request_is_refused():
    async with a_world() as (_, gate):
        bot = gate.raw()
        bot.request = b"GET /binanceusdm/x HTTP/1.1\r\nHost: guard\r\n\r\n" + bot.request
        async with bot:
            assert b" 101 " not in bot.answer + await bot.reader.read()


async def test_a_full_gate_says_so_and_has_room_again_when_one_leaves(monkeypatch):
    monkeypatch.setattr(doors, "SOCKETS_MAX", 2)
    async with a_world() as (_, gate), gate.connect("/ws"):
        async with gate.connect("/ws"):
            assert await status(gate) == 503
        await until(lambda: gate.door._open == 1)
        assert await status(gate) == 101


async def test_no_extension_is_agreed_to():
    async with a_world() as (_, gate), gate.connect("/ws", compression="deflate") as bot:
        assert "Sec-WebSocket-Extensions" not in bot.response.headers


async def test_the_key_of_a_user_stream_is_never_logged(caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    for name in ("uvicorn", "uvicorn.error"):  # Whoever ran uvicorn here before may have kept its lines to itself.
        caplog.set_level(logging.DEBUG, name)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    async with a_world(users=Users()) as (_, gate), gate.connect(f"/ws/{KEY}") as bot:
        assert await asked(bot, "LIST_SUBSCRIPTIONS") == {"result": [KEY], "id": 1}
    own = [record.getMessage() for record in caplog.records if record.name.startswith(("perpguard", "uvicorn"))]
    assert own and not any(KEY in line for line in own)


# What others plug in


class Trading:
    """A trading API that answers with what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.came_at: list[float] = []
        """When each can have come at the earliest."""
        self.clients: list[str] = []

    async def serve(self, socket, client):
        self.clients.append(client)
        while True:
            text = await socket.receive()
            if text == "bug":
                raise RuntimeError("a bug")
            if text == "enough":
                return
            self.heard.append(text)
            self.came_at.append(asyncio.get_running_loop().time() - socket.waited_s)
            socket.send(text.encode())


class Attachment:
    """One socket on a user stream."""

    guard_key = "pgk_1"

    def __init__(self, users, socket, combined) -> None:
        self.users, self.socket, self.combined = users, socket, combined

    def close(self) -> None:
        self.users.attached.remove(self)


class Users:
    """User streams of one account, under one key. ``up`` is how the wait for the venue ends, once ``answer`` is set."""

    def __init__(self) -> None:
        self.attached: list[Attachment] = []
        self.asked: list[str] = []
        self.narrowed: list[frozenset[str] | None] = []
        self.up: bool | Exception = True
        self.answer = asyncio.Event()
        self.answer.set()

    async def ready(self, stream_key):
        self.asked.append(stream_key)
        await self.answer.wait()
        if isinstance(self.up, Exception):
            raise self.up
        return self.up

    def open(self, stream_key, socket, *, combined, events=None):
        if stream_key != KEY:
            return None
        self.narrowed.append(events)
        self.attached.append(Attachment(self, socket, combined))
        return self.attached[-1]


async def test_the_trading_api_talks_to_its_bots():
    trading = Trading()
    async with a_world(trading=trading) as (_, gate), gate.connect("/ws-fapi/v1") as bot:
        await bot.send("order")
        assert await received(bot) == "order"
        assert trading.clients == ["127.0.0.1"]
        await bot.send("enough")
        assert await close_code(bot) == 1000


async def test_a_bug_costs_the_bot_its_socket_and_is_logged(caplog):
    async with a_world(trading=Trading()) as (_, gate), gate.connect("/ws-fapi/v1") as bot:
        await bot.send("bug")
        assert await close_code(bot) == 1011
    assert "a session failed in the guard" in caplog.text


@pytest.mark.parametrize(
    ("path", "combined"),
    [
        (f"/ws/{KEY}", False),
        (f"/ws?listenKey={KEY}", False),
        (f"/private/ws?listenKey={KEY}", False),
        (f"/private/ws/{KEY}", False),
        (f"/stream?streams={KEY}", True),
        (f"/private/stream?listenKey={KEY}", True),
        (f"/stream?streams=btcusdt@aggTrade/{KEY}", True),
    ],
)
async def test_a_user_stream_is_opened_by_every_path_clients_use(path, combined):
    users = Users()
    async with a_world(users=users) as (_, gate):
        async with gate.connect(path) as bot:
            await asked(bot, "LIST_SUBSCRIPTIONS")
            assert [each.combined for each in users.attached] == [combined]
            users.attached[0].socket.send(b'{"e":"ORDER_TRADE_UPDATE"}')
            assert await received(bot) == '{"e":"ORDER_TRADE_UPDATE"}'
        await until(lambda: users.attached == [])


async def test_a_user_stream_that_is_narrowed_stays_so_however_its_events_are_wrapped():
    users = Users()
    path = f"/private/ws?listenKey={KEY}&events=ORDER_TRADE_UPDATE"
    async with a_world(users=users) as (_, gate), gate.connect(path) as bot:
        await asked(bot, "SET_PROPERTY", "combined", True)
        assert users.narrowed == [frozenset({"ORDER_TRADE_UPDATE"})] * 2


async def test_a_user_stream_is_opened_and_left_by_name():
    users = Users()
    async with a_world(users=users) as (_, gate), gate.connect("/ws") as bot:
        assert await asked(bot, "SUBSCRIBE", KEY) == {"result": None, "id": 1}
        await asked(bot, "SET_PROPERTY", "combined", True)
        assert [each.combined for each in users.attached] == [True]
        await asked(bot, "UNSUBSCRIBE", KEY)
        assert users.attached == []


async def test_a_key_nobody_was_given_opens_nothing():
    async with a_world(users=Users()) as (_, gate), gate.connect("/ws") as bot:
        assert "UNKNOWN_STREAM" in (await asked(bot, "SUBSCRIBE", "j" * 64))["error"]["msg"]
        async with gate.connect("/ws/" + "j" * 64) as other:
            assert await close_code(other) == 1008


# A private stream begins with its handshake


async def test_a_handshake_is_answered_when_the_private_stream_is_there():
    users = Users()
    users.answer.clear()
    async with a_world(users=users) as (_, gate):
        coming = asyncio.create_task(status(gate, f"/ws/{KEY}"))
        await until(lambda: users.asked == [KEY])
        assert not coming.done() and users.attached == []
        async with gate.connect("/ws/btcusdt@aggTrade"):  # Who wants nothing private waits for nobody.
            assert not coming.done()
        users.answer.set()
        assert await coming == 101
        await until(lambda: gate.door._open == 0)


@pytest.mark.parametrize(("up", "expected"), [(False, (503, -1001)), (RuntimeError("a bug"), (500, -1000))])
async def test_a_bot_whose_private_stream_is_not_to_be_had_is_not_let_in(up, expected, caplog):
    users = Users()
    users.up = up
    async with a_world(users=users) as (_, gate):
        with pytest.raises(InvalidStatus) as refused:
            await gate.connect(f"/stream?streams=btcusdt@aggTrade/{KEY}/{'j' * 64}")
        assert (refused.value.response.status_code, json.loads(refused.value.response.body)["code"]) == expected
        assert users.asked == [KEY]
        assert (gate.door._open, users.attached, gate.relay._topics) == (0, [], {})
    assert ("a handshake failed in the guard" in caplog.text) is isinstance(up, Exception)


async def test_a_bot_that_leaves_while_it_waits_gives_its_place_back():
    users = Users()
    users.answer.clear()
    async with a_world(users=users) as (_, gate):
        bot = gate.raw(f"/ws/{KEY}")
        _, writer = await asyncio.open_connection(*gate.address)
        writer.write(bot.request)
        await until(lambda: users.asked == [KEY])
        assert gate.door._open == 1
        writer.close()
        await until(lambda: gate.door._open == 0)
        assert users.attached == []


async def test_a_bot_that_does_not_wait_for_the_answer_is_cut_off():
    users = Users()
    users.answer.clear()
    async with a_world(users=users) as (_, gate):
        reader, writer = await asyncio.open_connection(*gate.address)
        writer.write(gate.raw(f"/ws/{KEY}").request)
        await until(lambda: users.asked == [KEY])
        writer.write(frame("", 9) + frame(LIST))
        async with asyncio.timeout(2):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        await until(lambda: gate.door._open == 0)
        writer.close()


async def test_a_stopping_gate_waits_for_no_handshake():
    users = Users()
    users.answer.clear()
    async with a_world(users=users) as (_, gate):
        coming = asyncio.create_task(status(gate, f"/ws/{KEY}"))
        await until(lambda: users.asked == [KEY])
        async with asyncio.timeout(3):
            await gate.stop()
        with pytest.raises((EOFError, OSError, InvalidMessage)):
            await coming
        assert gate.door._open == 0


async def test_a_private_stream_asked_for_on_an_open_socket_is_waited_for_too():
    users = Users()
    users.answer.clear()
    async with a_world(users=users) as (_, gate), gate.connect("/ws") as bot:
        await bot.send(json.dumps({"method": "SUBSCRIBE", "params": [KEY], "id": 1}))
        await until(lambda: users.asked == [KEY])
        assert users.attached == []
        users.answer.set()
        assert await received(bot) == '{"result":null,"id":1}'
        assert len(users.attached) == 1


async def test_an_open_socket_that_asks_for_a_private_stream_not_to_be_had_is_told_to_come_again():
    users = Users()
    users.up = False
    async with a_world(users=users) as (_, gate), gate.connect("/ws") as bot:
        await bot.send(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", KEY], "id": 1}))
        assert await close_code(bot) == 1012
        assert "VENUE_UNREACHABLE" in str(bot.close_reason)
        await until(lambda: gate.door._open == 0)
        assert (users.attached, gate.relay._topics) == ([], {})


# A key that is switched off


@pytest.mark.parametrize("where", ["vault", "store"])
async def test_a_key_that_is_switched_off_closes_its_sockets_within_a_second(where):
    off: set[str] = set()

    async def disabled() -> frozenset[str]:
        return frozenset(off if where == "store" else ())

    def active(key: str) -> bool:
        return where == "store" or key not in off

    async with (
        a_world(users=Users(), active=active, disabled=disabled) as (_, gate),
        gate.connect(f"/ws/{KEY}") as bot,
        gate.connect("/ws") as public,
    ):
        await asked(bot, "LIST_SUBSCRIPTIONS")
        off.add("pgk_1")
        async with asyncio.timeout(1):
            assert await close_code(bot) == 1008
        assert "KEY_DISABLED" in str(bot.close_reason)
        assert await asked(public, "LIST_SUBSCRIPTIONS") == {"result": [], "id": 1}


async def test_one_key_has_so_many_sockets_and_no_more(monkeypatch):
    monkeypatch.setattr(keyed, "SOCKETS_PER_KEY_MAX", 2)
    users = Users()
    async with a_world(users=users) as (_, gate), contextlib.AsyncExitStack() as stack:
        bots = [await stack.enter_async_context(gate.connect(f"/ws/{KEY}")) for _ in range(2)]
        for bot in bots:
            await asked(bot, "LIST_SUBSCRIPTIONS")
        async with gate.connect("/ws") as third:
            assert "TOO_MANY_STREAMS" in (await asked(third, "SUBSCRIBE", KEY))["error"]["msg"]
        await bots[0].close()
        await until(lambda: len(users.attached) == 1)
        async with gate.connect("/ws") as third:
            assert await asked(third, "SUBSCRIBE", KEY) == {"result": None, "id": 1}


@pytest.mark.parametrize(("path", "first"), [("/ws", b""), ("/ws-fapi/v1", frame("x", 2))], ids=["streams", "trading"])
async def test_a_flood_behind_what_closes_the_socket_is_not_parsed(path, first, monkeypatch):
    parsed = []
    receive_data = ServerProtocol.receive_data

    def counted(wire, data):
        parsed.append(len(data))
        receive_data(wire, data)

    async with a_world() as (_, gate), gate.raw(path) as bot:
        monkeypatch.setattr(ServerProtocol, "receive_data", counted)
        flood = first + frame("", 1) * 20_000
        bot.write(flood)
        await until(lambda: bool(parsed))
        await asyncio.sleep(0.1)
    assert max(parsed) <= sockets.PARSED_AT_ONCE
    assert sum(parsed) < len(flood) / 4, "of each read one step, the rest is dropped"
