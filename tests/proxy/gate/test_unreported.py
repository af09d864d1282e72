"""What a bot was not told: written down with the lost answer, forgotten when the bot has read the order."""

from __future__ import annotations

import json

import pytest

from proxy.gate.ruling import Outcome
from proxy.gate.unreported import told
from rules.account import HoldStatus
from rules.model import Side
from rules.order.unresolved_order import UnresolvedOrder
from tests.proxy.gate.conftest import asking, refusals
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order
from tests.support.doors import House

LOST = a_buy("BTCUSDT", "1", client_order_id="lost")
AGAIN = a_buy("BTCUSDT", "1", client_order_id="again")


async def lose(judge, *commands, bot="demo-bot"):
    ruling = await judge.judge(asking(*commands, bot=bot, name="d"))
    await judge.settle(ruling, Outcome.UNKNOWN, [], {"kind": "outcome"})


async def again(judge, bot="demo-bot"):
    """What the rules object to when the order is sent once more. It is not settled: its hold goes on standing."""
    return refusals(await judge.judge(asking(AGAIN, bot=bot)))


def naming(*names):
    return json.dumps([{"orderId": 1, "clientOrderId": name} for name in names], separators=(",", ":")).encode()


async def test_after_a_lost_answer_the_same_side_is_refused(desk):
    judge = desk.judge()
    await lose(judge, LOST)
    assert await again(judge) == ["UNRESOLVED_ORDER"]
    assert await again(judge, bot="other-bot") == []
    exit_order = await judge.judge(asking(a_sell("BTCUSDT", "1", reduce_only=True)))
    assert exit_order.cleared


async def test_it_is_refused_after_the_guard_has_learnt_of_the_fill_too(desk):
    judge = desk.judge()
    await lose(judge, LOST)
    await desk.knows(an_account().long("BTCUSDT", "1"), resolved=("d",))
    assert await desk.holds() == {}
    assert await again(judge) == ["UNRESOLVED_ORDER"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (naming("lost"), []),
        (naming("other", "lost"), []),
        (naming("other"), ["UNRESOLVED_ORDER"]),
        (naming("lost-not"), ["UNRESOLVED_ORDER"]),
        (b"[]", ["UNRESOLVED_ORDER"]),
    ],
    ids=["the order", "a list with it", "a list without it", "a longer name", "an empty list"],
)
async def test_a_read_that_names_the_order_tells_the_bot(desk, answer, expected):
    judge = desk.judge()
    await lose(judge, LOST)
    await told(desk.store, "demo", "demo-bot", answer)
    assert await again(judge) == expected


async def test_what_another_bot_reads_tells_this_one_nothing(desk):
    judge = desk.judge()
    await lose(judge, LOST)
    await told(desk.store, "demo", "other-bot", naming("lost"))
    assert await again(judge) == ["UNRESOLVED_ORDER"]


async def test_each_order_of_a_lost_batch_is_told_of_by_its_own_name(desk):
    judge = desk.judge()
    await lose(judge, LOST, a_buy("ETHUSDT", "1", client_order_id="lost-2"))
    await told(desk.store, "demo", "demo-bot", naming("lost-2"))
    assert [each.order.client_order_id for each in await desk.store.unreported("demo")] == ["lost"]


async def test_an_amend_of_unknown_fate_opens_nothing_twice(desk):
    await desk.knows(an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "49000")))
    judge = desk.judge()
    await lose(judge, an_amend(Side.BUY, "BTCUSDT", "1", "48000", order_id="1"))
    assert await again(judge) == []


async def test_an_order_proven_absent_was_never_lost(desk):
    judge = desk.judge()
    await lose(judge, LOST)
    await desk.warden.forget_unreported("demo", "d", frozenset({"lost"}))
    await desk.knows(an_account().long("BTCUSDT", "1"), resolved=("d",))
    assert await again(judge) == []


BUY = Side.BUY


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (an_account(), []),
        (an_account().long("ETHUSDT", "1").short("BTCUSDT", "1"), []),
        (an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000", client_order_id="other")), []),
        (an_account().long("BTCUSDT", "1"), ["UNRESOLVED_ORDER"]),
        (
            an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000", client_order_id="lost")),
            ["UNRESOLVED_ORDER"],
        ),
    ],
    ids=["flat", "positions elsewhere", "another order", "a position on its side", "it rests"],
)
async def test_it_is_forgotten_for_good_when_nothing_is_left_of_it(desk, world, expected):
    judge = desk.judge()
    await lose(judge, LOST)
    await desk.knows(world, resolved=("d",))
    await desk.warden.forget_spent("demo")
    await desk.knows(an_account().long("BTCUSDT", "1"))
    assert await again(judge) == expected


async def test_it_is_not_forgotten_while_it_is_held(desk):
    judge = desk.judge()
    await lose(judge, LOST)
    await desk.knows(an_account())
    await desk.warden.forget_spent("demo")
    assert await again(judge) == ["UNRESOLVED_ORDER"]


