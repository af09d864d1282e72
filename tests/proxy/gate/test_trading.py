"""A trading socket: who may speak on it, what is carried out twice, how many at once, and how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.gate.trading import UNDER_WAY_MAX, WAYS_OUT_MAX
from proxy.store.embedded import EmbeddedStore
from proxy.vault.keys import GuardKey
from proxy.venues.binance.client_ids import outward, tag
from tests.proxy.gate.conftest import Desk
from tests.proxy.gate.socket_worlds import RawBot, a_world
from tests.proxy.gate.socket_worlds import frame as on_the_wire
from tests.rules.builders import NOW, an_account
from tests.support.gates import NOW_MS, Exchange, Gate, Keys, MemorySocket, a_bare_frame, a_frame, an_exchange

BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
CANCEL = {"symbol": "BTCUSDT", "orderId": "7"}
EXIT = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.1", "reduceOnly": "true"}
STATUS = {"symbol": "BTCUSDT", "orderId": "7"}
SWITCHED_OFF = (1008, "GUARD KEY_DISABLED: the key was disabled or rotated")
LATER = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.in_directory(tmp_path / "vault")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as answering:
        yield answering


@pytest.fixture
async def gate(desk: Desk, keys: Keys, exchange: Exchange) -> AsyncIterator[Gate]:
    opened = Gate(desk, keys, exchange)
    yield opened
    exchange.gate.set()
    await opened.aclose()


@pytest.fixture
async def socket(gate: Gate) -> AsyncIterator[MemorySocket]:
    async with gate.socket() as opened:
        yield opened


async def logged_on(socket: MemorySocket, keys: Keys, **sent: object) -> None:
    answer = await socket.ask(a_frame(keys, "session.logon", sent, keys.ed25519, frame_id="logon"))
    assert answer["status"] == 200, answer


async def closed(socket: MemorySocket) -> tuple[int, str] | None:
    async with asyncio.timeout(5):
        await socket.gone.wait()
    return socket.closed


async def test_frames_are_counted_as_requests_are(gate: Gate, socket: MemorySocket, keys: Keys) -> None:
    assert (await socket.ask(a_frame(keys, "order.place", BUY)))["status"] == 200
    await gate.rest("POST", "/fapi/v1/order", BUY | {"timestamp": str(NOW_MS)})
    await socket.ask(a_frame(keys, "order.place", BUY, signature="0" * 64))
    await gate.rest("POST", "/fapi/v1/order", BUY | {"timestamp": str(NOW_MS)}, signature="0" * 64)
    totals = {each.kind: sum(each.buckets) for each in gate.counting.stages() if each.stage == "total"}
    assert totals == {"entry": 2}
    assert {tuple(each.labels): each.count for each in gate.counting.refused()} == {("unauthenticated",): 2}
    assert {tuple(each.labels): each.count for each in gate.counting.orders()} == {
        ("demo", "demo-bot", "entry", "accepted"): 2
    }


async def test_an_order_goes_out_as_rest_under_the_real_key(
    socket: MemorySocket, keys: Keys, exchange: Exchange
) -> None:
    answer = await socket.ask(a_frame(keys, "order.place", BUY | {"newClientOrderId": "mine"}, frame_id=7))
    assert answer == {
        "id": 7,
        "status": 200,
        "result": {"orderId": 1, "clientOrderId": "mine", "status": "NEW"},
        "rateLimits": [],
    }
    ((method, path, sent),) = exchange.asked
    assert (method, path, sent["newClientOrderId"], "apiKey" in sent) == (
        "POST",
        "/fapi/v1/order",
        outward("mine", tag("demo", "demo-bot")),
        False,
    )


@pytest.mark.parametrize("method", ["depth", "ticker.price", "ticker.book"])
async def test_market_data_needs_no_key(socket: MemorySocket, exchange: Exchange, method: str) -> None:
    exchange.body = b'{"symbol":"BTCUSDT"}'
    answer = await socket.ask(a_bare_frame(method, {"symbol": "BTCUSDT"}))
    assert answer["result"] == {"symbol": "BTCUSDT"}
    assert "signature" not in exchange.asked[0][2]


async def test_a_frame_may_leave_its_parameters_out(socket: MemorySocket, exchange: Exchange, keys: Keys) -> None:
    exchange.body = b"[]"
    assert (await socket.ask('{"id":1,"method":"ticker.price"}'))["result"] == []
    assert (await socket.ask('{"id":2,"method":"account.status"}'))["error"]["code"] == -2014
    await logged_on(socket, keys)
    answer = await socket.ask('{"id":3,"method":"order.place"}')
    assert (answer["error"]["code"], "mandatory parameter" in answer["error"]["msg"]) == (-1102, True)


async def test_without_a_key_and_a_logon_nothing_else_is_answered(socket: MemorySocket, exchange: Exchange) -> None:
    for method in ("order.place", "account.status", "userDataStream.start"):
        answer = await socket.ask(a_bare_frame(method, {}))
        assert (answer["status"], answer["error"]["code"]) == (401, -2014)
    assert exchange.asked == []


async def test_a_signature_that_is_not_the_keys_is_refused(socket: MemorySocket, keys: Keys) -> None:
    for key in (keys.hmac, keys.ed25519):
        answer = await socket.ask(a_frame(keys, "order.place", BUY, key, quantity="0.2"))
        assert (answer["status"], answer["error"]["code"]) == (400, -1022)
    # A public key is no secret: signing HMAC with it opens nothing.
    pretender = GuardKey(
        key=keys.ed25519.key,
        secret=type(keys.ed25519.secret)(keys.ed25519.public_key or ""),
        bot="b",
        account="demo",
        label="l",
        state=keys.ed25519.state,
        created_at=LATER,
    )
    assert (await socket.ask(a_frame(keys, "order.place", BUY, pretender)))["error"]["code"] == -1022
    assert socket.closed is None


async def test_a_method_that_is_not_served_closes_the_socket_with_a_reason(socket: MemorySocket, keys: Keys) -> None:
    answer = await socket.ask(a_frame(keys, "order.cancelReplace", BUY, frame_id="x"))
    assert (answer["id"], answer["status"], answer["error"]["code"]) == ("x", 403, -1002)
    assert await closed(socket) == (1008, "GUARD UNKNOWN_ROUTE: this method is not served")


@pytest.mark.parametrize("raw", ["", "[]", '{"id":1}', '{"id":1,"id":2,"method":"ping","params":{}}'])
async def test_what_is_no_frame_is_answered_without_an_id(socket: MemorySocket, raw: str) -> None:
    answer = await socket.ask(raw)
    assert (answer["id"], answer["status"]) == (None, 400)
    assert socket.closed is None


async def test_a_signed_frame_is_carried_out_once_under_whatever_id(
    socket: MemorySocket, keys: Keys, exchange: Exchange
) -> None:
    first = json.loads(a_frame(keys, "order.place", BUY))
    assert (await socket.ask(json.dumps(first)))["status"] == 200
    again = [
        first | {"id": "another"},
        first | {"params": dict(reversed(first["params"].items()))},
        first | {"params": first["params"] | {"signature": first["params"]["signature"].upper()}},
    ]
    for frame in again:
        assert "REPLAYED" in (await socket.ask(json.dumps(frame)))["error"]["msg"]
    assert len(exchange.asked) == 1


async def test_cancels_may_be_repeated(socket: MemorySocket, keys: Keys, exchange: Exchange) -> None:
    for _ in range(2):
        assert (await socket.ask(a_frame(keys, "order.cancel", CANCEL)))["status"] == 200
    assert len(exchange.asked) == 2


async def test_a_logon_is_once_and_for_all_frames_after_it(
    socket: MemorySocket, keys: Keys, exchange: Exchange
) -> None:
    socket.say(a_frame(keys, "session.logon", {}, keys.ed25519))
    socket.say(a_bare_frame("order.place", BUY, frame_id="behind"))
    logon = (await socket.answer())["result"]
    assert logon == {
        "apiKey": keys.ed25519.key,
        "authorizedSince": NOW_MS,
        "connectedSince": NOW_MS,
        "returnRateLimits": False,
        "serverTime": NOW_MS,
    }
    assert (await socket.answer())["status"] == 200
    assert (await socket.ask(a_bare_frame("session.status")))["result"] == logon
    assert len(exchange.asked) == 1


async def test_after_a_logout_nobody_is_there(socket: MemorySocket, keys: Keys) -> None:
    await logged_on(socket, keys)
    answer = await socket.ask(a_bare_frame("session.logout"))
    assert (answer["result"]["apiKey"], answer["result"]["authorizedSince"]) == (None, None)
    assert (await socket.ask(a_bare_frame("order.place", BUY)))["status"] == 401


async def test_a_logon_takes_an_ed25519_key(socket: MemorySocket, keys: Keys) -> None:
    answer = await socket.ask(a_frame(keys, "session.logon", {}, keys.hmac))
    assert (answer["status"], answer["error"]["code"]) == (400, -4056)
    assert (await socket.ask(a_bare_frame("order.place", BUY)))["status"] == 401


@pytest.mark.parametrize(
    "sent", [{"timestamp": NOW_MS - 60_000}, {"timestamp": NOW_MS + 1000}, {"timestamp": NOW_MS - 9000}]
)
async def test_a_logon_and_a_session_frame_have_the_clock_window_of_rest(
    socket: MemorySocket, keys: Keys, exchange: Exchange, sent: dict[str, int]
) -> None:
    assert (await socket.ask(a_frame(keys, "session.logon", sent, keys.ed25519)))["error"]["code"] == -1021
    await logged_on(socket, keys)
    assert (await socket.ask(a_bare_frame("order.place", BUY | sent)))["error"]["code"] == -1021
    assert exchange.asked == []


async def test_a_recorded_logon_opens_no_second_socket(gate: Gate, keys: Keys) -> None:
    logon = a_frame(keys, "session.logon", {}, keys.ed25519)
    async with gate.socket() as first, gate.socket() as second:
        assert (await first.ask(logon))["status"] == 200
        assert "REPLAYED" in (await second.ask(logon))["error"]["msg"]
        assert (await second.ask(a_bare_frame("order.place", BUY)))["status"] == 401


async def test_an_entry_of_a_session_sent_again_after_a_new_connection_is_refused(
    gate: Gate, keys: Keys, exchange: Exchange
) -> None:
    """The id and all parameters tell a repetition from a second order of the same size."""
    for attempt in range(2):
        async with gate.socket() as socket:
            await logged_on(socket, keys, recvWindow=4000 + attempt)
            answer = await socket.ask(a_bare_frame("order.place", BUY, frame_id="a"))
            assert ("REPLAYED" in json.dumps(answer)) is (attempt == 1)
            assert (await socket.ask(a_bare_frame("order.place", BUY, frame_id=f"b{attempt}")))["status"] == 200
    assert len(exchange.asked) == 3


async def test_a_session_frame_without_a_timestamp_stands_as_long_as_its_window_says_from_its_arrival(
    socket: MemorySocket, keys: Keys, exchange: Exchange
) -> None:
    await logged_on(socket, keys)
    assert (await socket.ask(a_bare_frame("order.place", BUY | {"recvWindow": 700}, frame_id=1)))["status"] == 200
    assert exchange.asked[-1][2]["recvWindow"] == "700"
    for number, wrong in enumerate((0, -5, 60_001, "x")):
        answer = await socket.ask(a_bare_frame("order.place", BUY | {"recvWindow": wrong}, frame_id=f"w{number}"))
        assert (answer["status"], "recvWindow" in answer["error"]["msg"]) == (400, True), answer
    assert len(exchange.asked) == 1


class OnTheWire:
    """A bot on a real socket that has logged on, and whose frames may have to wait there."""

    def __init__(self, bot: RawBot) -> None:
        self._bot = bot
        self.answers: dict[object, dict[str, object]] = {}

    async def log_on(self, keys: Keys, timestamp: int) -> None:
        self.say(a_frame(keys, "session.logon", {"timestamp": timestamp}, keys.ed25519, frame_id=f"on {timestamp}"))
        assert (await self.answer(f"on {timestamp}"))["status"] == 200

    def say(self, *frames: str) -> None:
        self._bot.write(*(on_the_wire(each) for each in frames))

    async def answer(self, frame_id: object) -> dict[str, object]:
        while frame_id not in self.answers:
            opcode, said = await self._bot.frame()
            assert opcode == 1, said
            self.answers[json.loads(said)["id"]] = json.loads(said)
        return self.answers[frame_id]


def _goes_on(gate: Gate) -> None:
    began = time.monotonic()
    gate.clock = lambda: NOW + timedelta(seconds=time.monotonic() - began)


BURST = [a_bare_frame("session.status", frame_id=number) for number in range(120)]
"""More than a second's worth behind the fifty that are read at once."""


