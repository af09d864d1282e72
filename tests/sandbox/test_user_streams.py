"""What a bot hears of its own account: every event in the venue's shape, in order, for whoever holds the listen key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.practice import BOB, PracticeServer
from tests.sandbox.sockets import hear_account, heard_so_far, listen, listen_key, trader

BTC = "BTCUSDT"
ORDER_FIELDS = "s c S o f q p ap sp x X i l z L N n T t b a m R wt ot ps cp pP si ss rp V pm gtd er"
ALGO_FIELDS = "caid aid at o s S ps f q X ai ap aq act tp p V wt pm cp pP R tt gtd rm"


def names(messages: list[Any]) -> list[str]:
    return [message["e"] for message in messages]


def orders(messages: list[Any]) -> list[tuple[str, str]]:
    updates = [message["o"] for message in messages if message["e"] == "ORDER_TRADE_UPDATE"]
    return [(order["x"], order["X"]) for order in updates]


def algo_statuses(messages: list[Any]) -> list[str]:
    return [message["o"]["X"] for message in messages if message["e"] == "ALGO_UPDATE"]


async def test_an_execution_is_told_as_account_first_then_order(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        bot.order(BTC, "BUY", "0.9", newClientOrderId="mine-1")
        heard = await heard_so_far(ear, bot)
    execution = ["ACCOUNT_UPDATE", "TRADE_LITE", "ORDER_TRADE_UPDATE"]
    assert names(heard) == ["ORDER_TRADE_UPDATE", *execution, *execution]
    assert orders(heard) == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    last = heard[-1]["o"]
    assert set(last) == set(ORDER_FIELDS.split())
    assert (last["c"], last["l"], last["z"], last["m"], last["N"]) == ("mine-1", "0.300", "0.900", False, "USDT")
    account = heard[-3]["a"]
    balance, position = account["B"][0], account["P"][0]
    assert (account["m"], position["pa"], position["ps"], position["mt"]) == ("ORDER", "0.900", "BOTH", "cross")
    assert balance["wb"] == bot.send("GET", "/fapi/v3/balance").json()[0]["balance"]
    assert all(message["E"] >= message["T"] for message in heard)


async def test_the_life_of_a_resting_order_is_told(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        bot.order(BTC, "BUY", "0.01", "88000", newClientOrderId="mine-1")
        amendment = {"symbol": BTC, "side": "BUY", "origClientOrderId": "mine-1"}
        bot.send("PUT", "/fapi/v1/order", **amendment, quantity="0.02", price="88100")
        bot.send("DELETE", "/fapi/v1/order", symbol=BTC, origClientOrderId="mine-1")
        bot.order(BTC, "BUY", "0.01", "88000", timeInForce="IOC")
        heard = await heard_so_far(ear, bot)
    assert orders(heard) == [
        ("NEW", "NEW"),
        ("AMENDMENT", "NEW"),
        ("CANCELED", "CANCELED"),
        ("NEW", "NEW"),
        ("EXPIRED", "EXPIRED"),
    ]
    assert [message["o"]["q"] for message in heard[:3]] == ["0.010", "0.020", "0.020"]
    assert names(heard) == ["ORDER_TRADE_UPDATE"] * 5


async def test_a_stop_is_told_from_its_placing_to_its_fill(venue: PracticeServer) -> None:
    bot = trader(venue)
    bot.order(BTC, "BUY", "0.1")
    async with hear_account(venue) as ear:
        bot.stop(BTC, "SELL", "0.1", "85000")
        venue.price(BTC, "84000")
        heard = await heard_so_far(ear, bot)
    assert algo_statuses(heard) == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    algo = heard[-1]["o"]
    assert set(algo) == set(ALGO_FIELDS.split())
    real = next(message["o"] for message in heard if message["e"] == "ORDER_TRADE_UPDATE")
    assert (algo["ai"], algo["aq"], algo["tp"], algo["act"]) == (str(real["i"]), "0.100", "85000.0", "MARKET")
    # Whoever hears of the real order has been told where it comes from.
    linked = [message["o"].get("ai") for message in heard[: names(heard).index("ORDER_TRADE_UPDATE")]]
    assert linked[-1] == str(real["i"])


@pytest.mark.parametrize(
    ("ending", "status"), [("cancel", "CANCELED"), ("position_gone", "EXPIRED"), ("refused", "REJECTED")]
)
async def test_other_ends_of_a_stop(venue: PracticeServer, ending: str, status: str) -> None:
    bot = trader(venue)
    bot.order(BTC, "BUY", "0.1")
    placed = {"algoType": "CONDITIONAL", "symbol": BTC, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "85000"}
    async with hear_account(venue) as ear:
        if ending == "cancel":
            bot.send("POST", "/fapi/v1/algoOrder", **placed, quantity="0.1", clientAlgoId="stop-1")
            bot.send("DELETE", "/fapi/v1/algoOrder", clientAlgoId="stop-1")
        elif ending == "position_gone":
            bot.send("POST", "/fapi/v1/algoOrder", **placed, closePosition="true", timeInForce="GTE_GTC")
            bot.order(BTC, "SELL", "0.1")
        else:
            bot.send("POST", "/fapi/v1/algoOrder", **placed, quantity="5")
            venue.price(BTC, "84500")
        heard = await heard_so_far(ear, bot)
    assert algo_statuses(heard)[-1] == status
    reason = next(message["o"]["rm"] for message in reversed(heard) if message["e"] == "ALGO_UPDATE")
    assert bool(reason) == (status == "REJECTED")


async def test_a_liquidation_is_warned_of_and_told_with_its_own_client_id(venue: PracticeServer) -> None:
    bot = trader(venue)
    bot.send("POST", "/fapi/v1/leverage", symbol=BTC, leverage=50)
    bot.order(BTC, "BUY", "4")
    async with hear_account(venue) as ear:
        venue.price(BTC, "88020")
        warned = await heard_so_far(ear, bot)
        venue.price(BTC, "80000")
        heard = await heard_so_far(ear, bot)
    assert names(warned) == ["MARGIN_CALL"]
    leg = warned[0]["p"][0]
    assert (leg["s"], leg["pa"], leg["mt"], leg["mp"]) == (BTC, "4.000", "CROSSED", "88020.00000000")
    forced = [message["o"] for message in heard if message["e"] == "ORDER_TRADE_UPDATE"]
    assert {order["x"] for order in forced} == {"CALCULATED"}
    assert all(order["c"].startswith("autoclose-") for order in forced)
    changes = [message["a"] for message in heard if message["e"] == "ACCOUNT_UPDATE"]
    assert [change["P"][0]["pa"] for change in changes if change["P"]][-1] == "0.000"
    assert "INSURANCE_CLEAR" in [change["m"] for change in changes]


async def test_settings_and_margin_are_told(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with hear_account(venue) as ear:
        bot.send("POST", "/fapi/v1/leverage", symbol=BTC, leverage=33)
        leverage = await ear.next()
        bot.send("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
        multi_assets = await ear.next()
        bot.send("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="false")
        await ear.next()
        bot.send("POST", "/fapi/v1/marginType", symbol=BTC, marginType="ISOLATED")
        margin_type = await ear.next()
        bot.order(BTC, "BUY", "0.1")
        bot.send("POST", "/fapi/v1/positionMargin", symbol=BTC, amount="50", type="1")
        transfer = (await heard_so_far(ear, bot))[-1]
    assert (leverage["ac"], multi_assets["ai"]) == ({"s": BTC, "l": 33}, {"j": True})
    assert (margin_type["a"]["m"], margin_type["a"]["P"][0]["mt"]) == ("MARGIN_TYPE_CHANGE", "isolated")
    leg = bot.send("GET", "/fapi/v2/positionRisk", symbol=BTC).json()[0]
    assert (transfer["a"]["m"], transfer["a"]["P"][0]["iw"]) == ("MARGIN_TRANSFER", leg["isolatedWallet"])


async def test_funding_moves_the_balance_and_names_no_cross_position(
    venue_before_funding: PracticeServer,
) -> None:
    venue = venue_before_funding
    bot = trader(venue)
    bot.order(BTC, "BUY", "0.1")
    async with hear_account(venue) as ear:
        venue.step(8)
        heard = await heard_so_far(ear, bot)
    assert [(message["a"]["m"], message["a"]["P"]) for message in heard] == [("FUNDING_FEE", [])]
    assert heard[0]["a"]["B"][0]["bc"] == "-0.90000000"


async def test_everybody_hears_only_their_own_account(venue: PracticeServer) -> None:
    alice, bob = trader(venue), trader(venue, BOB)
    async with hear_account(venue) as hers, hear_account(venue, BOB) as his:
        alice.order(BTC, "BUY", "0.01", "88000", newClientOrderId="hers")
        bob.order(BTC, "BUY", "0.01", "88000", newClientOrderId="his")
        heard = [*await heard_so_far(hers, alice), *await heard_so_far(his, bob)]
    assert [message["o"]["c"] for message in heard] == ["hers", "his"]


@pytest.mark.parametrize(
    "path",
    [
        "/ws/{key}",
        "/private/ws/{key}",
        "/ws?listenKey={key}",
        "/private/ws?listenKey={key}",
        "/stream?streams={key}",
        "/private/stream?streams={key}",
        "/private/stream?listenKey={key}&events=ORDER_TRADE_UPDATE",
        "SUBSCRIBE",
    ],
)
async def test_every_door_to_an_account(venue: PracticeServer, path: str) -> None:
    bot = trader(venue)
    key = listen_key(venue).json()["listenKey"]
    async with listen(venue, "/ws" if path == "SUBSCRIBE" else path.format(key=key)) as ear:
        if path == "SUBSCRIBE":
            assert await ear.ask(method="SUBSCRIBE", params=[key], id=1) == {"result": None, "id": 1}
        bot.order(BTC, "BUY", "0.01", "88000")
        heard = await ear.next()
    if "stream" in path:
        assert heard["stream"] == key
        heard = heard["data"]
    assert heard["e"] == "ORDER_TRADE_UPDATE"


async def test_a_stream_can_be_narrowed_to_event_types(venue: PracticeServer) -> None:
    bot = trader(venue)
    key = listen_key(venue).json()["listenKey"]
    wanted = "ACCOUNT_UPDATE/ACCOUNT_CONFIG_UPDATE"
    async with listen(venue, f"/private/ws?listenKey={key}&events={wanted}") as ear:
        bot.order(BTC, "BUY", "0.01")
        assert names(await heard_so_far(ear, bot)) == ["ACCOUNT_UPDATE"]


async def test_a_listen_key_is_kept_extended_and_closed(venue: PracticeServer) -> None:
    assert listen_key(venue, "PUT").json()["code"] == -1125
    assert listen_key(venue, key="nobody").json()["code"] == -2015
    key = listen_key(venue).json()["listenKey"]
    assert len(key) == 64
    assert listen_key(venue).json()["listenKey"] == key
    assert listen_key(venue, "PUT").status_code == 200
    async with listen(venue, f"/ws/{key}") as ear:
        assert listen_key(venue, "DELETE").json() == {}
        assert (await ear.closed())[0] == 1000
    assert listen_key(venue).json()["listenKey"] != key


async def test_an_expired_key_is_announced_and_then_silent(venue: PracticeServer) -> None:
    bot = trader(venue)
    key = listen_key(venue).json()["listenKey"]
    async with listen(venue, f"/private/ws?listenKey={key}") as ear:
        venue.streams(expire_keys=True)
        heard = await ear.next()
        assert (heard["e"], heard["listenKey"]) == ("listenKeyExpired", key)
        bot.order(BTC, "BUY", "0.01", "88000")
        fresh = listen_key(venue).json()["listenKey"]
        assert fresh != key
        # The same socket goes on with the new key; nothing of the order came through the old one.
        assert await ear.ask(method="SUBSCRIBE", params=[fresh], id=7) == {"result": None, "id": 7}
        bot.send("POST", "/fapi/v1/leverage", symbol=BTC, leverage=9)
        assert (await ear.next())["ac"]["l"] == 9


async def test_a_text_that_is_no_valid_key_is_never_answered(venue: PracticeServer) -> None:
    bot = trader(venue)
    async with listen(venue, f"/private/ws?listenKey={'f' * 64}") as ear, hear_account(venue) as known:
        bot.order(BTC, "BUY", "0.01", "88000")
        await heard_so_far(known, bot)
        # Its own question is the first thing it hears.
        assert await ear.ask(method="LIST_SUBSCRIPTIONS", id=1) == {"result": ["f" * 64], "id": 1}
