"""One bot of two is killed, through every door; a wider scope joins; each latch is lifted by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.rearming import NotYet, ask_for, come_back, seen
from tests.support.worlds import LiveWorld, until

ADA, BOB, BTC, ETH = "ada", "bob", "BTCUSDT", "ETHUSDT"
REASON = "one bot of two runs wild"
KILL_TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(
        a_rule("account.demo.own_share"),
        a_rule("bot.ada.margin_budget", limit=40_000, leverage=5),
        a_rule("bot.bob.margin_budget", limit=40_000, leverage=5),
        outside="reduce",
    )
    directory = tmp_path_factory.mktemp("scopes") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=(ADA, BOB), gate_workers=2) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> LiveWorld:
    """Ada long 0.1 of a position of 0.3, and short ETH by herself; both have orders, Ada a stop."""
    until(running.answers, "the warden answers", 60)
    for scope in ("desk", "venue:binanceusdm", f"account:{ACCOUNT}", f"bot:{ADA}"):
        if seen(running, scope)["stopped"]:
            come_back(running, scope)
    ada, bob = running.bot_named(ADA), running.bot_named(BOB)
    passes(lambda: bob.order(BTC, "BUY", "0.2"))
    passes(lambda: ada.order(BTC, "BUY", "0.1"))
    passes(lambda: ada.order(ETH, "SELL", "2"))
    for answer in (ada.order(BTC, "BUY", "0.01", 85_000), bob.order(BTC, "BUY", "0.02", 84_000)):
        assert answer.status_code == 200, answer.text
    assert ada.stop(BTC, "SELL", "0.1", 80_000).status_code == 200
    until(lambda: held(running, ADA) == {BTC: 0.1, ETH: -2.0} and held(running, BOB) == {BTC: 0.2}, "each has its own")
    return running


def passes(order: Any) -> None:
    until(lambda: order().status_code == 200, "an entry passes", 60, every_s=0.2)


def held(world: LiveWorld, bot: str) -> dict[str, float]:
    return world.bot_named(bot).positions()


def press(world: LiveWorld, scope: str) -> dict[str, Any]:
    pressed: dict[str, Any] = world.ask("POST", "/control/kill", {"scope": scope, "reason": REASON, "by": "Ada Byron"})
    return pressed


def heard_by_all(world: LiveWorld, scope: str) -> dict[str, Any] | None:
    """What the gates said to a press, once none was silent: a busy machine may keep one from the quarter of a second
    that it has. Whoever presses again asks again, and changes nothing else."""
    gates: dict[str, Any] = press(world, scope)["gates"]
    return gates if not gates["silent"] else None


def done(world: LiveWorld) -> dict[str, Any]:
    def ended() -> Any:
        progress = world.ask("GET", "/control/kill")["kill"]
        return progress if progress is not None and not progress["running"] else None

    return until(ended, "the kill ends", KILL_TIMEOUT_S, every_s=0.2)


def stopped(answer: httpx.Response) -> bool:
    return answer.status_code == 400 and answer.headers["x-guard-code"] in ("TRADING_HALTED", "KILL_RUNNING")


def check_only_bob_has_anything(world: LiveWorld) -> None:
    assert world.direct.positions() == {BTC: pytest.approx(0.2)}
    until(lambda: not held(world, ADA) and held(world, BOB) == {BTC: 0.2}, "the shares say so too")
    owners = {order["clientOrderId"][:4] for order in world.direct.open_orders()}
    assert owners == {world.upstream_id("x", BOB)[:4]}
    assert world.direct.send("GET", "/fapi/v1/openAlgoOrders").json() == []
    assert world.account()["state"] == "ACTIVE", "the guard took its own closes for somebody else's"


def make_empty(world: LiveWorld) -> None:
    for symbol, quantity in held(world, BOB).items():
        closed = world.bot_named(BOB).order(symbol, "SELL", abs(quantity), reduceOnly="true")
        closed.raise_for_status()
    world.bot_named(BOB).cancel_all(BTC).raise_for_status()
    until(lambda: not world.account()["positions"], "the guard sees an empty book")


def test_one_bot_is_killed_and_its_neighbour_trades_on(world: LiveWorld) -> None:
    gates = until(lambda: heard_by_all(world, f"bot:{ADA}"), "every gate says that it obeys")
    assert gates["acknowledged"] == gates["gates"] == 2
    assert stopped(world.bot_named(ADA).order(BTC, "BUY", "0.01"))
    progress = done(world)
    assert (progress["flat"], progress["scope"]) == (True, f"bot:{ADA}")
    check_only_bob_has_anything(world)
    assert stopped(world.bot_named(ADA).order(BTC, "BUY", "0.01"))
    assert world.bot_named(BOB).order(BTC, "BUY", "0.01", 80_000).status_code == 200
    shown = next(each for each in world.ask("GET", "/api/desk")["bots"] if each["name"] == ADA)
    assert (shown["state"], shown["stopped_for"]) == ("HALTED", "killed")

    with pytest.raises(NotYet, match="nothing has stopped it"):
        ask_for(world, "desk")
    assert stopped(world.bot_named(ADA).order(BTC, "BUY", "0.01")), "releasing the desk released a bot"
    come_back(world, f"bot:{ADA}")
    passes(lambda: world.bot_named(ADA).order(BTC, "BUY", "0.01", 80_000))
    world.bot_named(ADA).cancel_all(BTC).raise_for_status()
    make_empty(world)


def test_the_command_line_kills_one_bot_with_the_warden_there_or_not(world: LiveWorld) -> None:
    killed = world.command("kill", "--bot", ADA, "--by", "Ada Byron", "--reason", REASON, "--json")
    assert killed.returncode == 0, killed.stderr
    assert json.loads(killed.stdout)["flat"] is True
    check_only_bob_has_anything(world)
    # Nothing is stopped for a name that nobody bears.
    assert world.command("kill", "--bot", "nobody", "--by", "Ada", "--reason", REASON).returncode == 2
    make_empty(world)


def test_a_press_of_the_desk_during_the_kill_of_a_bot_closes_the_rest_too(world: LiveWorld) -> None:
    press(world, f"bot:{ADA}")
    press(world, "venue:binanceusdm")
    press(world, "desk")
    assert stopped(world.bot_named(BOB).order(BTC, "BUY", "0.01"))
    progress = done(world)
    assert progress["flat"] is True
    assert world.direct.positions() == {} and world.direct.open_orders() == []
    jobs = world.data_dir / "kill" / "jobs"
    newest = max((jobs / ACCOUNT).glob("*.jsonl"))
    assert len(list((jobs / ACCOUNT).glob("*.jsonl"))) == 1, "one account, one job"
    assert json.loads(newest.read_text().splitlines()[0])["scope"] == "venue:binanceusdm"
    reports = {each["account"]: each["scope"] for each in progress["accounts"]}
    assert reports[ACCOUNT] == "desk", "the widest scope did not win"

    for scope in ("desk", f"bot:{ADA}"):
        come_back(world, scope)
        assert stopped(world.bot_named(ADA).order(BTC, "BUY", "0.01")), f"releasing {scope} released the venue"
    come_back(world, "venue:binanceusdm")
    passes(lambda: world.bot_named(ADA).order(BTC, "BUY", "0.01", 80_000))
    world.bot_named(ADA).cancel_all(BTC).raise_for_status()