@pytest.mark.parametrize("pause_s", [0, 0.2], ids=["off the wire", "in the kernel"])
async def test_an_entry_of_a_session_does_not_go_after_its_window_though_it_was_not_read_before(
    gate: Gate, desk: Desk, keys: Keys, exchange: Exchange, pause_s: float
) -> None:
    await desk.knows(an_account().long("BTCUSDT", "1"))
    _goes_on(gate)
    async with a_world(trading=gate.trading_door) as (_, wire), wire.raw("/ws-fapi/v1") as raw:
        bot = OnTheWire(raw)
        await bot.log_on(keys, NOW_MS)
        bot.say(*BURST)
        await asyncio.sleep(pause_s)
        bot.say(
            a_bare_frame("order.place", BUY | {"recvWindow": 500}, frame_id="late"),
            a_bare_frame("order.place", EXIT | {"recvWindow": 500}, frame_id="exit"),
            a_bare_frame("order.cancel", CANCEL | {"recvWindow": 500}, frame_id="cancel"),
            a_bare_frame("order.place", BUY, frame_id="long enough"),
        )
        late = await bot.answer("late")
        assert (late["status"], late["error"]["code"]) == (400, -1021)
        for frame_id in ("exit", "cancel", "long enough"):
            assert (await bot.answer(frame_id))["status"] == 200
        await asyncio.sleep(0.3)
        bot.say(a_bare_frame("order.place", BUY | {"recvWindow": 500}, frame_id="afterwards"))
        assert (await bot.answer("afterwards"))["status"] == 200
    assert [sent["side"] for _, _, sent in exchange.asked if "side" in sent] == ["SELL", "BUY", "BUY"]


