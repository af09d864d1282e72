"""On a shared account a bot hears of its own orders, and its own share in every update."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.gate.event_views import QUIET_S, EventViews
from proxy.gate.views import Views
from proxy.venues.binance.client_ids import outward, tag
from rules.position.own_share import OwnShare
from tests.rules.builders import an_account

MINE, THEIRS = outward("mine", tag("demo", "ada")), outward("theirs", tag("demo", "bob"))


class Ear:
    """Ada's ear on the account ``demo``, and the clock."""

    def __init__(self, desk, *rules):
        self.now_s = 100.0
        self.desk = desk
        self.asked = 0
        policy = desk.under(*rules)
        views = Views(lambda: policy, desk.store, "binanceusdm")
        self._shared_account, views.shared_account = views.shared_account, self._counted
        self.views = EventViews(views, monotonic=lambda: self.now_s)

    async def _counted(self, account):
        self.asked += 1
        return await self._shared_account(account)

    async def knows(self, world):
        await self.desk.knows(world)
        await self.views.begin("demo", "ada")

    def hears(self, event, bot="ada"):
        raw = event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":")).encode()
        return [json.loads(frame) for frame in self.views.show("demo", raw, bot)]

    def positions(self, frame):
        return {row["s"]: (row["pa"], row["ep"], row["up"]) for row in frame["a"]["P"]}


@pytest.fixture
async def ear(desk):
    built = Ear(desk, OwnShare())
    await built.knows(an_account().sharing("ada", "BTCUSDT", "1", "40000").sharing("bob", "BTCUSDT", "2", "45000"))
    return built


