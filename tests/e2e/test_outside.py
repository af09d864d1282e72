"""A leaked key: whoever holds the exchange key and goes straight to the exchange is caught in under five seconds."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy
from tests.support.practice_client import Bot, fresh_id
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, until

CAUGHT_S = 5.0
SYMBOL = "ETHUSDT"
_values = itertools.cycle(range(2, 20))


def rests(thief: Bot) -> None:
    """An order far from the market."""
    thief.order("BTCUSDT", "BUY", "0.005", 80_000).raise_for_status()


def fills(thief: Bot) -> None:
    """A market order."""
    thief.order("BTCUSDT", "BUY", "0.002").raise_for_status()


def lifts_the_leverage(thief: Bot) -> None:
    thief.send("POST", "/fapi/v1/leverage", symbol=SYMBOL, leverage=next(_values)).raise_for_status()


def changes_the_margin_mode(thief: Bot) -> None:
    (row,) = (row for row in thief.send("GET", "/fapi/v1/symbolConfig").json() if row["symbol"] == SYMBOL)
    other = "CROSSED" if row["marginType"] == "ISOLATED" else "ISOLATED"
    thief.send("POST", "/fapi/v1/marginType", symbol=SYMBOL, marginType=other).raise_for_status()


def leaves_a_stop(thief: Bot) -> None:
    """A conditional order."""
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "quantity": "0.002", "triggerPrice": "190000"}
    thief.send(
        "POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", clientAlgoId=fresh_id(), **params
    ).raise_for_status()


Theft = Callable[[Bot], None]
THEFTS: dict[str, Theft] = {
    "order": rests,
    "fill": fills,
    "leverage": lifts_the_leverage,
    "margin_mode": changes_the_margin_mode,
}


@pytest.fixture(scope="module")
def alerted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    """A guard that only says it, so that one world can be robbed many times."""
    with LiveWorld(tmp_path_factory.mktemp("alerted"), a_policy(), survey_every_s=15) as world:
        ready(world)
        yield world


def ready(world: LiveWorld) -> None:
    """The stream is open and the account surveyed: from here on everything is told."""
    until(lambda: world.account()["feed"]["state"] == "LIVE", "the private stream is live")


def found(world: LiveWorld) -> list[dict[str, Any]]:
    """What the console shows."""
    findings: list[dict[str, Any]] = world.account()["outside"]
    return findings


def of_kind(world: LiveWorld, activity: str) -> set[tuple[str, str]]:
    """When and what, of every finding of this kind that the console still has."""
    return {(each["at"], each["detail"]) for each in found(world) if each["activity"] == activity}


def caught(world: LiveWorld, activity: str, before: set[tuple[str, str]]) -> float:
    """Seconds until the console shows another finding of this kind."""
    began = time.monotonic()
    until(lambda: of_kind(world, activity) - before, f"{activity} is found", CAUGHT_S, every_s=0.02)
    return time.monotonic() - began


def robbed(world: LiveWorld, activity: str) -> float:
    before = of_kind(world, activity)
    THEFTS[activity](world.direct)
    return caught(world, activity, before)


@pytest.mark.parametrize("activity", THEFTS)
@pytest.mark.parametrize("run", range(3))
def test_a_leaked_key_is_caught_in_under_five_seconds(alerted: LiveWorld, activity: str, run: int) -> None:
    assert robbed(alerted, activity) < CAUGHT_S


@pytest.mark.full
@pytest.mark.parametrize("run", range(25))
@pytest.mark.parametrize("activity", THEFTS)
def test_a_leaked_key_is_caught_in_every_one_of_a_hundred_runs(alerted: LiveWorld, activity: str, run: int) -> None:
    assert robbed(alerted, activity) < CAUGHT_S


def test_a_conditional_order_is_an_order(alerted: LiveWorld) -> None:
    before = of_kind(alerted, "order")
    leaves_a_stop(alerted.direct)
    caught(alerted, "order", before)


def test_what_comes_through_the_guard_is_nobodys_business(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy(outside="kill"), survey_every_s=1) as world:
        ready(world)
        bot = world.bot
        bot.order("BTCUSDT", "BUY", "0.002").raise_for_status()
        resting = bot.order("BTCUSDT", "BUY", "0.002", 80_000).raise_for_status().json()
        amended = {
            "symbol": "BTCUSDT",
            "orderId": resting["orderId"],
            "side": "BUY",
            "quantity": "0.003",
            "price": "80000",
        }
        bot.send("PUT", "/fapi/v1/order", **amended).raise_for_status()
        bot.stop("BTCUSDT", "SELL", "0.002", 70_000).raise_for_status()
        bot.send("POST", "/fapi/v1/leverage", symbol=SYMBOL, leverage=7).raise_for_status()
        bot.send("POST", "/fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED").raise_for_status()
        bot.cancel_all("BTCUSDT").raise_for_status()
        world.wait_until_settled()
        began = time.monotonic()
        until(lambda: time.monotonic() - began > CAUGHT_S, "long enough to be caught", CAUGHT_S + 5, every_s=0.5)
        assert found(world) == [] and world.account()["state"] == "ACTIVE"
        (share,) = published_shares(world)
        assert (share["bot"], share["symbol"], share["quantity"]) == ("demo-bot", "BTCUSDT", "0.002")


def published_shares(world: LiveWorld) -> list[dict[str, Any]]:
    """The shares of the newest account document in the audit."""
    documents = [each for each in world.export() if each.get("name") == f"account:{ACCOUNT}"]
    shares: list[dict[str, Any]] = max(documents, key=lambda each: int(each["version"]))["content"]["shares"]
    return shares


def test_reduce_lets_nothing_in_until_a_person_re_arms(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy(outside="reduce")) as world:
        ready(world)
        fills(world.direct)
        until(lambda: world.account()["state"] == "REDUCING", "the account is reduce-only", CAUGHT_S)
        refused = world.bot.order("BTCUSDT", "BUY", "0.002")
        assert refused.status_code == 400 and "REDUCE_ONLY_STATE" in refused.text
        events = until(lambda: [each for each in world.export() if each.get("what") == "outside.activity"], "audit")
        assert events[0]["detail"]["action"] == "reduce"
        assert "OUTSIDE_ACTIVITY on demo" in world.guard_log()
        come_back(world, f"account:{ACCOUNT}", "it was me, in the app")
        world.bot.order("BTCUSDT", "BUY", "0.002").raise_for_status()


def test_kill_closes_what_the_thief_opened(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy(outside="kill")) as world:
        ready(world)
        fills(world.direct)
        rests(world.direct)
        until(lambda: world.account()["state"] == "HALTED", "the account is stopped", CAUGHT_S)
        until(lambda: not world.direct.positions() and not world.direct.open_orders(), "the account is flat")
        job = until(lambda: world.ask("GET", "/control/kill")["kill"], "the kill is shown")
        assert job["by"] == "warden" and job["reason"].startswith("OUTSIDE_ACTIVITY: ")
        until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "the kill has ended")
        assert world.account()["state"] == "HALTED", "only a person re-arms"


def test_an_order_placed_while_no_warden_was_there_is_found_by_the_next(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy()) as world:
        ready(world)
        old = world.process("warden")
        os.kill(old, signal.SIGKILL)
        rests(world.direct)
        until(world.answers, "the next warden answers")
        caught(world, "order", set())