@pytest.mark.parametrize("pause_s", [0, 0.2], ids=["off the wire", "in the kernel"])
async def test_a_signed_exit_behind_a_burst_of_its_bot_is_as_old_as_it_was_when_it_came(
    gate: Gate, desk: Desk, keys: Keys, exchange: Exchange, pause_s: float
) -> None:
    await desk.knows(an_account().long("BTCUSDT", "1"))
    _goes_on(gate)
    async with a_world(trading=gate.trading_door) as (_, wire), wire.raw("/ws-fapi/v1") as raw:
        bot = OnTheWire(raw)
        await bot.log_on(keys, NOW_MS)
        bot.say(*BURST)
        await asyncio.sleep(pause_s)
        short = {"recvWindow": 500, "timestamp": NOW_MS}
        bot.say(
            a_frame(keys, "order.place", BUY | short, frame_id="entry"),
            a_frame(keys, "order.place", EXIT | short, frame_id="exit"),
            a_bare_frame("order.cancel", CANCEL | short, frame_id="of the session"),
            a_frame(keys, "order.place", EXIT | short | {"timestamp": NOW_MS - 600}, frame_id="old"),
            a_frame(keys, "order.place", EXIT | short | {"timestamp": NOW_MS + 9_000}, frame_id="ahead"),
        )
        for frame_id in ("entry", "old", "ahead"):
            answer = await bot.answer(frame_id)
            assert (answer["status"], answer["error"]["code"]) == (400, -1021), frame_id
        for frame_id in ("exit", "of the session"):
            assert (await bot.answer(frame_id))["status"] == 200, frame_id
    assert [sent["side"] for _, _, sent in exchange.asked if "side" in sent] == ["SELL"]


