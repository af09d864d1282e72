"""Calls that would reach everybody on a shared account, through the REST door."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from proxy.budget.silence import Silence
from proxy.gate.upstream import NotSent, OutcomeUnknown, VenueSilent
from proxy.store import gate_store
from proxy.store.owners import order_field
from proxy.store.timers import DeadManTimer
from proxy.venues.binance.client_ids import outward, tag
from proxy.venues.binance.values import GUARD_ID_PREFIX
from rules.kill.settings import DeadMan, KillSettings
from rules.model import OrderType, Side
from rules.position.own_share import OwnShare
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import an_account, an_open_order
from tests.support.doors import House

ADA, BOB = tag("demo", "ada"), tag("demo", "bob")
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "49000", "timeInForce": "GTC"}


class Book:
    """Open orders at the venue, by client id; cancels take them out."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.calls: list[list[str]] = []
        self.readable = True

    def __call__(self, method, path, asked):
        if method == "GET":
            if not self.readable:
                raise OutcomeUnknown("no answer")
            name = "clientAlgoId" if "Algo" in path else "clientOrderId"
            return [{"symbol": "BTCUSDT", name: each} for each in self.names]
        if method == "POST":
            return {"orderId": 1, "clientOrderId": asked["newClientOrderId"]}
        if path.endswith("algoOrder"):
            return self._cancelled([asked["clientAlgoId"]])[0]
        return self._cancelled(json.loads(asked["origClientOrderIdList"]))

    def _cancelled(self, names):
        self.calls.append(names)
        answers = []
        for name in names:
            gone = name in self.names
            if gone:
                self.names.remove(name)
            found = {"orderId": 1, "algoId": 1, "clientOrderId": name}
            answers.append(found if gone else {"code": -2011, "msg": "Unknown order sent."})
        return answers


@pytest.fixture
async def house(desk, tmp_path):
    built = House(desk, tmp_path, OwnShare())
    yield built
    await built.client.aclose()


def names(bot: str, count: int) -> list[str]:
    return [outward(f"o{number:02}", tag("demo", bot)) for number in range(count)]


async def test_cancel_all_cancels_the_bot_s_own_ten_at_a_time(house):
    book = house.venue.answer = Book(*names("ada", 23), *names("bob", 3), "web_1")
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()) == (200, DONE)
    assert book.names == [*names("bob", 3), "web_1"]
    assert [len(call) for call in book.calls] == [10, 10, 3]
    assert ("DELETE", "/fapi/v1/allOpenOrders") not in [asked[:2] for asked in house.venue.asked]