def a_fill(name=MINE, side="BUY", quantity="1", price="50000", execution="TRADE", number=1):
    order = {"s": "BTCUSDT", "c": name, "S": side, "x": execution, "i": number, "l": quantity, "L": price, "ps": "BOTH"}
    return {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": order}


def an_update(amount="4", entry="46000", profit="16000", reason="ORDER"):
    leg = {"s": "BTCUSDT", "pa": amount, "ep": entry, "up": profit, "cr": "0", "mt": "cross", "ps": "BOTH"}
    balance = {"a": "USDT", "wb": "9", "cw": "9", "bc": "0"}
    return {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": {"m": reason, "B": [balance], "P": [leg]}}


def an_algo(name=MINE, becomes=None):
    return {"e": "ALGO_UPDATE", "o": {"caid": name, "aid": 3, "ai": becomes or "", "X": "TRIGGERED"}}


async def test_own_orders_are_heard_by_their_own_ids_and_others_not(ear):
    assert [frame["o"]["c"] for frame in ear.hears(a_fill(execution="NEW"))] == ["mine"]
    assert ear.hears(a_fill(THEIRS)) == []
    assert [frame["o"]["caid"] for frame in ear.hears(an_algo())] == ["mine"]
    assert ear.hears(an_algo(THEIRS)) == []
    lite = {"e": "TRADE_LITE", "s": "BTCUSDT", "c": MINE, "i": 1}
    assert [frame["c"] for frame in ear.hears(lite)] == ["mine"]
    assert ear.hears(lite | {"c": THEIRS}) == []


async def test_the_plain_order_an_own_conditional_one_became_is_heard(ear):
    ear.hears(an_algo(THEIRS, becomes="77"))
    ear.hears(an_algo(becomes="78"))
    assert ear.hears(a_fill("auto-9", number=77)) == []
    assert len(ear.hears(a_fill("auto-9", number=78))) == 1


async def test_an_own_fill_comes_with_the_share_after_it(ear):
    assert ear.hears(an_update()) == []
    update, fill = ear.hears(a_fill())
    assert ear.positions(update) == {"BTCUSDT": ("2", "45000", "10000")}
    assert (update["a"]["B"][0]["wb"], fill["o"]["c"]) == ("9", "mine")


async def test_another_s_fill_is_not_told_and_changes_nothing(ear):
    assert ear.hears(an_update("5")) == []
    assert ear.hears(a_fill(THEIRS)) == []
    assert ear.hears(an_update()) == []
    update, _ = ear.hears(a_fill())
    assert ear.positions(update)["BTCUSDT"][0] == "2"


@pytest.mark.parametrize(
    ("side", "quantity", "price", "share"),
    [
        ("SELL", "0.4", "60000", ("0.6", "40000")),
        ("SELL", "1", "60000", ("0", "0")),
        ("SELL", "3", "60000", ("-2", "60000")),
        ("BUY", "3", "60000", ("4", "55000")),
    ],
    ids=["less", "flat", "turned", "more"],
)
async def test_the_share_moves_as_a_position_does(ear, side, quantity, price, share):
    ear.hears(an_update())
    update, _ = ear.hears(a_fill(side=side, quantity=quantity, price=price))
    assert ear.positions(update)["BTCUSDT"][:2] == share


async def test_a_second_socket_hears_the_same_and_counts_nothing_twice(ear):
    ear.hears(an_update())
    raw = json.dumps(a_fill()).encode()
    assert ear.hears(raw) == ear.hears(raw)
    update, _ = ear.hears(a_fill())
    assert ear.positions(update)["BTCUSDT"][0] == "3"


async def test_funding_is_told_at_once_with_the_share_as_it_is(ear):
    (update,) = ear.hears(an_update("3", "43333", "0", reason="FUNDING_FEE"))
    assert ear.positions(update)["BTCUSDT"][:2] == ("1", "40000")
    (update,) = ear.hears(an_update(reason="FUNDING_FEE"), bot="carl")
    assert update["a"]["P"] == []


async def test_what_moved_without_an_own_fill_is_taken_over_from_the_book(ear):
    await ear.knows(an_account().sharing("ada", "BTCUSDT", "0.5", "40000"))
    (update,) = ear.hears(an_update(reason="FUNDING_FEE"))
    assert ear.positions(update)["BTCUSDT"][0] == "0.5"


async def test_right_after_an_own_fill_the_stream_is_believed_over_the_book(ear):
    ear.hears(a_fill())
    await ear.views.refresh("demo")
    ear.hears(an_update())
    assert ear.positions(ear.hears(a_fill(execution="TRADE", number=2))[0])["BTCUSDT"][0] == "3"
    ear.now_s += QUIET_S + 1
    await ear.views.refresh("demo")
    assert ear.positions(ear.hears(an_update(reason="FUNDING_FEE"))[0])["BTCUSDT"][0] == "1"


async def test_a_share_nobody_told_is_not_made_up(desk):
    ear = Ear(desk, OwnShare())
    ear.hears(an_update())
    update, _ = ear.hears(a_fill())
    assert update["a"]["P"] == []


@pytest.mark.parametrize("name", ["MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE", "listenKeyExpired"])
async def test_what_concerns_everybody_is_told_to_everybody(ear, name):
    assert ear.hears({"e": name, "E": 1}) == [{"e": name, "E": 1}]


async def test_without_isolation_all_is_heard_and_only_own_ids_are_restored(desk):
    ear = Ear(desk)
    for event in (an_update(), a_fill(THEIRS)):
        assert ear.hears(event) == [event]
    assert ear.hears(a_fill())[0]["o"]["c"] == "mine"


async def test_a_second_socket_on_its_way_costs_the_first_nothing(ear):
    """Two sockets of a bot that opens both at once are both the first."""
    second = asyncio.create_task(ear.views.begin("demo", "ada", anew=True))
    await asyncio.sleep(0)
    (update,) = ear.hears(an_update(reason="FUNDING_FEE"))
    assert ear.positions(update)["BTCUSDT"][0] == "1"
    third = asyncio.create_task(ear.views.begin("demo", "ada", anew=True))
    await second
    ear.hears(an_update())
    ear.hears(a_fill())
    await third
    (update,) = ear.hears(an_update(reason="FUNDING_FEE"))
    assert ear.positions(update)["BTCUSDT"][0] == "2"


async def test_the_store_is_not_asked_for_shares_nobody_is_kept_to(desk):
    together, apart = Ear(desk), Ear(desk, OwnShare())
    for each in (together, apart):
        await each.views.begin("demo", "ada", anew=True)
        await each.views.refresh("demo")
    assert (together.asked, apart.asked) == (0, 2)
