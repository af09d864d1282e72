"""A bot that asked to be looked after falls silent: reduce-only, its orders gone, its positions closed, as set."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.practice.world import ACCOUNT, BOT
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import Bot
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, freeze, gone, until

LEASE = "/guard/v1/lease"
POLICY = a_policy(
    a_rule("desk.max_order_value", limit=50_000),
    "[kill.lease]\nreduce_after_s = 1\ncancel_after_s = 2\nflatten_after_s = 3\n",
)
BOTS = (BOT, "other")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    directory = tmp_path_factory.mktemp("leases") / "data"
    with LiveWorld(directory, POLICY, balance=100_000, bots=BOTS) as running:
        until(lambda: running.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200, "entries pass", 60, every_s=0.2)
        yield running


def take(bot: Bot, ttl_s: int) -> httpx.Response:
    return bot.send("POST", LEASE, ttl=ttl_s)


def leases(world: LiveWorld) -> dict[str, dict[str, Any]]:
    return {lease["bot"]: lease for lease in world.ask("GET", "/api/desk")["leases"]}


def state_of(world: LiveWorld, bot: str) -> str:
    return next(each["state"] for each in world.ask("GET", "/api/desk")["bots"] if each["name"] == bot)


def test_it_is_told_how_long_it_has_and_may_give_it_back(world: LiveWorld) -> None:
    other = world.bot_named("other")
    answer = take(other, 30)
    assert (answer.status_code, answer.json()) == (200, {"account": ACCOUNT, "bot": "other", "secondsLeft": 30})
    until(lambda: 25 < leases(world).get("other", {"left_s": 0})["left_s"] <= 30, "the desk shows it")
    shown = world.command("leases")
    assert shown.returncode == 0 and f"bot=other account={ACCOUNT} ttl=30s left=" in shown.stdout
    assert other.send("DELETE", LEASE).json()["secondsLeft"] == 0
    until(lambda: leases(world) == {}, "it is over")


@pytest.mark.parametrize(
    ("params", "code"), [({}, -1102), ({"ttl": "0"}, -1130), ({"ttl": "3601"}, -1130), ({"ttl": "1", "x": "1"}, -1104)]
)
def test_what_is_wrong_is_said_in_the_venues_words(world: LiveWorld, params: dict[str, str], code: int) -> None:
    answer = world.bot.send("POST", LEASE, **params)
    assert answer.status_code == 400
    assert answer.json()["code"] == code, answer.text


def test_nobody_else_renews_it(world: LiveWorld) -> None:
    """Not with another's signature, not with a recording, not by another method or under another path."""
    other = world.bot_named("other")
    stranger = Bot(world.places.gate, other.key, world.guard_keys[BOT].secret)
    assert take(stranger, 30).json()["code"] == -1022
    request = other.request("POST", LEASE, ttl=30)
    assert other.client.send(request).status_code == 200
    again = other.client.send(
        other.client.build_request("POST", request.url, content=request.content, headers=request.headers)
    )
    assert "REPLAYED" in again.json()["msg"]
    assert other.send("DELETE", LEASE).status_code == 200
    for method, path in (("GET", LEASE), ("POST", f"{LEASE}/"), ("POST", "/fapi/v1/lease")):
        assert "UNKNOWN_ROUTE" in other.send(method, path).json()["msg"]
    assert world.door.arrivals(ttl="30") == [], "nothing of it reaches the exchange"


def test_a_silent_bot_is_reduced_then_cancelled_and_what_others_hold_is_left_alone(world: LiveWorld) -> None:
    other = world.bot_named("other")
    for answer in (
        other.order("BTCUSDT", "BUY", "0.02"),
        other.order("BTCUSDT", "BUY", "0.01", 85_000),
        other.order("BTCUSDT", "SELL", "0.01", 120_000, reduceOnly="true"),
        other.send("POST", "/fapi/v1/algoOrder", **a_conditional_entry()),
        world.bot.order("BTCUSDT", "BUY", "0.01", 85_001),
    ):
        assert answer.status_code == 200, answer.text
    assert take(other, 1).status_code == 200
    until(lambda: state_of(world, "other") == "REDUCING", "it is reduce-only", 15)
    assert other.order("BTCUSDT", "BUY", "0.01").status_code == 400
    until(lambda: resting(world) == [85_001], "only its orders go", 30)
    until(lambda: world.direct.send("GET", "/fapi/v1/openAlgoOrders").json() == [], "its conditional entry goes", 30)
    until(lambda: world.direct.positions() == {"BTCUSDT": 0.01}, "its part is closed, and nobody else's", 30)
    until(lambda: leases(world)["other"]["step"] == "flatten", "the last step is taken", 30)
    assert state_of(world, BOT) == "ACTIVE"

    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "its kill ends", 60)
    assert take(other, 30).status_code == 200, "it is heard again"
    assert other.order("BTCUSDT", "BUY", "0.01").status_code == 400, "no bot lets itself go on"
    come_back(world, "bot:other", "it was restarted")
    until(lambda: other.order("BTCUSDT", "BUY", "0.005").status_code == 200, "it goes on", 30, every_s=0.2)
    assert other.send("DELETE", LEASE).status_code == 200
    lapsed = [record["detail"]["step"] for record in world.export() if record.get("what") == "lease.lapsed"]
    assert lapsed == ["reduce", "cancel", "flatten"]