async def test_conditional_orders_are_cancelled_one_by_one(house):
    book = house.venue.answer = Book(*names("ada", 3), *names("bob", 1))
    answer = await house.send("ada", "DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert answer.json() == DONE
    assert (book.names, len(book.calls)) == (names("bob", 1), 3)


async def test_nothing_to_cancel_is_done_too(house):
    book = house.venue.answer = Book(*names("bob", 2))
    assert (await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.calls == []


async def test_an_order_on_its_way_into_the_book_is_cancelled_too(house):
    book = house.venue.answer = Book()
    assert (await house.send("ada", "POST", "/fapi/v1/order", **ORDER, newClientOrderId="late")).status_code == 200
    await house.send("bob", "POST", "/fapi/v1/order", **ORDER, newClientOrderId="his")
    assert (await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.calls == [[outward("late", ADA)]]


async def test_when_the_venue_cannot_be_read_the_guard_s_picture_is_cancelled(house, desk):
    mine, theirs = names("ada", 1)[0], names("bob", 1)[0]
    order = an_open_order(Side.BUY, "BTCUSDT", "1", "40000", client_order_id=mine)
    stop = replace(order, order_type=OrderType.STOP_MARKET, client_order_id=outward("stop", ADA))
    await desk.knows(an_account().resting(order, stop, replace(order, client_order_id=theirs)))
    book = house.venue.answer = Book(mine, theirs)
    book.readable = False
    assert (await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.names == [theirs]


class NumberedBook(Book):
    """Orders by client id and, as the venue lists them, by number: the place in the book."""

    def __call__(self, method, path, asked):
        if method == "GET" and self.readable:
            return [
                {"symbol": "BTCUSDT", "orderId": number, "clientOrderId": name}
                for number, name in enumerate(self.names, 1)
            ]
        if method == "DELETE" and "orderIdList" in asked:
            return self._cancelled([self.names[number - 1] for number in json.loads(asked["orderIdList"])])
        return super().__call__(method, path, asked)


@pytest.mark.parametrize("readable", [True, False])
async def test_a_close_that_the_kill_makes_for_the_bot_is_not_cancelled(house, desk, readable):
    """It has the bot's tag before the kill's own name, and is the guard's."""
    mine, close = names("ada", 1)[0], f"{ADA}{GUARD_ID_PREFIX}1"
    book = house.venue.answer = NumberedBook(mine, close)
    orders = [
        an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id=str(number), client_order_id=name)
        for number, name in enumerate(book.names, 1)
    ]
    await desk.knows(an_account().resting(*orders))
    await desk.hears_of({order_field("BTCUSDT", "2"): "ada"})
    book.readable = readable
    assert (await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.names == [close]


@pytest.mark.parametrize("readable", [True, False])
async def test_what_a_conditional_order_became_is_cancelled_by_its_number(house, desk, readable):
    """The venue names it itself, but the bot sees it among its own."""
    mine, theirs = names("ada", 1)[0], names("bob", 1)[0]
    book = house.venue.answer = NumberedBook("auto-9", "auto-8", mine, theirs, "web_1")
    orders = [
        an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id=str(number), client_order_id=name)
        for number, name in enumerate(book.names, 1)
    ]
    await desk.knows(an_account().resting(*orders))
    await desk.hears_of({order_field("BTCUSDT", "1"): "ada", order_field("BTCUSDT", "2"): "bob"})
    book.readable = readable
    assert (await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.names == ["auto-8", theirs, "web_1"]


async def test_the_number_of_a_conditional_order_is_no_plain_order_s(house, desk):
    """The two are numbered apart."""
    stop = an_open_order(Side.SELL, "BTCUSDT", "1", order_id="1", order_type=OrderType.STOP_MARKET)
    await desk.knows(an_account().resting(stop))
    await desk.hears_of({order_field("BTCUSDT", "1"): "ada"})
    book = house.venue.answer = Book(stop.client_order_id)
    book.readable = False
    assert (await house.send("ada", "DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.calls == []


async def test_an_order_that_will_not_go_is_said(house):
    book = Book(*names("ada", 1))
    house.venue.answer = lambda method, path, asked: (
        book(method, path, asked) if method == "GET" else [{"code": -1001, "msg": "Internal error"}]
    )
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"]) == (503, -1007)


class StubbornBook(Book):
    """One order will not go, and says so."""

    def _cancelled(self, names):
        answers = super()._cancelled([name for name in names if name != self.stays])
        return answers if self.stays not in names else [*answers, {"code": -1001, "msg": "Internal error"}]


@pytest.mark.parametrize("path", ["/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders"], ids=["plain", "conditional"])
async def test_an_order_that_will_not_go_keeps_none_of_the_others(house, path):
    book = house.venue.answer = StubbornBook(*names("ada", 23))
    book.stays = book.names[0]
    answer = await house.send("ada", "DELETE", path, symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"]) == (503, -1007)
    assert book.names == [book.stays]


@pytest.mark.parametrize("trouble", [NotSent("ConnectTimeout"), OutcomeUnknown("ReadTimeout")], ids=["away", "silent"])
async def test_an_exchange_that_is_gone_in_the_middle_is_not_asked_on(house, trouble):
    """And what was cancelled before is not told as never sent."""
    book = Book(*names("ada", 43))
    deletes = 0

    def going(method, path, asked):
        nonlocal deletes
        deletes += method == "DELETE"
        if deletes > 1:
            raise trouble
        return book(method, path, asked)

    house.venue.answer = going
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"], deletes) == (503, -1007, 2)


async def test_a_cancel_all_that_the_exchange_would_not_hear_is_not_told_as_unknown(house):
    """Nothing was sent, and it is not tried part by part."""
    book = Book(*names("ada", 43))
    deletes = 0

    def silent(method, path, asked):
        nonlocal deletes
        if method == "GET":
            return book(method, path, asked)
        deletes += 1
        raise VenueSilent(Silence(418, 90))

    house.venue.answer = silent
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"], deletes) == (429, -1003, 1)
    assert "VENUE_SILENCE" in answer.json()["msg"]
    assert answer.headers["retry-after"] == "90"


async def test_a_silence_in_the_middle_is_not_told_as_nothing_was_sent(house):
    """Ten were cancelled before it came; when to ask again is told all the same."""
    book = Book(*names("ada", 23))
    deletes = 0

    def silent_soon(method, path, asked):
        nonlocal deletes
        deletes += method == "DELETE"
        if deletes > 1:
            raise VenueSilent(Silence(418, 90))
        return book(method, path, asked)

    house.venue.answer = silent_soon
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"], deletes) == (503, -1007, 2)
    assert [len(call) for call in book.calls] == [10]
    assert answer.headers["retry-after"] == "90"
    assert "x-guard-code" not in answer.headers


NOT_SAID = {
    "a code that is no UTF-8": b'[{"code":"\xff"}]',
    "a code that is a word": b'[{"code":"gone"}]',
    "a code with two signs": b'[{"code":"--2011"}]',
    "a code in other digits": '[{"code":"\u0661"}]'.encode(),
    "a code without an end": b'[{"code":"' + b"1" * 5_000 + b'"}]',
    "a refusal as text": b'[{"code":"-1001"}]',
    "a fraction": b'[{"code":0.5}]',
    "nested without end": b'[{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}]",
    "half an answer": b'[{"orderId":1}',
    "nothing": b"",
}


@pytest.mark.parametrize("body", NOT_SAID.values(), ids=NOT_SAID)
async def test_an_answer_that_does_not_say_the_order_is_gone_leaves_that_unknown(house, body, caplog):
    book = Book(*names("ada", 1))
    house.venue.answer = lambda method, path, asked: book(method, path, asked) if method == "GET" else body
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"]) == (503, -1007)
    assert not [record for record in caplog.records if record.exc_info], "read, and not stumbled over"


@pytest.mark.parametrize("code", ["-2011", "200", "0"])
async def test_a_code_may_be_text(house, code):
    book = Book(*names("ada", 1))
    house.venue.answer = lambda method, path, asked: (
        book(method, path, asked) if method == "GET" else [{"code": code, "msg": "Unknown order sent."}]
    )
    answer = await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()) == (200, DONE)


async def test_without_the_store_cancel_all_cancels_all_of_the_bot_s(own_desk, own_server, tmp_path):
    house = House(own_desk, tmp_path, OwnShare())
    book = house.venue.answer = Book(*names("ada", 2), *names("bob", 2))
    own_server.stop()
    assert (await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).json() == DONE
    assert book.names == names("bob", 2)
    await house.client.aclose()


async def arm(house: House, bot: str, countdown: int, symbol: str = "BTCUSDT") -> httpx.Response:
    return await house.send(bot, "POST", "/fapi/v1/countdownCancelAll", symbol=symbol, countdownTime=countdown)


async def ran_out(desk: Desk, count: int) -> set[DeadManTimer]:
    """What a warden is given, as soon as it is as many."""
    given: set[DeadManTimer] = set()
    async with asyncio.timeout(10):
        while len(given) < count:
            given.update((await desk.warden.take_timers("demo", held=given, most=9)).taken)
            await asyncio.sleep(0.005)
    return given


async def test_a_dead_man_timer_is_kept_and_answered_by_the_guard(house, desk):
    answer = await arm(house, "ada", 1)
    assert (answer.status_code, answer.json()) == (200, {"symbol": "BTCUSDT", "countdownTime": "1"})
    assert house.venue.asked == []
    assert await ran_out(desk, 1) == {DeadManTimer("ada", "BTCUSDT")}
    records = {each["kind"]: each for each in await desk.audit()}
    assert (records["decision"]["bot"], records["decision"]["commands"][0]["type"]) == ("ada", "ArmDeadMan")
    assert records["outcome"]["result"] == "ACCEPTED"
    assert records["outcome"]["items"][-1] == {"note": "virtual"}


async def test_each_bot_has_a_timer_of_its_own_on_a_symbol(house, desk):
    await arm(house, "bob", 1)
    await arm(house, "ada", 1)
    assert await ran_out(desk, 2) == {DeadManTimer("ada", "BTCUSDT"), DeadManTimer("bob", "BTCUSDT")}


async def test_a_timer_that_is_taken_away_or_moved_does_not_run_out(house, desk):
    for bot, again in (("ada", 0), ("bob", 60_000)):
        await arm(house, bot, 300)
        assert (await arm(house, bot, again)).json() == {"symbol": "BTCUSDT", "countdownTime": str(again)}
    await arm(house, "ada", 301, symbol="ETHUSDT")
    assert await ran_out(desk, 1) == {DeadManTimer("ada", "ETHUSDT")}, "later than those would have"


async def test_a_timer_on_a_symbol_that_is_not_there_is_refused(house, desk):
    answer = await arm(house, "ada", 60_000, symbol="BTCUSD")
    assert (answer.status_code, answer.json()["code"]) == (400, -1121)
    (outcome,) = [each for each in await desk.audit() if each["kind"] == "outcome"]
    assert outcome["result"] == "REJECTED"


async def test_a_bot_has_so_many_timers_and_may_always_move_or_drop_those(house, desk, monkeypatch):
    monkeypatch.setattr(gate_store, "TIMERS_MAX", 1)
    assert (await arm(house, "ada", 60_000)).status_code == 200
    full = await arm(house, "ada", 60_000, symbol="ETHUSDT")
    assert (full.status_code, full.json()["code"]) == (400, -2010)
    assert "TOO_MANY_TIMERS" in full.json()["msg"]
    assert (await arm(house, "bob", 60_000, symbol="ETHUSDT")).status_code == 200
    assert [(await arm(house, "ada", countdown)).status_code for countdown in (30_000, 0)] == [200, 200]


async def test_a_timer_that_cannot_be_kept_is_not_acknowledged(own_desk, own_server, tmp_path):
    house = House(own_desk, tmp_path, OwnShare())
    own_server.stop()
    for countdown in (60_000, 0):
        answer = await arm(house, "ada", countdown)
        assert (answer.status_code, answer.json()["code"]) == (503, -1001)
        assert "TIMER_NOT_KEPT" in answer.json()["msg"]
    assert house.venue.asked == []
    outcomes = [each for each in own_desk.journaled() if each["kind"] == "outcome"]
    assert [each["result"] for each in outcomes] == ["UNKNOWN", "UNKNOWN"]
    await house.client.aclose()


async def test_where_the_guard_keeps_the_venues_timer_a_bots_does_not_reach_it(desk, tmp_path):
    """A symbol has one timer at the venue; a bot's would move the guard's, alone on the account or not."""
    house = House(desk, tmp_path)
    answer = await house.send("ada", "POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1000)
    assert answer.json() == {"symbol": "BTCUSDT", "countdownTime": "1000"}
    assert house.venue.asked == []
    await house.client.aclose()


async def test_without_isolation_they_reach_the_venue_as_they_are(desk, tmp_path):
    house = House(desk, tmp_path, kill_settings=KillSettings(dead_man=DeadMan(enabled=False)))
    house.venue.answer = lambda *_: DONE
    await house.send("ada", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    await house.send("ada", "POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1000)
    assert [asked[:2] for asked in house.venue.asked] == [
        ("DELETE", "/fapi/v1/allOpenOrders"),
        ("POST", "/fapi/v1/countdownCancelAll"),
    ]
    await house.client.aclose()


async def test_another_s_order_is_unknown_and_an_exit_is_capped(house, desk):
    """The rule's answers as a bot hears them."""
    world = an_account().sharing("ada", "BTCUSDT", "1").sharing("bob", "BTCUSDT", "1")
    theirs = an_open_order(
        Side.BUY, "BTCUSDT", "1", "40000", order_id="7", client_order_id=names("bob", 1)[0], bot="bob"
    )
    await desk.knows(world.resting(theirs))
    cancel = await house.send("ada", "DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=7)
    assert (cancel.status_code, cancel.json()["code"]) == (400, -2011)
    assert cancel.headers["x-guard-code"] == "ORDER_NOT_OWNED"
    exit_order = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "reduceOnly": "true"}
    refused = await house.send("ada", "POST", "/fapi/v1/order", **exit_order, quantity="1.5")
    assert refused.headers["x-guard-code"] == "SHARE_EXCEEDED"
    assert "largest quantity allowed now 1" in refused.json()["msg"]
    assert house.venue.asked == []


async def test_an_amend_takes_no_way_to_another_s_part_that_an_order_has_not(house, desk):
    """Orders that somebody placed by hand rest, an entry and an exit of a thousandth each, and an own exit."""
    by_hand = [
        an_open_order(Side.SELL, "BTCUSDT", "0.001", "60000", order_id=number, reduce_only=exits)
        for number, exits in (("5", False), ("6", True))
    ]
    own = an_open_order(
        Side.SELL,
        "BTCUSDT",
        "2",
        "60000",
        order_id="7",
        client_order_id=names("ada", 1)[0],
        reduce_only=True,
        bot="ada",
    )
    world = an_account().sharing("ada", "BTCUSDT", "1").sharing("bob", "BTCUSDT", "3")
    await desk.knows(world.resting(*by_hand, own))
    amend = {"symbol": "BTCUSDT", "side": "SELL", "price": "50000"}
    refused = [
        await house.send("ada", "PUT", "/fapi/v1/order", **amend, orderId=number, quantity="1") for number in (5, 6)
    ]
    assert [answer.headers["x-guard-code"] for answer in refused] == ["SHARE_OPPOSED", "SHARE_EXCEEDED"]
    assert house.venue.asked == []
    house.venue.answer = lambda *_: {"orderId": 7, "clientOrderId": own.client_order_id, "status": "NEW"}
    smaller = await house.send("ada", "PUT", "/fapi/v1/order", **amend, orderId=7, quantity="1")
    assert (smaller.status_code, len(house.venue.asked)) == (200, 1)
