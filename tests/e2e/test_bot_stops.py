"""A bot that repeats itself is halted on every gate; it gets out, its neighbour goes on, and a person lets it go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

LOOP, CALM = "loop", "calm"
EXECUTIONS = 3
REASON = "the loop is repaired"
SCOPE = f"bot:{LOOP}"
HALTED_S = 5.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.execution_throttle", executions=EXECUTIONS, window_s=3600))
    directory = tmp_path_factory.mktemp("stops") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=(LOOP, CALM), gate_workers=2) as world:
        until(world.answers, "the warden answers", 60)
        yield world


@pytest.fixture
def world(running: LiveWorld) -> LiveWorld:
    """The bot has a position and an order of its own, and was halted for one entry too many."""
    until(running.answers, "the warden answers", 60)
    if shown(running)["state"] != "ACTIVE":
        assert rearm(running) == 0
    loop = running.bot_named(LOOP)
    until(lambda: loop.order("BTCUSDT", "BUY", "0.002").status_code == 200, "entries pass", 60, every_s=0.2)
    answers = [loop.order("BTCUSDT", "BUY", "0.002", 85_000) for _ in range(EXECUTIONS)]
    assert [answer.status_code for answer in answers] == [200] * (EXECUTIONS - 1) + [400]
    assert "EXECUTIONS_ABOVE_LIMIT" in answers[-1].text
    until(lambda: shown(running)["state"] == "HALTED", "the bot is halted", HALTED_S)
    return running


def shown(world: LiveWorld, bot: str = LOOP) -> dict[str, Any]:
    """The bot as the control door shows it."""
    bots: list[dict[str, Any]] = world.ask("GET", "/api/desk")["bots"]
    return next(each for each in bots if each["name"] == bot)


def rearm(world: LiveWorld, **changed: str) -> int:
    given = {"scope": SCOPE, "name": "Grace Hopper", "reason": REASON, "typed": SCOPE} | changed
    done = world.command("rearm", *(word for name, value in given.items() for word in (f"--{name}", value)))
    return done.returncode


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 400 and "TRADING_HALTED" in answer.text


def events(world: LiveWorld, what: str) -> list[dict[str, Any]]:
    return [each for each in world.export() if each.get("what") == what and each["detail"]["scope"] == SCOPE]


def test_it_is_halted_gets_out_and_goes_on_when_a_person_says_so(world: LiveWorld) -> None:
    loop, calm = world.bot_named(LOOP), world.bot_named(CALM)
    for _ in range(4):  # Whichever gate it meets, and whatever it buys.
        assert refused(loop.order("ETHUSDT", "BUY", "0.01"))
    assert calm.order("BTCUSDT", "BUY", "0.002").status_code == 200
    assert loop.cancel_all("BTCUSDT").status_code == 200
    assert loop.order("BTCUSDT", "SELL", "0.002", reduceOnly="true").status_code == 200
    assert (shown(world, CALM)["state"], world.account()["state"]) == ("ACTIVE", "ACTIVE")
    assert shown(world)["stopped_for"].startswith("EXECUTIONS_ABOVE_LIMIT: 3 entries to BUY BTCUSDT within 3600 s")

    assert rearm(world, typed=LOOP) == rearm(world, reason="short") == rearm(world, name=" ") == 1
    assert refused(loop.order("ETHUSDT", "BUY", "0.01"))
    assert rearm(world) == 0
    assert shown(world)["state"] == "ACTIVE"
    for _ in range(EXECUTIONS):  # What it sent before is counted no more.
        assert loop.order("ETHUSDT", "BUY", "0.01").status_code == 200
    assert rearm(world) == 1, "re-armed a bot that no rule has stopped"

    stopped = until(lambda: events(world, "bot.stopped"), "the stop is in the audit")[-1]
    assert (stopped["by"], stopped["detail"]["state"]) == ("rule execution_throttle", "HALTED")
    released = until(lambda: events(world, "rearm"), "the re-arming is in the audit")[-1]
    assert (released["by"], released["detail"]["reason"]) == ("Grace Hopper", REASON)
    assert f"{SCOPE} is HALTED until a person lets it go on" in world.guard_log()


def test_its_own_key_cannot_let_it_go_on(world: LiveWorld) -> None:
    key = world.guard_keys[LOOP]
    body = {"scope": SCOPE, "name": "Grace Hopper", "reason": REASON, "typed": SCOPE}
    for credential in (key.key, key.secret.reveal()):
        headers = {"Authorization": f"Bearer {credential}", "X-MBX-APIKEY": key.key}
        answer = httpx.post(
            world.places.console.rstrip("/") + "/control/rearm", json=body, headers=headers, trust_env=False
        )
        assert answer.status_code == 401
    assert world.bot_named(LOOP).send("POST", "/control/rearm", **body).status_code in (400, 403, 404)
    assert shown(world)["state"] == "HALTED"


def test_a_dead_warden_does_not_let_it_go_on(world: LiveWorld) -> None:
    loop = world.bot_named(LOOP)
    old = world.process("warden")
    os.kill(old, signal.SIGKILL)
    assert refused(loop.order("ETHUSDT", "BUY", "0.01"))
    until(lambda: world.processes("warden") not in ([], [old]) and world.answers(), "the next warden answers", 60)
    assert refused(loop.order("ETHUSDT", "BUY", "0.01"))
    assert (shown(world)["state"], (world.data_dir / "kill" / "bots" / LOOP).exists()) == ("HALTED", True)
