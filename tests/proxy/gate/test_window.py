"""How long a bot's request stands: what adds risk is not sent after the window it came with, wherever it waited."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from proxy.gate.window import SendWindow, WindowClosed
from rules.model import Side
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import NOW, an_account, an_open_order
from tests.support.gates import NOW_MS, Exchange, Gate, Keys, a_bare_frame, a_frame, an_exchange

ENTRY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
STOP = {
    "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "quantity": "0.1",
    "triggerPrice": "51000",
}  # fmt: skip
AMEND = {"symbol": "BTCUSDT", "side": "BUY", "orderId": "11", "quantity": "0.2", "price": "49000"}
EXIT = ENTRY | {"side": "SELL", "reduceOnly": "true"}
CANCEL = {"symbol": "BTCUSDT", "orderId": "11"}
SHORT = {"timestamp": str(NOW_MS), "recvWindow": "300"}
STALE = "GUARD STALE_TIMESTAMP: Timestamp for this request is outside of the recvWindow."

RISKY = {
    "order": ("POST", "/fapi/v1/order", ENTRY, "order.place"),
    "stop": ("POST", "/fapi/v1/algoOrder", STOP, "algoOrder.place"),
    "amend": ("PUT", "/fapi/v1/order", AMEND, "order.modify"),
    "batch": ("POST", "/fapi/v1/batchOrders", {"batchOrders": json.dumps([ENTRY])}, ""),
    "amends": ("PUT", "/fapi/v1/batchOrders", {"batchOrders": json.dumps([AMEND])}, ""),
    "leverage": ("POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": "2"}, ""),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.in_directory(tmp_path_factory.mktemp("vault"))


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as answering:
        yield answering


@pytest.fixture
async def gate(desk: Desk, keys: Keys, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    """A gate that takes one entry of a bot at a time; the account is long a bitcoin, and an order rests."""
    monkeypatch.setattr("proxy.gate.fairness.ENTRY_SLOTS", 4)
    opened = Gate(desk, keys, exchange)
    resting = an_open_order(Side.BUY, "BTCUSDT", "0.1", "48000", order_id="11", client_order_id="resting")
    await desk.knows(an_account().long("BTCUSDT", "1").resting(resting))
    yield opened
    exchange.gate.set()
    await opened.aclose()


def at(later_ms: float) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(milliseconds=later_ms)


@asynccontextmanager
async def a_hung_entry(gate: Gate) -> AsyncIterator[None]:
    """Whoever comes next waits for this one, until the block ends."""
    gate.exchange.gate.clear()
    hanging = asyncio.create_task(gate.rest("POST", "/fapi/v1/order", ENTRY | {"timestamp": str(NOW_MS)}))
    await gate.exchange.received(1)
    yield
    gate.exchange.gate.set()
    await hanging


async def waits(gate: Gate) -> None:
    async with asyncio.timeout(5):
        while not gate.rest_door._lanes.entries.queued(("demo", "demo-bot")):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kind", RISKY)
async def test_what_adds_risk_and_waited_past_its_window_is_not_sent(gate: Gate, desk: Desk, kind: str) -> None:
    method, path, sent, _ = RISKY[kind]
    async with a_hung_entry(gate):
        late = asyncio.create_task(gate.rest(method, path, sent | SHORT))
        await waits(gate)
        gate.clock = at(301)
    told = (await late).json()
    assert (told if isinstance(told, dict) else told[0]) == {"code": -1021, "msg": STALE}
    await gate.rest_door.drain()
    assert len(gate.exchange.asked) == 1, "the one it waited for"
    assert len(await desk.holds()) == 1, "and nothing is held for what was not sent"
    outcomes = [record["result"] for record in await desk.audit() if record["kind"] == "outcome"]
    assert sorted(outcomes) == ["ACCEPTED", "NOT_SENT"]


@pytest.mark.parametrize("kind", ["order", "stop", "amend"])
async def test_so_it_is_with_frames(gate: Gate, keys: Keys, kind: str) -> None:
    _, _, sent, frame_method = RISKY[kind]
    async with gate.socket() as socket:
        async with a_hung_entry(gate):
            socket.say(a_frame(keys, frame_method, sent | {"recvWindow": 300}, frame_id=7))
            await waits(gate)
            gate.clock = at(301)
        assert (await socket.answer())["error"] == {"code": -1021, "msg": STALE}
    assert len(gate.exchange.asked) == 1


async def test_a_frame_of_a_session_without_a_timestamp_stands_as_long_as_usual(gate: Gate, keys: Keys) -> None:
    async with gate.socket() as socket:
        logon = await socket.ask(a_frame(keys, "session.logon", {}, keys.ed25519))
        assert logon["status"] == 200, logon
        async with a_hung_entry(gate):
            socket.say(a_bare_frame("order.place", ENTRY, frame_id=7))
            await waits(gate)
            gate.clock = at(5_001)
        assert (await socket.answer())["error"]["code"] == -1021
    assert len(gate.exchange.asked) == 1


@pytest.mark.parametrize(("method", "sent"), [("POST", EXIT), ("DELETE", CANCEL)], ids=["exit", "cancel"])
async def test_a_way_out_is_sent_however_late_and_with_the_usual_window(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, method: str, sent: dict[str, str]
) -> None:
    monkeypatch.setattr("proxy.gate.orders.new_decision_id", lambda: _much_later(gate))
    answer = await gate.rest(method, "/fapi/v1/order", sent | SHORT)
    assert answer.status_code == 200, answer.text
    (_, _, asked) = gate.exchange.asked[0]
    assert (asked["recvWindow"], asked["timestamp"]) == ("5000", str(NOW_MS + 60_000))


def _much_later(gate: Gate) -> str:
    """The name of a decision that was long in coming."""
    gate.clock = at(60_000)
    return "0" * 26


async def test_of_a_batch_that_is_late_the_exits_go(gate: Gate, desk: Desk) -> None:
    async with a_hung_entry(gate):
        orders = [EXIT, ENTRY | {"symbol": "ETHUSDT"}]
        late = asyncio.create_task(
            gate.rest("POST", "/fapi/v1/batchOrders", SHORT | {"batchOrders": json.dumps(orders)})
        )
        await waits(gate)
        gate.clock = at(301)
        gate.exchange.body = json.dumps([{"orderId": 7, "clientOrderId": "x", "status": "NEW"}]).encode()
    gone, kept = (await late).json()
    assert (gone["orderId"], kept) == (7, {"code": -1021, "msg": STALE})
    (_, _, asked) = gate.exchange.asked[-1]
    assert [order["symbol"] for order in json.loads(asked["batchOrders"])] == ["BTCUSDT"]
    assert asked["recvWindow"] == "5000"


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ({"recvWindow": "300"}, "200"),
        ({"recvWindow": "101"}, "1"),
        ({"recvWindow": "100"}, "1"),
        ({}, "4900"),
        ({"recvWindow": "60000"}, "5000"),
        ({"recvWindow": "300", "timestamp": str(NOW_MS + 900)}, "1100"),
    ],
    ids=["short", "nearly over", "over in this millisecond", "none named", "long", "a clock ahead"],
)
async def test_an_entry_is_signed_with_what_is_left_of_its_window(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, sent: dict[str, str], signed: str
) -> None:
    def a_little_later() -> str:
        gate.clock = at(100)
        return "0" * 26

    monkeypatch.setattr("proxy.gate.orders.new_decision_id", a_little_later)
    answer = await gate.rest("POST", "/fapi/v1/order", ENTRY | {"timestamp": str(NOW_MS)} | sent)
    assert answer.status_code == 200, answer.text
    (_, _, asked) = gate.exchange.asked[0]
    assert (asked["recvWindow"], asked["timestamp"]) == (signed, str(NOW_MS + 100))
    await gate.rest_door.drain()
    (*_, outcome) = await gate.desk.audit()
    assert outcome["recv_window_ms"] == int(signed), "the audit says by which window the exchange judged it"


async def test_a_batch_of_entries_that_is_late_is_refused_in_its_places(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late() -> str:
        gate.clock = at(301)
        return "0" * 26

    monkeypatch.setattr("proxy.gate.orders.new_decision_id", too_late)
    two = json.dumps([ENTRY, ENTRY | {"symbol": "ETHUSDT"}])
    answer = await gate.rest("POST", "/fapi/v1/batchOrders", {"batchOrders": two} | SHORT)
    assert (answer.status_code, answer.json()) == (200, [{"code": -1021, "msg": STALE}] * 2)
    assert (answer.headers["x-guard-verdict"], answer.headers["x-guard-code"]) == ("DENY", "STALE_TIMESTAMP")
    assert gate.exchange.asked == []
    await gate.rest_door.drain()
    assert await gate.desk.holds() == {}


async def test_a_window_that_ends_while_the_order_waits_for_a_connection_stops_it_before_the_first_byte(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = gate.upstream.send

    async def waiting(request: Any, fence: Any) -> Any:
        gate.clock = at(301)
        return await real(request, fence)

    monkeypatch.setattr(gate.upstream, "send", waiting)
    answer = await gate.rest("POST", "/fapi/v1/order", ENTRY | SHORT)
    assert answer.json() == {"code": -1021, "msg": STALE}
    assert gate.exchange.asked == []


def test_the_window_is_asked_before_the_fence_is_entered() -> None:
    """Who enters is waited for by a kill."""
    entered: list[str] = []

    def fence() -> Callable[[], None]:
        entered.append("in")
        return lambda: entered.append("out")

    clock = [at(0)]
    through = SendWindow(NOW_MS + 300, lambda: clock[0]()).within(fence)
    assert through is not None
    clock[0] = at(300)
    through()()
    assert entered == ["in", "out"]
    clock[0] = at(301)
    with pytest.raises(WindowClosed):
        through()
    assert entered == ["in", "out"]


async def test_a_copy_that_waits_longer_than_it_is_remembered_becomes_no_second_order(gate: Gate) -> None:
    """Its window was open when it came; when its turn came the mark of the first was gone, 2 s after it was set."""
    began = time.monotonic()
    gate.clock = lambda: NOW + timedelta(seconds=time.monotonic() - began)
    same = ENTRY | {"timestamp": str(NOW_MS + 950), "recvWindow": "1"}
    assert (await gate.rest("POST", "/fapi/v1/order", same)).status_code == 200
    await asyncio.sleep(max(0.0, began + 0.8 - time.monotonic()))
    gate.exchange.asked.clear()
    async with a_hung_entry(gate):
        copy = asyncio.create_task(gate.rest("POST", "/fapi/v1/order", same))
        await waits(gate)
        await asyncio.sleep(1.6)
    told = (await copy).json()
    assert told["code"] == -1021, told
    assert len(gate.exchange.asked) == 1, "the one it waited for"
