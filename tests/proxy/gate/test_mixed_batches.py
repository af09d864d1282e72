"""A batch of exits and entries whose entries may not go at the last moment: the exits go all the same."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from proxy.gate import second_look
from proxy.gate.latch import Latch
from proxy.gate.upstream import NotSent
from proxy.store.fence import DESK
from proxy.store.gates import LEASE_S
from proxy.venues.binance.requests import read_request
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.wire import Parameters
from rules.model import Side
from rules.order.duplicate_order import DuplicateOrder
from rules.position.position_limit import PositionLimit
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import an_account, an_open_order
from tests.support.doors import House

EXIT = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.1", "reduceOnly": "true"}
ENTRY = {
    "symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "2000", "timeInForce": "GTC",
}  # fmt: skip


def a_latch(heard_s_ago: float) -> Latch:
    latch = Latch(cast(Any, None))
    latch.heard({"generation": "1"}, time.monotonic() - heard_s_ago)
    return latch


async def answers(house: House, *orders: dict[str, str]) -> list[dict[str, Any]]:
    """What the bot is told of a batch."""
    told = await house.send("ada", "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(orders))
    assert told.status_code == 200, told.text
    return cast(list[dict[str, Any]], told.json())


def sent(house: House) -> list[str]:
    """The symbols of the orders that came to the exchange."""
    return [order["symbol"] for _, _, asked in house.venue.asked for order in json.loads(asked["batchOrders"])]


async def test_when_the_store_has_not_been_heard_the_exit_goes_and_the_entry_does_not(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path, latch=a_latch(heard_s_ago=2 * LEASE_S))
    house.venue.answer = lambda *_: [{"orderId": 7, "clientOrderId": "x", "status": "NEW"}]
    await desk.knows(an_account().long("BTCUSDT", "1"))
    gone, kept = await answers(house, EXIT, ENTRY)
    assert (gone["orderId"], kept["code"]) == (7, -2010)
    assert "STORE_UNAVAILABLE" in kept["msg"]
    assert sent(house) == ["BTCUSDT"]
    assert await desk.holds() == {}, "nothing is held for an entry that stayed here"
    outcome = [record for record in await desk.audit() if record["kind"] == "outcome"][-1]
    assert "withheld: 1 STORE_UNAVAILABLE" in json.dumps(outcome["items"])


@pytest.mark.parametrize("orders", [(ENTRY, ENTRY | {"price": "1999"}), (ENTRY,)], ids=["two entries", "one"])
async def test_entries_alone_do_not_go(desk: Desk, tmp_path: Path, orders: tuple[dict[str, str], ...]):
    house = House(desk, tmp_path, latch=a_latch(heard_s_ago=2 * LEASE_S))
    await desk.knows(an_account())
    told = await house.send("ada", "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(orders))
    assert "CANNOT_JUDGE" in told.text
    assert house.venue.asked == []


async def test_when_a_kill_comes_between_the_exit_goes_and_the_entry_does_not(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    house = House(desk, tmp_path, latch=a_latch(heard_s_ago=0))
    house.venue.answer = lambda *_: [{"orderId": 7, "clientOrderId": "x", "status": "NEW"}]
    await desk.knows(an_account().long("BTCUSDT", "1"))
    send = house.venue.send

    async def pressed_first(request: Any, fence: Any) -> Any:
        desk.fence.engage(DESK)
        return await send(request, fence)

    monkeypatch.setattr(house.venue, "send", pressed_first)
    gone, kept = await answers(house, EXIT, ENTRY)
    assert (gone["orderId"], kept["code"]) == (7, -2010)
    assert "TRADING_HALTED" in kept["msg"]
    assert sent(house) == ["BTCUSDT"]


async def test_when_entries_find_no_connection_the_exit_goes_by_its_own(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    house = House(desk, tmp_path)
    house.venue.answer = lambda *_: [{"orderId": 7, "clientOrderId": "x", "status": "NEW"}]
    await desk.knows(an_account().long("BTCUSDT", "1"))
    send = house.venue.send

    async def ways_out_alone(request: Any, fence: Any) -> Any:
        if not request.way_out:
            raise NotSent("ConnectError")
        return await send(request, fence)

    monkeypatch.setattr(house.venue, "send", ways_out_alone)
    gone, kept = await answers(house, EXIT, ENTRY)
    assert (gone["orderId"], kept["code"]) == (7, -2010)
    assert kept["msg"] == "GUARD venue CANNOT_JUDGE: it was not sent: the exchange could not be reached"
    assert sent(house) == ["BTCUSDT"]
    assert await desk.holds() == {}, "nothing is held for an entry that stayed here"


@pytest.mark.parametrize(
    ("method", "sent"),
    [("POST", EXIT), ("POST", ENTRY), ("DELETE", {"symbol": "BTCUSDT", "orderId": "7"})],
    ids=["exit", "entry", "cancel"],
)
async def test_what_could_not_be_sent_is_told_that_and_nothing_else(
    desk: Desk, tmp_path: Path, method: str, sent: dict[str, str]
):
    house = House(desk, tmp_path)
    await desk.knows(an_account().long("BTCUSDT", "1"))

    def away(*_: object) -> None:
        raise NotSent("ConnectError")

    house.venue.answer = away
    told = await house.send("ada", method, "/fapi/v1/order", **sent)
    assert told.status_code == 400
    assert told.json() == {
        "code": -2010,
        "msg": "GUARD CANNOT_JUDGE: nothing was sent: the exchange could not be reached",
    }


def placed(_: str, __: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"orderId": 7, "clientOrderId": each["newClientOrderId"], "status": "NEW"}
        for each in json.loads(asked["batchOrders"])
    ]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"newClientOrderId": "a" * 33}, -4015),
        ({"workingType": "MARK_PRICE"}, -1104),
        ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120),
        ({"quantity": "1e400"}, -1130),
        ({"stopLoss": {"triggerPrice": 1}}, -1100),
        ({"goodTillDate": None}, -1100),
    ],
    ids=["id", "name", "type", "number", "nested", "null"],
)
async def test_an_entry_that_cannot_be_read_keeps_no_exit_beside_it(
    desk: Desk, tmp_path: Path, wrong: dict[str, Any], code: int
):
    """And takes the other entries with it: they stand or fall together."""
    house = House(desk, tmp_path)
    house.venue.answer = placed
    await desk.knows(an_account().long("BTCUSDT", "1"))
    unread, gone, kept = await answers(house, ENTRY | wrong, EXIT, ENTRY | {"newClientOrderId": "mine"})
    assert (unread["code"], gone["orderId"], kept["code"]) == (code, 7, -2010)
    assert "BATCH_REFUSED" in kept["msg"]
    assert sent(house) == ["BTCUSDT"]
    assert await desk.holds() == {}, "nothing is held for an entry that stayed here"
    (decision,) = [record for record in await desk.audit() if record["kind"] == "decision"]
    assert [each["symbol"] for each in decision["commands"]] == ["BTCUSDT"], "the exit alone was judged"


async def test_a_batch_of_entries_with_one_that_cannot_be_read_goes_nowhere(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path)
    await desk.knows(an_account())
    batch = ENTRY, ENTRY | {"price": "1999", "workingType": "MARK_PRICE"}
    told = await house.send("ada", "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(batch))
    kept, unread = told.json()
    assert (kept["code"], unread["code"], house.venue.asked) == (-2010, -1104, [])
    assert told.headers["X-Guard-Verdict"] == "DENY"
    assert await desk.holds() == {}


UNREAD = ENTRY | {"workingType": "MARK_PRICE"}


async def test_an_exit_that_the_guard_flags_itself_goes_beside_an_unreadable_entry(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path, ReduceOnlyExits(mode=ExitMode.FORCE))
    house.venue.answer = placed
    await desk.knows(an_account().long("BTCUSDT", "1"))
    plain = {name: value for name, value in EXIT.items() if name != "reduceOnly"}
    unread, gone = await answers(house, UNREAD, plain)
    assert (unread["code"], gone["orderId"], sent(house)) == (-1104, 7, ["BTCUSDT"])


async def test_the_first_request_of_a_gate_knows_what_an_amend_is_of(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path)
    house.venue.answer = lambda *_: [{"orderId": 9, "clientOrderId": "x", "status": "NEW"}]
    exit_rests = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", order_id="9", reduce_only=True, bot="ada")
    await desk.knows(an_account().long("BTCUSDT", "1").resting(exit_rests))
    amend = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5", "price": "60000", "orderId": "9"}
    batch = json.dumps([amend, amend | {"orderId": "8", "colour": "red"}])
    gone, unread = (await house.send("ada", "PUT", "/fapi/v1/batchOrders", batchOrders=batch)).json()
    assert (gone.get("orderId"), unread["code"]) == (9, -1104)


async def test_what_fell_with_an_unreadable_entry_was_not_sent_and_the_mended_batch_goes(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path, DuplicateOrder(window_s=60))
    house.venue.answer = placed
    await desk.knows(an_account())
    second = ENTRY | {"price": "1999"}
    await answers(house, ENTRY, second | {"workingType": "MARK_PRICE"})
    assert [each["orderId"] for each in await answers(house, ENTRY, second)] == [7, 7]


async def test_an_unreadable_entry_leaves_no_garbage_that_only_the_collector_finds() -> None:
    route = find_route("POST", "/fapi/v1/batchOrders")
    assert route is not None
    text = json.dumps([EXIT, ENTRY | {"workingType": "MARK_PRICE"}])
    asked = Parameters(MappingProxyType({"batchOrders": text}))
    read_request(route, asked)
    gc.collect()
    gc.disable()
    try:
        read_request(route, asked)
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_an_id_that_cannot_be_read_keeps_no_cancel_beside_it(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path)
    house.venue.answer = lambda *_: [{"orderId": 7, "clientOrderId": "x", "status": "CANCELED"}] * 2
    await desk.knows(an_account())
    names = json.dumps(["one", "b" * 36, None, "two", "one"])
    told = await house.send("ada", "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList=names)
    said = [each.get("orderId", each.get("code")) for each in told.json()]
    assert (told.status_code, said) == (200, [7, -4015, -1100, 7, -1101])
    ((_, _, asked),) = house.venue.asked
    assert len(json.loads(asked["origClientOrderIdList"])) == 2


async def test_the_headers_of_a_batch_name_the_cause_and_not_what_fell_beside_it(desk: Desk, tmp_path: Path):
    house = House(desk, tmp_path)
    await desk.knows(an_account().long("BTCUSDT", "1"))
    orders = [ENTRY, ENTRY | {"symbol": "NOSUCHUSDT"}]
    told = await house.send("ada", "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(orders))
    fell, cause = told.json()
    assert ("BATCH_REFUSED" in fell["msg"], "UNKNOWN_SYMBOL" in cause["msg"]) == (True, True)
    assert told.headers["X-Guard-Code"] == "UNKNOWN_SYMBOL"


async def test_an_exit_does_not_wait_for_the_second_look_at_an_entry_beside_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    house = House(desk, tmp_path, PositionLimit(limit_quantity=Decimal("0.15")))
    house.venue.answer = lambda *_: [{"orderId": 7, "clientOrderId": "x", "status": "NEW"}]
    await desk.knows(an_account().long("BTCUSDT", "0.1"))
    assert (await answers(house, ENTRY))[0]["orderId"] == 7, "it holds the room that the next one would need"
    monkeypatch.setattr(second_look, "PAUSES_S", (60.0,))
    async with asyncio.timeout(10):
        gone, kept = await answers(house, EXIT, ENTRY | {"price": "1999"})
    assert (gone["orderId"], kept["code"]) == (7, -2010)