async def test_the_order_of_a_gate_that_died_is_lost_too(desk):
    judge = desk.judge()
    await judge.judge(asking(LOST, name="d"))
    hold = (await desk.holds())["d"]
    assert await desk.store.unreported("demo") == ()
    await desk.warden.lose("demo", hold, an_account().snapshot.now)
    assert (await desk.holds())["d"].status is HoldStatus.UNKNOWN
    assert await again(judge) == ["UNRESOLVED_ORDER"]


async def test_a_lost_store_forgets_nothing(own_desk, own_server):
    judge = own_desk.judge()
    await lose(judge, LOST)
    own_server.stop()
    await told(own_desk.store, "demo", "demo-bot", naming("lost"))
    assert refusals(await judge.judge(asking(AGAIN))) == ["STORE_UNAVAILABLE"]


async def test_orders_nobody_asks_about_are_bounded(desk, monkeypatch):
    judge = desk.judge()
    await lose(judge, LOST)
    await desk.knows(an_account(), resolved=("d",))
    monkeypatch.setattr("proxy.store.hold_script.HOLDS_MAX", 1)
    assert refusals(await judge.judge(asking(AGAIN))) == ["STORE_UNAVAILABLE"]


@pytest.mark.parametrize("code", [-1006, -1007], ids=["no answer inside", "timed out"])
async def test_of_a_batch_only_the_order_nobody_knows_of_is_unreported(desk, tmp_path, code):
    house = House(desk, tmp_path, UnresolvedOrder())
    await desk.knows(an_account())
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "timeInForce": "GTC"}
    prices = {"taken": "49000", "lost": "48000", "refused": "47000"}
    batch = [order | {"price": price, "newClientOrderId": name} for name, price in prices.items()]
    house.venue.answer = lambda *_: [
        {"orderId": 1, "clientOrderId": "x", "status": "NEW"},
        {"code": code, "msg": "nobody knows"},
        {"code": -2019, "msg": "Margin is insufficient."},
    ]
    await house.send("ada", "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(batch))
    more = order | {"price": "46000", "newClientOrderId": "more"}
    refused = (await house.send("ada", "POST", "/fapi/v1/order", **more)).json()
    assert "UNRESOLVED_ORDER" in refused["msg"] and "order lost" in refused["msg"]
    house.venue.answer = lambda _method, _path, asked: {
        "symbol": "BTCUSDT", "orderId": 2, "clientOrderId": asked["origClientOrderId"], "status": "NEW",
    }  # fmt: skip
    await house.send("ada", "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="lost")
    house.venue.answer = lambda _method, _path, asked: {
        "orderId": 3, "clientOrderId": asked["newClientOrderId"], "status": "NEW",
    }  # fmt: skip
    passed = await house.send("ada", "POST", "/fapi/v1/order", **(more | {"newClientOrderId": "next"}))
    assert passed.status_code == 200, passed.text


SHED = b'{"code":-1008,"msg":"Request throttled by system-level protection. Please try again."}'
BROKEN = b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'
NOBODY_KNOWS = b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'


@pytest.mark.parametrize("body", [SHED, BROKEN, b"Service Unavailable."], ids=["shed", "broken", "unavailable"])
async def test_a_503_that_is_a_failure_for_certain_comes_as_it_is_and_the_order_may_be_sent_again(desk, tmp_path, body):
    house = House(desk, tmp_path, UnresolvedOrder())
    await desk.knows(an_account())
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "timeInForce": "GTC"}
    house.venue.status, house.venue.answer = 503, lambda *_: body
    failed = await house.send("ada", "POST", "/fapi/v1/order", **order, price="49000", newClientOrderId="first")
    assert (failed.status_code, failed.content) == (503, body)
    house.venue.status, house.venue.answer = 200, lambda _method, _path, asked: {
        "orderId": 3, "clientOrderId": asked["newClientOrderId"], "status": "NEW",
    }  # fmt: skip
    again = await house.send("ada", "POST", "/fapi/v1/order", **order, price="49001", newClientOrderId="second")
    assert again.status_code == 200, again.text
    held = [order.client_order_id for hold in (await desk.holds()).values() for order in hold.orders]
    assert len(held) == 1 and held[0].endswith("second"), "nothing is held for the first any more"


async def test_a_503_that_leaves_the_outcome_open_keeps_its_hold_and_the_next_order_waits(desk, tmp_path):
    """F02: the exchange may execute it up to five seconds after this answer."""
    house = House(desk, tmp_path, UnresolvedOrder())
    await desk.knows(an_account())
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "timeInForce": "GTC"}
    house.venue.status, house.venue.answer = 503, lambda *_: NOBODY_KNOWS
    dark = await house.send("ada", "POST", "/fapi/v1/order", **order, price="49000", newClientOrderId="first")
    assert (dark.status_code, dark.json()["code"]) == (503, -1007)
    again = await house.send("ada", "POST", "/fapi/v1/order", **order, price="49001", newClientOrderId="second")
    assert "UNRESOLVED_ORDER" in again.text
    (hold,) = (await desk.holds()).values()
    assert hold.status is HoldStatus.UNKNOWN