@pytest.mark.parametrize("signed", [False, True], ids=["of a session", "signed"])
async def test_an_entry_that_waits_unread_does_not_go_beside_its_copy_on_a_new_connection(
    gate: Gate, desk: Desk, keys: Keys, exchange: Exchange, signed: bool
) -> None:
    await desk.knows(an_account())
    _goes_on(gate)
    async with (
        a_world(trading=gate.trading_door) as (_, wire),
        wire.raw("/ws-fapi/v1") as first,
        wire.raw("/ws-fapi/v1") as second,
    ):
        old, new = OnTheWire(first), OnTheWire(second)
        await old.log_on(keys, NOW_MS)
        await new.log_on(keys, NOW_MS + 1)
        asked = BUY | {"recvWindow": 300}
        entry = a_bare_frame("order.place", asked, frame_id="entry")
        if signed:
            entry = a_frame(keys, "order.place", asked | {"timestamp": NOW_MS}, frame_id="entry")
        fill = [a_bare_frame("session.status", frame_id=number) for number in range(200)]
        old.say(*fill, entry)
        await asyncio.sleep(0.1)
        new.say(entry)
        assert (await new.answer("entry"))["status"] == 200
        assert (await old.answer("entry"))["status"] == 400
    assert len(exchange.asked) == 1


