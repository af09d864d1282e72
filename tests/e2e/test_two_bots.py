"""Two bots on one account of the practice exchange, through a real guard: each has, sees and closes its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import Bot
from tests.support.worlds import LiveWorld, until

BTC = "BTCUSDT"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(
        a_rule("account.demo.own_share"),
        a_rule("bot.ada.margin_budget", limit=20_000, leverage=2),
        a_rule("bot.bob.margin_budget", limit=10_000, leverage=3),
    )
    directory = tmp_path_factory.mktemp("two_bots") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=("ada", "bob"), gate_workers=2) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> Iterator[LiveWorld]:
    """Ada long 0.1, Bob long 0.2: one position of 0.3 at the exchange. Empty again afterwards."""
    for name, quantity in (("ada", "0.1"), ("bob", "0.2")):
        running.bot_named(name).order(BTC, "BUY", quantity).raise_for_status()
    until(lambda: (held(running, "ada"), held(running, "bob")) == (0.1, 0.2), "each has its share", 60)
    assert running.direct.positions() == {BTC: pytest.approx(0.3)}
    yield running
    owner = running.direct
    owner.cancel_all(BTC).raise_for_status()
    for name in ("ada", "bob"):
        if quantity := held(running, name):
            side = "SELL" if quantity > 0 else "BUY"
            closed = running.bot_named(name).order(BTC, side, abs(quantity), reduceOnly="true")
            closed.raise_for_status()
    until(lambda: not held(running, "ada") and not held(running, "bob"), "nobody has anything", 60)
    until(lambda: not running.account()["positions"], "the guard sees an empty book", 60)


def held(world: LiveWorld, bot: str) -> float:
    """What a bot reads as its position."""
    return world.bot_named(bot).positions().get(BTC, 0.0)


def code(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    found: str = answer.headers.get("x-guard-code", "")
    return found


def resting(bot: Bot, name: str) -> dict[str, Any]:
    answer = bot.order(BTC, "BUY", "0.01", 80_000, newClientOrderId=name)
    placed: dict[str, Any] = answer.raise_for_status().json()
    return placed


def test_a_bot_closes_its_own_share_and_no_more(world: LiveWorld) -> None:
    ada = world.bot_named("ada")
    refused = ada.order(BTC, "SELL", "0.15", reduceOnly="true")
    assert code(refused) == "SHARE_EXCEEDED"
    assert "largest quantity allowed now 0.1" in refused.json()["msg"]
    assert ada.order(BTC, "SELL", "0.1", reduceOnly="true").status_code == 200
    until(lambda: (held(world, "ada"), held(world, "bob")) == (0.0, 0.2), "only ada's share is closed", 60)
    assert code(ada.order(BTC, "SELL", "0.05", reduceOnly="true")) == "SHARE_EXCEEDED"


def test_an_entry_against_the_other_is_refused_and_so_is_his_leverage(world: LiveWorld) -> None:
    ada = world.bot_named("ada")
    assert code(ada.order(BTC, "SELL", "0.05")) == "SHARE_OPPOSED"
    assert code(ada.send("POST", "/fapi/v1/leverage", symbol=BTC, leverage=7)) == "SETTING_NOT_OWNED"
    assert ada.send("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=7).status_code == 200


def test_orders_are_each_one_s_own(world: LiveWorld) -> None:
    ada, bob = world.bot_named("ada"), world.bot_named("bob")
    mine, his = resting(ada, "one"), resting(bob, "one")
    assert (mine["clientOrderId"], his["clientOrderId"]) == ("one", "one")
    assert [order["orderId"] for order in ada.open_orders()] == [mine["orderId"]]
    theirs = ada.send("GET", "/fapi/v1/order", symbol=BTC, orderId=his["orderId"])
    assert theirs.json()["code"] == -2013

    def refused() -> bool:
        answer = ada.send("DELETE", "/fapi/v1/order", symbol=BTC, orderId=his["orderId"])
        return answer.status_code == 400 and answer.json()["code"] == -2011

    until(lambda: world.account()["open_orders"] == 2, "the guard sees both", 60)
    assert refused()
    ada.cancel_all(BTC).raise_for_status()
    assert [order["orderId"] for order in world.direct.open_orders()] == [his["orderId"]]
    bob.send("DELETE", "/fapi/v1/order", symbol=BTC, origClientOrderId="one").raise_for_status()
    assert world.direct.open_orders() == []


def test_fills_are_each_one_s_own(world: LiveWorld) -> None:
    def fills(bot: str) -> set[str]:
        rows = world.bot_named(bot).send("GET", "/fapi/v1/userTrades", symbol=BTC).raise_for_status().json()
        return {row["orderId"] for row in rows}

    placed = {
        bot: world.bot_named(bot).order(BTC, "BUY", "0.01").raise_for_status().json()["orderId"]
        for bot in ("ada", "bob")
    }
    until(lambda: all(placed[bot] in fills(bot) for bot in placed), "each reads its fill", 60)
    assert not fills("ada") & fills("bob")


def test_a_budget_is_one_s_own(world: LiveWorld) -> None:
    """At about 90,000 Bob's 30,000 are nearly two thirds used by 0.2; Ada's 40,000 by 0.1 hardly."""
    ada, bob = world.bot_named("ada"), world.bot_named("bob")
    assert code(bob.order(BTC, "BUY", "0.2", 89_000)) == "MARGIN_BUDGET_EXCEEDED"
    assert ada.order(BTC, "BUY", "0.2", 80_000).status_code == 200
    assert bob.order(BTC, "SELL", "0.2", reduceOnly="true").status_code == 200


def test_a_bot_s_dead_man_timer_takes_its_own_orders_along(world: LiveWorld) -> None:
    ada, bob = world.bot_named("ada"), world.bot_named("bob")
    for name in ("one", "two"):
        resting(ada, name)
    his = resting(bob, "one")
    ada.stop(BTC, "SELL", "0.1", 50_000).raise_for_status()
    for bot, countdown in ((bob, 300_000), (ada, 600_000), (ada, 200)):
        answer = bot.send("POST", "/fapi/v1/countdownCancelAll", symbol=BTC, countdownTime=countdown)
        assert answer.raise_for_status().json() == {"symbol": BTC, "countdownTime": str(countdown)}
    until(lambda: ada.open_orders() == [], "ada's orders are gone", 60)
    assert [order["orderId"] for order in world.direct.open_orders()] == [his["orderId"]]
    assert len(world.direct.send("GET", "/fapi/v1/openAlgoOrders").json()) == 1, "the stop stays"
    assert (held(world, "ada"), held(world, "bob")) == (0.1, 0.2)
    (event,) = until(lambda: [each for each in world.export() if each.get("what") == "dead_man.done"], "archived", 60)
    assert event["detail"]["bot"] == "ada"
    assert event["detail"]["orders"] == sorted(world.upstream_id(name, "ada") for name in ("one", "two"))
    bob.send("POST", "/fapi/v1/countdownCancelAll", symbol=BTC, countdownTime=0).raise_for_status()
    ada.send("DELETE", "/fapi/v1/algoOpenOrders", symbol=BTC).raise_for_status()


def stops(world: LiveWorld, share_of_price: float, quantity: str) -> float:
    """Ada has a stop so far below the market, and the guard knows; the price at which it has fired."""
    mark = world.door.mark_price(BTC)
    world.bot_named("ada").stop(BTC, "SELL", quantity, round(mark * share_of_price, 1)).raise_for_status()
    until(lambda: world.account()["positions"][0]["stops"], "the guard sees the stop", 60)
    return round(mark * (share_of_price - 0.01), 1)


def test_what_fires_while_the_stream_or_the_guard_is_down_is_its_bots_and_what_came_past_the_guard_is_found(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The exchange names the orders that stops become itself, and nobody hears of it."""
    policy = a_policy(a_rule("account.demo.own_share"), a_rule("bot.ada.margin_budget", limit=20_000, leverage=2))
    directory = tmp_path_factory.mktemp("restarted") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=("ada", "bob")) as world:
        for name, quantity in (("ada", "0.1"), ("bob", "0.2")):
            world.bot_named(name).order(BTC, "BUY", quantity).raise_for_status()
        until(lambda: (held(world, "ada"), held(world, "bob")) == (0.1, 0.2), "each has its share", 60)

        fired = stops(world, 0.99, "0.03")
        world.door.break_streams()
        until(lambda: world.account()["feed"]["state"] == "STALE", "nothing is heard", 60)
        world.door.jump(BTC, fired)
        until(lambda: world.direct.positions() == {BTC: pytest.approx(0.27)}, "the stop has filled", 60)
        world.door.mend_streams()
        until(lambda: (held(world, "ada"), held(world, "bob")) == (0.07, 0.2), "it is ada's", 60)

        fired = stops(world, 0.99, "0.04")
        world.stop_guard()
        world.door.jump(BTC, fired)
        until(lambda: world.direct.positions() == {BTC: pytest.approx(0.23)}, "the stop has filled", 60)
        world.direct.order(BTC, "BUY", "0.01").raise_for_status()
        world.direct.order(BTC, "BUY", "0.05", 60_000).raise_for_status()

        world.start_guard_again()
        until(lambda: (held(world, "ada"), held(world, "bob")) == (0.03, 0.2), "each has its own again", 60)
        assert code(world.bot_named("ada").order(BTC, "SELL", "0.2", reduceOnly="true")) == "SHARE_EXCEEDED"
        found = until(lambda: len(world.account()["outside"]) > 1 and world.account()["outside"], "both are found", 60)
        assert [each["activity"] for each in found] == ["order", "order"], "the stops are nobody's business"

        killed = world.command("kill", "--bot", "bob", "--by", "me", "--reason", "a restart")
        assert killed.returncode == 0, killed.stderr
        assert world.direct.positions() == {BTC: pytest.approx(0.04)}
        archived = [each for each in world.export() if each.get("what") == "outside.activity"]
        assert len([finding for each in archived for finding in each["detail"]["findings"]]) == 2
