"""On a shared account a bot reads what is its own, through the REST door."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.gate.views import ShareBook, own_account, own_positions
from proxy.store.owners import order_field, trade_field
from proxy.venues.binance.client_ids import outward, tag
from rules.decision import Enforcement
from rules.position.own_share import OwnShare
from tests.rules.builders import an_account
from tests.support.doors import House

ADA, BOB = tag("demo", "ada"), tag("demo", "bob")
MINE, THEIRS = outward("mine", ADA), outward("theirs", BOB)
LISTS = ["openOrders", "allOrders", "openAlgoOrders", "allAlgoOrders", "orderAmendment", "forceOrders"]


@pytest.fixture
async def house(desk, tmp_path):
    built = House(desk, tmp_path, OwnShare(level="account:demo"))
    await desk.knows(an_account().sharing("ada", "BTCUSDT", "1", "40000").sharing("bob", "BTCUSDT", "2", "45000"))
    yield built
    await built.client.aclose()


async def reads(house, path, answer, bot="ada", **asked):
    house.venue.answer = lambda *_: answer
    return await house.send(bot, "GET", path, **asked)


@pytest.mark.parametrize("path", LISTS)
async def test_lists_hold_own_orders_as_the_venue_wrote_them(house, path):
    name = "clientAlgoId" if "Algo" in path else "clientOrderId"
    foreign = [THEIRS, "web_1", "pgk-1", "autoclose-1"]
    rows = [f'{{"{name}":"{each}", "price":"1.50"}}' for each in (MINE, *foreign)]
    answer = await reads(house, f"/fapi/v1/{path}", f"[{','.join(rows)}]".encode(), symbol="BTCUSDT")
    assert answer.content == f'[{{"{name}":"mine", "price":"1.50"}}]'.encode()


@pytest.mark.parametrize("path", ["order", "openOrder", "algoOrder"])
async def test_another_s_order_is_as_if_it_were_not(house, path):
    row = {"symbol": "BTCUSDT", "orderId": 5, "clientOrderId": THEIRS}
    answer = await reads(house, f"/fapi/v1/{path}", row, **({} if path == "algoOrder" else {"symbol": "BTCUSDT"}))
    assert (answer.status_code, answer.json()) == (400, {"code": -2013, "msg": "Order does not exist."})
    own = await reads(house, f"/fapi/v1/{path}", row | {"clientOrderId": MINE})
    assert own.json()["clientOrderId"] == "mine"


async def test_an_order_the_venue_named_itself_is_known_by_its_number(house, desk):
    await desk.hears_of({order_field("BTCUSDT", "5"): "ada"})
    rows = [{"symbol": symbol, "orderId": 5, "clientOrderId": "auto-9"} for symbol in ("BTCUSDT", "ETHUSDT")]
    answer = await reads(house, "/fapi/v1/allOrders", rows, symbol="BTCUSDT")
    assert [row["symbol"] for row in answer.json()] == ["BTCUSDT"]


RISK = {
    "symbol": "BTCUSDT",
    "positionSide": "BOTH",
    "positionAmt": "3.000",
    "entryPrice": "43333.33",
    "markPrice": "50000.00000000",
    "unRealizedProfit": "20000.00000000",
    "liquidationPrice": "1234.5",
    "notional": "150000",
}


@pytest.mark.parametrize(
    ("bot", "amount", "entry", "notional", "profit"),
    [("ada", "1", "40000", "50000", "10000"), ("bob", "2", "45000", "100000", "10000")],
)
@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_a_position_is_the_bot_s_share(house, version, bot, amount, entry, notional, profit):
    answer = await reads(house, f"/fapi/{version}/positionRisk", [RISK], bot)
    assert answer.json() == [
        RISK | {"positionAmt": amount, "entryPrice": entry, "notional": notional, "unRealizedProfit": profit}
    ]


async def test_who_has_no_share_is_flat(house, desk):
    await desk.knows(an_account().sharing("bob", "BTCUSDT", "3"))
    (row,) = (await reads(house, "/fapi/v3/positionRisk", [RISK])).json()
    assert {row[name] for name in ("positionAmt", "entryPrice", "notional", "unRealizedProfit")} == {"0"}


async def test_what_two_bots_net_out_has_a_row_for_each(house, desk):
    await desk.knows(an_account().sharing("ada", "BTCUSDT", "1", "40000").sharing("bob", "BTCUSDT", "-1", "45000"))
    (row,) = (await reads(house, "/fapi/v3/positionRisk", [])).json()
    assert (row["symbol"], row["positionAmt"], row["unRealizedProfit"]) == ("BTCUSDT", "1", "10000")
    (row,) = (await reads(house, "/fapi/v3/positionRisk", [], "bob")).json()
    assert (row["positionAmt"], row["unRealizedProfit"]) == ("-1", "-5000")
    assert (await reads(house, "/fapi/v3/positionRisk", [], symbol="ETHUSDT")).json() == []


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
async def test_an_account_shows_the_share_and_the_whole_balance(house, version):
    row = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "3.000",
        "unrealizedProfit": "20000",
        "notional": "150000",
    }
    told = {"totalWalletBalance": "9.00", "positions": [row], "assets": []}
    shown = (await reads(house, f"/fapi/{version}/account", told)).json()
    own = {"positionAmt": "1", "unrealizedProfit": "10000", "notional": "50000"}
    assert shown == told | {"positions": [row | own]}


async def test_an_account_lists_what_two_bots_net_out_for_each(house, desk):
    """The fields of a row of v3, the one version that does not list every symbol."""
    await desk.knows(an_account().sharing("ada", "BTCUSDT", "1", "40000").sharing("bob", "BTCUSDT", "-1", "45000"))
    told = {"totalWalletBalance": "9.00", "positions": [], "assets": []}
    nothing = dict.fromkeys(("isolatedMargin", "isolatedWallet", "initialMargin", "maintMargin"), "0")
    row = {"symbol": "BTCUSDT", "positionSide": "BOTH", **nothing, "updateTime": 0}
    for bot, amount, notional, profit in (("ada", "1", "50000", "10000"), ("bob", "-1", "-50000", "-5000")):
        own = {"positionAmt": amount, "notional": notional, "unrealizedProfit": profit}
        shown = (await reads(house, "/fapi/v3/account", told, bot)).json()
        assert shown == told | {"positions": [row | own]}


async def test_fills_and_their_costs_are_told_to_whose_they_are(house, desk):
    await desk.hears_of(
        {
            order_field("BTCUSDT", "1"): "ada",
            order_field("BTCUSDT", "2"): "bob",
            trade_field("BTCUSDT", "7"): "ada",
            trade_field("BTCUSDT", "8"): "bob",
        },
    )
    fills = [{"symbol": "BTCUSDT", "orderId": number, "id": number} for number in (1, 2, 3)]
    assert [row["id"] for row in (await reads(house, "/fapi/v1/userTrades", fills, symbol="BTCUSDT")).json()] == [1]
    income = [
        {"symbol": "BTCUSDT", "incomeType": "COMMISSION", "income": "-1", "tradeId": "7"},
        {"symbol": "BTCUSDT", "incomeType": "COMMISSION", "income": "-2", "tradeId": "8"},
        {"symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-3", "tradeId": ""},
    ]
    assert [row["income"] for row in (await reads(house, "/fapi/v1/income", income)).json()] == ["-1"]


async def test_owners_are_bounded_and_the_oldest_go_first(desk, monkeypatch):
    await desk.knows(an_account())
    monkeypatch.setattr("proxy.store.warden_store.OWNERS_MAX", 2)
    for number in ("1", "2", "2", "3"):
        await desk.hears_of({order_field("BTCUSDT", number): "ada"})
    known = await desk.store.owners("demo", [order_field("BTCUSDT", number) for number in "123"])
    assert sorted(known) == [order_field("BTCUSDT", number) for number in "23"]


@pytest.mark.parametrize("kind", ["income", "order", "trade"])
async def test_files_of_everybody_s_history_are_refused(house, kind):
    answer = await house.send("ada", "GET", f"/fapi/v1/{kind}/asyn", startTime=1, endTime=2)
    assert "ACCOUNT_WIDE" in answer.json()["msg"]
    assert house.venue.asked == []


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"<html>", b'[{"symbol":"BTCUSDT"}]'])
async def test_an_answer_that_is_not_understood_is_not_shown(house, body):
    answer = await reads(house, "/fapi/v3/positionRisk", body)
    assert (answer.status_code, answer.json()["code"]) == (503, -1001)


async def test_with_the_store_away_shares_are_those_last_known_and_orders_are_told_apart(
    own_desk, own_server, tmp_path
):
    house = House(own_desk, tmp_path, OwnShare())
    await own_desk.knows(an_account().sharing("ada", "BTCUSDT", "1").sharing("bob", "BTCUSDT", "2"))
    await reads(house, "/fapi/v3/positionRisk", [RISK])
    own_server.stop()
    assert (await reads(house, "/fapi/v3/positionRisk", [RISK])).json()[0]["positionAmt"] == "1"
    listed = [{"clientOrderId": MINE}, {"clientOrderId": THEIRS}]
    assert len((await reads(house, "/fapi/v1/openOrders", listed)).json()) == 1
    fills = await reads(house, "/fapi/v1/userTrades", [{"symbol": "BTCUSDT", "orderId": 1}], symbol="BTCUSDT")
    assert fills.status_code == 503
    await house.client.aclose()


@pytest.mark.parametrize("rules", [(), (OwnShare(enforcement=Enforcement.REPORT),), (OwnShare(level="bot:bob"),)])
async def test_who_is_not_isolated_reads_the_whole_account(desk, tmp_path, rules):
    house = House(desk, tmp_path, *rules)
    assert (await reads(house, "/fapi/v3/positionRisk", [RISK])).json() == [RISK]
    listed = [{"clientOrderId": MINE}, {"clientOrderId": THEIRS}]
    assert len((await reads(house, "/fapi/v1/openOrders", listed)).json()) == 2
    await house.client.aclose()


def test_a_view_changes_no_other_byte():
    book = ShareBook(shares={}, marks={"BTCUSDT": Decimal(5)})
    row = b'{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":"0","notional":"0","updateTime":0,"x":1.50}'
    assert own_positions(b"[" + row + b"]", book) == b"[" + row + b"]"
    account = b'{"feeTier":0,"positions":[' + row + b'],"a":"1.0"}'
    assert own_account(account, book) == account