async def test_a_session_may_lend_one_frame_to_another_key(socket: MemorySocket, keys: Keys) -> None:
    await logged_on(socket, keys)
    assert (await socket.ask(a_frame(keys, "order.place", BUY, keys.hmac)))["status"] == 200
    assert (await socket.ask(a_bare_frame("session.status")))["result"]["apiKey"] == keys.ed25519.key


@pytest.mark.parametrize("where", ["vault", "store"])
@pytest.mark.parametrize("kind", ["hmac", "ed25519", "lent"])
async def test_a_key_switched_off_closes_an_idle_socket(
    gate: Gate, desk: Desk, socket: MemorySocket, keys: Keys, kind: str, where: str
) -> None:
    key = keys.ed25519 if kind == "ed25519" else keys.hmac
    if kind != "hmac":
        await logged_on(socket, keys)
    if kind != "ed25519":
        await socket.ask(a_frame(keys, "order.cancel", CANCEL, key))
    async with gate.socket() as nobodys:
        if where == "vault":
            keys.vault.disable(key.key, LATER)
        else:
            await desk.warden.set_key_disabled(key.key, disabled=True)
        async with asyncio.timeout(1):
            assert await closed(socket) == SWITCHED_OFF
        assert nobodys.closed is None


async def test_a_key_speaks_on_so_many_sockets_and_no_more(
    gate: Gate, keys: Keys, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.gate.streams.keys.SOCKETS_PER_KEY_MAX", 1)
    async with gate.socket() as second:
        async with gate.socket() as first:
            for _ in range(2):
                assert (await first.ask(a_frame(keys, "order.cancel", CANCEL)))["status"] == 200
            answer = await second.ask(a_frame(keys, "order.cancel", CANCEL))
            assert (answer["status"], answer["error"]["code"]) == (503, -1008)
            assert "TOO_MANY_SOCKETS" in answer["error"]["msg"]
            await logged_on(second, keys)
        assert (await second.ask(a_frame(keys, "order.cancel", CANCEL)))["status"] == 200
    assert len(exchange.asked) == 3
    assert gate.sockets._sockets == {}


async def test_a_key_switched_off_is_refused_its_next_frame(
    socket: MemorySocket, keys: Keys, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.gate.identity._RELOAD_EVERY_S", 0)
    await logged_on(socket, keys)
    keys.vault.disable(keys.ed25519.key, LATER)
    assert "KEY_DISABLED" in (await socket.ask(a_bare_frame("order.place", BUY)))["error"]["msg"]
    assert await closed(socket) == SWITCHED_OFF
    assert exchange.asked == []


async def test_a_key_switched_off_in_the_store_cannot_log_on(desk: Desk, socket: MemorySocket, keys: Keys) -> None:
    await desk.warden.set_key_disabled(keys.ed25519.key, disabled=True)
    answer = await socket.ask(a_frame(keys, "session.logon", {}, keys.ed25519))
    assert "KEY_DISABLED" in answer["error"]["msg"]


async def test_answers_come_as_they_are_done(socket: MemorySocket, keys: Keys, exchange: Exchange) -> None:
    exchange.gate.clear()
    socket.say(a_frame(keys, "order.place", BUY, frame_id="slow"))
    await exchange.received(1)
    assert (await socket.ask(a_bare_frame("session.status", frame_id="quick")))["id"] == "quick"
    exchange.gate.set()
    assert (await socket.answer())["id"] == "slow"


async def test_a_flood_of_orders_is_bounded_and_leaves_the_way_out_open(
    socket: MemorySocket, keys: Keys, exchange: Exchange
) -> None:
    exchange.gate.clear()
    for number in range(UNDER_WAY_MAX + 1):
        socket.say(a_frame(keys, "order.place", BUY | {"newClientOrderId": f"n{number}"}, frame_id=number))
    answer = await socket.answer()
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (UNDER_WAY_MAX, 429, -1003)
    socket.say(a_frame(keys, "order.cancel", CANCEL, frame_id="out"))
    await exchange.received(UNDER_WAY_MAX + 1)
    assert "DELETE" in {method for method, _, _ in exchange.asked}
    exchange.gate.set()
    ids = {(await socket.answer())["id"] for _ in range(UNDER_WAY_MAX + 1)}
    assert ids == {*range(UNDER_WAY_MAX), "out"}
    assert (await socket.ask(a_frame(keys, "order.place", BUY, frame_id="again")))["status"] == 200


@pytest.mark.parametrize(("method", "sent"), [("order.place", BUY), ("order.status", STATUS)], ids=["entries", "reads"])
@pytest.mark.parametrize(("out", "way_out"), [("order.place", EXIT), ("order.cancel", CANCEL)], ids=["exit", "cancel"])
async def test_what_hangs_at_the_exchange_leaves_the_way_out_open(
    gate: Gate,
    socket: MemorySocket,
    keys: Keys,
    exchange: Exchange,
    method: str,
    sent: dict[str, str],
    out: str,
    way_out: dict[str, str],
) -> None:
    exchange.gate.clear()
    for number in range(UNDER_WAY_MAX + 1):
        socket.say(a_frame(keys, method, sent | {"recvWindow": str(5_000 + number)}, frame_id=number))
    assert (await socket.answer())["id"] == UNDER_WAY_MAX
    assert {tuple(each.labels): each.count for each in gate.counting.refused()} == {("overloaded",): 1}
    await exchange.received(UNDER_WAY_MAX)
    socket.say(a_frame(keys, out, way_out, frame_id="out"))
    await exchange.received(UNDER_WAY_MAX + 1)
    assert exchange.asked[-1][2].get("side") == way_out.get("side")
    exchange.gate.set()
    assert {(await socket.answer())["status"] for _ in range(UNDER_WAY_MAX + 1)} == {200}


async def test_exits_and_cancels_under_way_are_bounded_together(
    socket: MemorySocket, keys: Keys, exchange: Exchange
) -> None:
    exchange.gate.clear()
    for number in range(0, WAYS_OUT_MAX, 2):
        socket.say(a_frame(keys, "order.place", EXIT, frame_id=number))
        socket.say(a_frame(keys, "order.cancel", CANCEL, frame_id=number + 1))
    socket.say(a_frame(keys, "order.place", EXIT, frame_id="beyond"))
    answer = await socket.answer()
    assert (answer["id"], answer["status"], answer["error"]["code"]) == ("beyond", 429, -1003)
    socket.say(a_frame(keys, "order.place", BUY, frame_id="entry"))
    await exchange.received(WAYS_OUT_MAX + 1)


@pytest.mark.parametrize(("method", "sent"), [("order.place", EXIT), ("order.cancel", CANCEL)], ids=["exit", "cancel"])
async def test_what_was_said_before_hanging_up_is_carried_out(
    gate: Gate, keys: Keys, exchange: Exchange, method: str, sent: dict[str, str]
) -> None:
    async with gate.socket() as socket:
        await socket.ask(a_bare_frame("session.status"))
        socket.say(a_frame(keys, method, sent))
    await exchange.received(1)


async def test_a_way_out_that_waits_for_its_turn_goes_though_the_bot_hangs_up(
    gate: Gate, keys: Keys, exchange: Exchange
) -> None:
    exchange.gate.clear()
    lane, bot = gate.rest_door._lanes.exits, ("demo", "demo-bot")
    while lane.enter_at_once(bot):
        pass
    async with gate.socket() as socket:
        socket.say(a_frame(keys, "order.place", EXIT))
        async with asyncio.timeout(5):
            while not lane.queued(bot):
                await asyncio.sleep(0)
    lane.leave(bot)
    await exchange.received(1)


async def test_a_bot_that_hangs_up_tears_no_order(gate: Gate, desk: Desk, keys: Keys, exchange: Exchange) -> None:
    exchange.gate.clear()
    async with gate.socket() as socket:
        socket.say(a_frame(keys, "order.place", BUY))
        await exchange.received(1)
    assert socket.silent
    assert [record["kind"] for record in await desk.audit()] == ["intent"]
    exchange.gate.set()
    await gate.rest_door.drain()
    assert [record["kind"] for record in await desk.audit()] == ["intent", "decision", "outcome"]
    assert [hold.status.value for hold in (await desk.holds()).values()] == ["ACCEPTED"]


async def test_a_bug_answers_as_one_and_the_session_goes_on(
    socket: MemorySocket, gate: Gate, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate.rest_door._reads._venue, "_hosts", {})
    answer = await socket.ask(a_bare_frame("depth", {"symbol": "BTCUSDT"}))
    assert (answer["status"], answer["error"]["code"]) == (500, -1000)
    assert (await socket.ask(a_bare_frame("session.status")))["status"] == 200


async def test_without_the_store_a_logon_passes_and_exits_go(
    own_server: EmbeddedStore, own_desk: Desk, keys: Keys, exchange: Exchange
) -> None:
    gate = Gate(own_desk, keys, exchange)
    own_server.stop()
    async with gate.socket() as socket:
        await logged_on(socket, keys)
        assert "STORE_UNAVAILABLE" in (await socket.ask(a_bare_frame("order.place", BUY)))["error"]["msg"]
        assert (await socket.ask(a_bare_frame("order.cancel", CANCEL)))["status"] == 200
    await gate.aclose()


async def test_an_exit_read_whole_behind_an_unknown_method_still_goes(
    gate: Gate, desk: Desk, keys: Keys, exchange: Exchange
):
    await desk.knows(an_account().long("BTCUSDT", "1"))
    async with a_world(trading=gate.trading_door) as (_, wire), wire.raw("/ws-fapi/v1") as bot:
        bot.write(
            on_the_wire(a_bare_frame("exchangeInfo", frame_id="wrong")),
            on_the_wire(a_frame(keys, "order.place", BUY, frame_id="entry")),
            on_the_wire(a_frame(keys, "order.place", EXIT, frame_id="exit")),
        )
        async with asyncio.timeout(5):
            while not exchange.asked:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert [sent["side"] for _, _, sent in exchange.asked] == ["SELL"], "the entry is given up before it begins"