def test_a_lease_outlives_the_warden_and_one_that_was_lost_with_the_store_has_grace(world: LiveWorld) -> None:
    other = world.bot_named("other")
    assert take(other, 300).status_code == 200
    until(lambda: "other" in leases(world), "the warden knows it")
    warden = world.process("warden")
    os.kill(warden, signal.SIGKILL)
    until(lambda: gone(warden) and world.answers(), "there is a new warden", 60)
    until(lambda: "other" in leases(world), "it knows the lease too", 30)
    assert state_of(world, "other") == "ACTIVE"
    left_before = leases(world)["other"]["left_s"]
    forget_leases(world)
    until(lambda: leases(world).get("other", {"left_s": 0})["left_s"] > left_before, "it runs once more", 15)
    assert other.send("DELETE", LEASE).status_code == 200


def forget_leases(world: LiveWorld) -> None:
    """What a store that loses its data does."""
    import redis

    from proxy.store.embedded import embedded_url
    from proxy.store.keys import Keys

    with redis.Redis.from_url(embedded_url(world.data_dir)) as client:
        assert client.delete(Keys("demo").leases) == 1


def a_conditional_entry() -> dict[str, str]:
    return {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "STOP_MARKET",
        "quantity": "0.01",
        "triggerPrice": "150000",
        "clientAlgoId": "entry-1",
    }


@pytest.mark.full
def test_a_bot_alone_on_its_account_is_flattened(tmp_path: Path) -> None:
    with LiveWorld(tmp_path / "data", POLICY, balance=100_000) as world:
        until(lambda: world.bot.order("BTCUSDT", "BUY", "0.1").status_code == 200, "entries pass", 60, every_s=0.2)
        assert take(world.bot, 1).status_code == 200
        until(lambda: world.direct.positions() == {}, "flat", 30)
        assert world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 400, (
            "it stays stopped until a person re-arms it"
        )


def resting(world: LiveWorld) -> list[float]:
    """The prices of everybody's plain orders, as the exchange has them."""
    return sorted(float(order["price"]) for order in world.direct.open_orders())


def test_a_guard_that_was_down_altogether_holds_nothing_against_a_bot(world: LiveWorld) -> None:
    """Store, gates and warden were away, and no bot could renew: its lease runs out only once it could have."""
    assert take(world.bot_named("other"), 2).status_code == 200
    world.stop_guard()
    time.sleep(8)
    world.start_guard_again()
    until(lambda: leases(world)["other"]["step"] == "flatten", "it is judged from then on", 60)
    reason = [record["detail"]["reason"] for record in world.export() if record.get("what") == "lease.lapsed"][-3]
    overdue_s = re.fullmatch(r".* ran out (\d+) s ago", reason)
    assert overdue_s is not None and int(overdue_s[1]) < 6, reason
    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "its kill ends", 60)
    come_back(world, "bot:other", "it was restarted")
    assert world.bot_named("other").send("DELETE", LEASE).status_code == 200


def test_a_machine_that_stood_still_holds_nothing_against_a_bot_and_one_that_died_meanwhile_is_acted_on(
    world: LiveWorld,
) -> None:
    other, ttl_s = world.bot_named("other"), 5
    assert take(other, ttl_s).status_code == 200
    until(lambda: "other" in leases(world), "the warden knows it")
    lapsed_before = lapsed(world)
    guard = [world.process(role) for role in ("warden", "gate", "store")]
    for pid in guard:
        freeze(pid)
    time.sleep(2 * ttl_s)
    for pid in reversed(guard):
        os.kill(pid, signal.SIGCONT)
    until(lambda: leases(world)["other"]["left_s"] > 0, "it runs once more", 30)
    assert (leases(world)["other"]["step"], lapsed(world)) == ("", lapsed_before), "nothing was done at once"
    until(lambda: lapsed(world) == [*lapsed_before, "reduce", "cancel", "flatten"], "it never came back", 60)
    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "its kill ends", 60)


def lapsed(world: LiveWorld) -> list[str]:
    """Every step that was ever taken."""
    return [record["detail"]["step"] for record in world.export() if record.get("what") == "lease.lapsed"]
