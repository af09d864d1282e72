"""A refused order, leave by two people, and the same order passes once: gates, warden and exchange as they run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

BOT, OTHER = "hedger", "calm"
LIMIT = 500
SMALL, LARGE = "0.002", "0.02"
ANN, BEN = "Ann Lee", "Ben Ode"
REASON = "close the hedge of desk B"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.max_order_value", limit=LIMIT))
    directory = tmp_path_factory.mktemp("overrides") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=(BOT, OTHER), gate_workers=2) as running:
        until(running.answers, "the warden answers", 60)
        until(lambda: running.bot_named(BOT).order("BTCUSDT", "BUY", SMALL).is_success, "entries pass", 60, every_s=0.2)
        yield running


def asked_for(world: LiveWorld, **changed: str) -> str:
    """The id of an override that Ann asks for."""
    given = {
        "bot": BOT,
        "symbol": "BTCUSDT",
        "side": "BUY",
        "rule": "max_order_value",
        "quantity-max": LARGE,
        "expires": "10m",
        "ticket": "RISK-17",
        "name": ANN,
        "reason": REASON,
    } | changed
    words = [word for name, text in given.items() for word in (f"--{name}", text)]
    done = world.command("override", "request", *words, "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def act(world: LiveWorld, action: str, override_id: str, name: str) -> tuple[int, str]:
    done = world.command("override", action, override_id, "--name", name)
    return done.returncode, done.stdout + done.stderr


def listed(world: LiveWorld) -> dict[str, str]:
    done = world.command("override", "list", "--json")
    assert done.returncode == 0, done.stderr
    return {each["id"]: each["state"] for each in json.loads(done.stdout)}


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 400 and "ORDER_VALUE_ABOVE_LIMIT" in answer.text


def events(world: LiveWorld, override_id: str) -> dict[str, dict[str, Any]]:
    """What the audit holds of one override, by name."""
    told = [each for each in world.export() if str(each.get("what")).startswith("override.")]
    return {each["what"].removeprefix("override."): each for each in told if each["detail"]["override"] == override_id}


def at_the_door(world: LiveWorld, action: str, override_id: str, name: str) -> None:
    """What the command does, without starting a process for it."""
    world.ask("POST", f"/control/overrides/{action}", {"id": override_id, "name": name})


def test_the_same_order_passes_once_after_two_people_and_is_refused_again(world: LiveWorld) -> None:
    bot, other = world.bot_named(BOT), world.bot_named(OTHER)
    assert refused(bot.order("BTCUSDT", "BUY", LARGE))
    override_id = asked_for(world)
    assert refused(bot.order("BTCUSDT", "BUY", LARGE)), "a request let an order pass"

    old = world.process("warden")
    os.kill(old, signal.SIGKILL)
    until(lambda: world.processes("warden") not in ([], [old]) and world.answers(), "the next warden answers", 60)
    assert listed(world) == {override_id: "REQUESTED"}

    code, text = act(world, "approve", override_id, "ann  LEE")
    assert (code, "another person must" in text) == (1, True)
    code, text = act(world, "approve", override_id, BEN)
    assert (code, f"approved by {BEN}" in text) == (0, True)
    assert listed(world) == {override_id: "GRANTED"}
    assert "GRANTED" in world.command("override", "list").stdout

    assert refused(other.order("BTCUSDT", "BUY", LARGE))
    assert refused(bot.order("BTCUSDT", "SELL", LARGE, 2_000_000))
    assert refused(bot.order("BTCUSDT", "BUY", "0.021"))
    passed = bot.order("BTCUSDT", "BUY", LARGE)
    assert passed.status_code == 200, passed.text
    assert passed.headers["X-Guard-Override"] == override_id
    for _ in range(4):  # Whichever gate it meets.
        again = bot.order("BTCUSDT", "BUY", LARGE)
        assert refused(again) and "X-Guard-Override" not in again.headers

    until(lambda: f"override {override_id} was used by {BOT}" in world.guard_log(), "the use is told")
    story = until(lambda: told if "used" in (told := events(world, override_id)) else None, "the archive has it")
    assert list(story) == ["requested", "approved", "used"]
    assert [each["by"] for each in story.values()] == [ANN, BEN, BOT]
    assert {each["detail"]["ticket"] for each in story.values()} == {"RISK-17"}
    assert {each["detail"]["reason"] for each in story.values()} == {REASON}
    decision_id = passed.headers["X-Guard-Decision"]
    assert story["used"]["detail"]["decision"] == decision_id
    shown = world.command("audit", "show", decision_id).stdout
    assert f"override {override_id}, ticket RISK-17, asked for by {ANN}, approved by {BEN}" in shown
    assert "max_order_value ORDER_VALUE_ABOVE_LIMIT" in shown
    assert listed(world) == {}


def test_what_is_taken_back_lets_nothing_pass(world: LiveWorld) -> None:
    override_id = asked_for(world)
    at_the_door(world, "approve", override_id, BEN)
    assert act(world, "withdraw", override_id, "Cleo")[0] == 0
    assert refused(world.bot_named(BOT).order("BTCUSDT", "BUY", LARGE))
    code, text = act(world, "approve", override_id, BEN)
    assert (code, "no override of that id" in text) == (1, True)


def test_what_does_not_last_is_over(world: LiveWorld) -> None:
    override_id = asked_for(world, expires="1s")
    at_the_door(world, "approve", override_id, BEN)
    until(lambda: f"override {override_id} has expired unused" in world.guard_log(), "it has expired")
    assert refused(world.bot_named(BOT).order("BTCUSDT", "BUY", LARGE))


def test_a_bot_s_own_key_asks_for_nothing(world: LiveWorld) -> None:
    key = world.guard_keys[BOT]
    url = world.places.console.rstrip("/") + "/control/overrides"
    for credential in (key.key, key.secret.reveal()):
        headers = {"Authorization": f"Bearer {credential}", "X-MBX-APIKEY": key.key}
        for path in ("", "/approve", "/withdraw"):
            answer = httpx.post(url + path, json={"id": "0123456789", "name": BEN}, headers=headers, trust_env=False)
            assert answer.status_code == 401
    assert world.bot_named(BOT).send("POST", "/control/overrides").status_code in (400, 403, 404)


def test_what_cannot_be_overridden_is_refused_with_every_reason(world: LiveWorld) -> None:
    given = ["--bot", "nobody", "--symbol", "BTCUSDT", "--side", "BUY", "--rule", "trading_state"]
    more = ["--quantity-max", "1", "--expires", "1h", "--ticket", "T", "--name", ANN, "--reason", REASON]
    done = world.command("override", "request", *given, *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no bot of that name; trading_state cannot be overridden" in done.stderr
