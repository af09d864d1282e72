"""Through the REST door, on every route: the venue hears the bot's tag, the bot hears its own id."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from proxy.venues.binance.client_ids import outward, tag
from rules.model import Side
from tests.rules.builders import an_account, an_open_order
from tests.support.doors import House

ADA = tag("demo", "ada")
UUID_ID = str(UUID(int=12345))
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "49000", "timeInForce": "GTC"}
STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.1",
    "triggerPrice": "45000",
    "reduceOnly": "true",
}
AMEND = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "48000"}


@pytest.fixture
async def house(desk, tmp_path):
    built = House(desk, tmp_path)
    yield built
    await built.client.aclose()


def sent(own_id: str) -> str:
    return outward(own_id, ADA)


SINGLES = [
    ("POST", "/fapi/v1/order", ORDER, "newClientOrderId", "clientOrderId"),
    ("POST", "/fapi/v1/order/test", ORDER, "newClientOrderId", "clientOrderId"),
    ("POST", "/fapi/v1/algoOrder", STOP, "clientAlgoId", "clientAlgoId"),
    ("PUT", "/fapi/v1/order", AMEND, "origClientOrderId", "clientOrderId"),
    ("DELETE", "/fapi/v1/order", {"symbol": "BTCUSDT"}, "origClientOrderId", "clientOrderId"),
    ("DELETE", "/fapi/v1/algoOrder", {}, "clientAlgoId", "clientAlgoId"),
    ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT"}, "origClientOrderId", "clientOrderId"),
    ("GET", "/fapi/v1/openOrder", {"symbol": "BTCUSDT"}, "origClientOrderId", "clientOrderId"),
    ("GET", "/fapi/v1/orderAmendment", {"symbol": "BTCUSDT"}, "origClientOrderId", "clientOrderId"),
    ("GET", "/fapi/v1/algoOrder", {}, "clientAlgoId", "clientAlgoId"),
]


@pytest.mark.parametrize("own_id", ["x-cvBPrNm9/1:2.3", "y" * 32, UUID_ID], ids=["signs", "longest", "uuid"])
@pytest.mark.parametrize(
    ("method", "path", "terms", "asked_as", "told_as"), SINGLES, ids=[" ".join(each[:2]) for each in SINGLES]
)
async def test_one_order_is_named_each_in_his_own_words(house, method, path, terms, asked_as, told_as, own_id):
    house.venue.answer = lambda *_: {"orderId": 1, "algoId": 1, told_as: sent(own_id), "status": "NEW"}
    answer = await house.send("ada", method, path, **terms, **{asked_as: own_id})
    assert answer.status_code == 200, answer.text
    assert house.venue.asked[-1][2][asked_as] == sent(own_id)
    assert answer.json()[told_as] == own_id


@pytest.mark.parametrize(
    ("order_id", "told"), [({"orderId": "123"}, ("orderId", "123")), ({}, ("origClientOrderId", sent("abc")))]
)
async def test_an_amend_may_say_the_id_twice_as_ccxt_does(house, order_id, told):
    """``edit_order("123", ..., {"clientOrderId": "abc"})`` of ccxt 4.5.90 (captured)."""
    house.venue.answer = lambda *_: {"orderId": 123, "clientOrderId": sent("abc"), "status": "NEW"}
    twice = {"origClientOrderId": "abc", "clientOrderId": "abc"}
    answer = await house.send("ada", "PUT", "/fapi/v1/order", **AMEND, **order_id, **twice)
    assert (answer.status_code, answer.json()["clientOrderId"]) == (200, "abc")
    assert house.venue.asked[-1][2] == AMEND | dict([told])


@pytest.mark.parametrize(
    ("method", "terms", "ids"),
    [
        ("PUT", AMEND, {"origClientOrderId": "abc", "clientOrderId": "abd"}),
        ("PUT", AMEND, {"orderId": "123", "clientOrderId": "abc"}),
        ("POST", ORDER, {"newClientOrderId": "abc", "clientOrderId": "abc"}),
        ("DELETE", {"symbol": "BTCUSDT"}, {"origClientOrderId": "abc", "clientOrderId": "abc"}),
    ],
    ids=["another id", "no other word", "an order", "a cancel"],
)
async def test_any_other_word_for_an_id_is_unknown(house, method, terms, ids):
    answer = await house.send("ada", method, "/fapi/v1/order", **terms, **ids)
    assert (answer.status_code, answer.json()["code"]) == (400, -1104)
    assert "'clientOrderId' is not a parameter" in answer.json()["msg"]
    assert house.venue.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_every_order_of_a_batch(house, method):
    name, terms = ("newClientOrderId", ORDER) if method == "POST" else ("origClientOrderId", AMEND)
    house.venue.answer = lambda *_: [{"orderId": n, "clientOrderId": sent(f"mine{n}")} for n in (1, 2)]
    batch = json.dumps([terms | {name: "mine1"}, terms | {name: "mine2"}])
    answer = await house.send("ada", method, "/fapi/v1/batchOrders", batchOrders=batch)
    asked = json.loads(house.venue.asked[-1][2]["batchOrders"])
    assert [each[name] for each in asked] == [sent("mine1"), sent("mine2")]
    assert [each["clientOrderId"] for each in answer.json()] == ["mine1", "mine2"]


async def test_every_cancel_of_a_batch(house):
    house.venue.answer = lambda *_: [
        {"orderId": 1, "clientOrderId": sent("mine")},
        {"code": -2011, "msg": "Unknown order sent."},
    ]
    answer = await house.send(
        "ada",
        "DELETE",
        "/fapi/v1/batchOrders",
        symbol="BTCUSDT",
        origClientOrderIdList=json.dumps(["mine", UUID_ID]),
    )
    assert json.loads(house.venue.asked[-1][2]["origClientOrderIdList"]) == [sent("mine"), sent(UUID_ID)]
    assert [each.get("clientOrderId") for each in answer.json()] == ["mine", None]


@pytest.mark.parametrize("path", ["openOrders", "allOrders", "openAlgoOrders", "allAlgoOrders"])
async def test_lists_name_own_orders_and_leave_the_others(house, path):
    theirs = outward("theirs", tag("demo", "bob"))
    listed = [sent("mine"), theirs, "web_1", "pgk-1"]
    house.venue.answer = lambda *_: [{"orderId": 1, "clientOrderId": each} for each in listed]
    answer = await house.send("ada", "GET", f"/fapi/v1/{path}", symbol="BTCUSDT")
    assert [each["clientOrderId"] for each in answer.json()] == ["mine", theirs, "web_1", "pgk-1"]


async def test_an_answer_without_ids_is_passed_on_to_the_byte(house):
    odd = b'[ {"symbol":"BTCUSDT" , "positionAmt":"0.000", "c":1e3}]'
    house.venue.answer = lambda *_: odd
    assert (await house.send("ada", "GET", "/fapi/v3/positionRisk")).content == odd


async def test_an_order_without_an_id_gets_the_guards_with_the_bots_tag(house):
    house.venue.answer = lambda method, path, asked: {"orderId": 1, "clientOrderId": asked["newClientOrderId"]}
    answer = await house.send("ada", "POST", "/fapi/v1/order", **ORDER)
    name = house.venue.asked[-1][2]["newClientOrderId"]
    assert name.startswith(f"{ADA}pg-") and len(name) <= 36
    assert answer.json()["clientOrderId"] == name.removeprefix(ADA)


async def test_two_bots_may_choose_one_id(house):
    house.venue.answer = lambda method, path, asked: {"orderId": 1, "clientOrderId": asked["newClientOrderId"]}
    for bot in ("ada", "bob"):
        answer = await house.send(bot, "POST", "/fapi/v1/order", **ORDER, newClientOrderId="one")
        assert answer.json()["clientOrderId"] == "one", answer.text
    assert {asked["newClientOrderId"] for _, _, asked in house.venue.asked} == {
        outward("one", tag("demo", bot)) for bot in ("ada", "bob")
    }


@pytest.mark.parametrize(
    ("method", "path", "terms", "name"),
    [
        ("POST", "/fapi/v1/order", ORDER, "newClientOrderId"),
        ("DELETE", "/fapi/v1/order", {"symbol": "BTCUSDT"}, "origClientOrderId"),
        ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT"}, "origClientOrderId"),
    ],
)
async def test_an_id_that_is_too_long_never_reaches_the_venue(house, method, path, terms, name):
    answer = await house.send("ada", method, path, **terms, **{name: "x" * 33})
    assert (answer.status_code, answer.json()["code"]) == (400, -4015)
    assert "at most 32 characters, or a UUID" in answer.json()["msg"]
    assert house.venue.asked == []


async def test_a_kills_order_may_be_looked_at_and_not_touched(house):
    house.venue.answer = lambda *_: {"orderId": 1, "clientOrderId": "pgk-1"}
    seen = await house.send("ada", "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="pgk-1")
    assert (house.venue.asked[-1][2]["origClientOrderId"], seen.json()["clientOrderId"]) == ("pgk-1", "pgk-1")
    touched = await house.send("ada", "DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="pgk-1")
    assert "RESERVED_CLIENT_ID" in touched.json()["msg"]


@pytest.mark.parametrize("path", ["order", "openOrder", "orderAmendment"])
async def test_a_kills_order_for_the_bot_alone_is_asked_about_by_the_name_it_is_shown_under(house, path):
    close = f"{ADA}pgk-0123abcd-1"
    house.venue.answer = lambda *_: [{"orderId": 9, "clientOrderId": close}]
    (shown,) = (await house.send("ada", "GET", "/fapi/v1/allOrders", symbol="BTCUSDT")).json()
    house.venue.answer = lambda *_: {"orderId": 9, "clientOrderId": close}
    asked = {"symbol": "BTCUSDT", "origClientOrderId": shown["clientOrderId"]}
    seen = await house.send("ada", "GET", f"/fapi/v1/{path}", **asked)
    assert house.venue.asked[-1][2]["origClientOrderId"] == close
    assert seen.json()["clientOrderId"] == shown["clientOrderId"]


async def test_a_kills_order_for_one_bot_is_nothing_another_can_ask_about(house):
    close = f"{ADA}pgk-0123abcd-1"
    await house.send("bob", "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=close)
    assert house.venue.asked[-1][2]["origClientOrderId"] == outward(close, tag("demo", "bob"))


@pytest.mark.parametrize(
    ("method", "terms", "name"),
    [
        ("POST", ORDER, "newClientOrderId"),
        ("PUT", AMEND, "origClientOrderId"),
        ("DELETE", {"symbol": "BTCUSDT"}, "origClientOrderId"),
    ],
)
@pytest.mark.parametrize("prefix", ["pgk-", "PGK-"])
async def test_a_bot_neither_uses_nor_touches_such_a_name(house, method, terms, name, prefix):
    answer = await house.send("ada", method, "/fapi/v1/order", **terms, **{name: f"{ADA}{prefix}1"})
    assert (answer.status_code, answer.json()["code"]) == (400, -1130)
    assert "RESERVED_CLIENT_ID" in answer.json()["msg"]
    assert house.venue.asked == []


async def test_a_refusal_names_the_bots_own_id(house, desk):
    resting = an_open_order(Side.BUY, "BTCUSDT", "0.1", "49000", client_order_id=sent("mine"))
    await desk.knows(an_account().resting(resting))
    answer = await house.send("ada", "POST", "/fapi/v1/order", **ORDER, newClientOrderId="mine")
    assert "an order named mine is open" in answer.json()["msg"]
    assert answer.headers["x-guard-observed"] == "mine"


async def test_the_audit_has_the_id_the_venue_has(house, desk):
    house.venue.answer = lambda method, path, asked: {"orderId": 1, "clientOrderId": asked["newClientOrderId"]}
    await house.send("ada", "POST", "/fapi/v1/order", **ORDER, newClientOrderId="mine")
    intent, _, outcome = await desk.audit()
    assert intent["commands"][0]["client_order_id"] == sent("mine")
    assert outcome["items"][0]["client_order_id"] == sent("mine")
    holds = await desk.holds()
    assert [order.client_order_id for hold in holds.values() for order in hold.orders] == [sent("mine")]
