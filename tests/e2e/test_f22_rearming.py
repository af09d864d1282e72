"""F22: nobody re-arms too early. Through the real door: what must hold, a second person or a delay, then probation."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.rearming import APPROVES, ASKS, REASON, approve, ask_for, come_back, request_of, seen
from tests.support.worlds import LiveWorld, gone, until

REDUCE_ONLY_S, RAMP_S = 3, 6
POLICY = (
    a_policy(a_rule("desk.max_order_value", limit=4_000))
    + f'\n[kill.rearm]\nneeds = "two-people"\nreduce_only_s = {REDUCE_ONLY_S}\nramp_s = {RAMP_S}\nramp_start = 0.25\n'
)
SCOPE = f"account:{ACCOUNT}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path_factory.mktemp("rearm") / "data", POLICY, balance=100_000) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> LiveWorld:
    """The account was killed, flat, and nobody has asked for it."""
    until(running.answers, "the warden answers", 60)
    if seen(running, SCOPE)["stage"] in ("REQUESTED",):
        withdraw(running)
    running.ask("POST", "/control/kill", {"scope": SCOPE, "reason": REASON, "by": "Ada"})
    until(lambda: not running.ask("GET", "/control/kill")["kill"]["running"], "the kill ends", 60, every_s=0.2)
    until(lambda: seen(running, SCOPE)["stage"] == "KILLED", "it is killed")
    return running


def withdraw(world: LiveWorld) -> None:
    world.ask("POST", "/control/rearm/withdraw", {"scope": SCOPE, "name": ASKS, "reason": REASON})


def post(world: LiveWorld, path: str, body: dict[str, str], token: str | None = None) -> httpx.Response:
    token = world.control_token.reveal() if token is None else token
    return httpx.post(
        world.places.console.rstrip("/") + path,
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=20,
    )


def denied(world: LiveWorld) -> None:
    assert world.bot.order("BTCUSDT", "BUY", "0.002").status_code == 400
    assert (world.data_dir / "kill" / f"account.{ACCOUNT}").exists()


def events(world: LiveWorld, what: str) -> list[dict[str, Any]]:
    return [each for each in world.export() if each.get("what") == what]


def test_f22_two_people_then_reduce_only_then_limits_that_grow(world: LiveWorld) -> None:
    asked = ask_for(world, SCOPE)
    assert (asked["stage"], asked["by"], asked["needs"]) == ("REQUESTED", ASKS, "two-people")
    assert {check["name"] for check in asked["checks"]} >= {"flat", "nothing unknown", "audit", "clock", "feeds"}
    assert all(check["holds"] for check in asked["checks"])
    denied(world)
    for same in (ASKS, "grace hopper", " Grace-Hopper "):
        body = {"scope": SCOPE, "name": same, "reason": REASON, "typed": SCOPE}
        answer = post(world, "/control/rearm/approve", body)
        assert (answer.status_code, "somebody else must approve" in answer.text) == (409, True), same
    denied(world)

    opened = approve(world, SCOPE)
    began = time.monotonic()
    assert (opened["stage"], opened["share"], opened["approved_by"]) == ("REDUCING", "0", APPROVES)
    assert world.account()["state"] == "REDUCING"
    refused = world.bot.order("BTCUSDT", "BUY", "0.002")
    assert (refused.status_code, "REDUCE_ONLY_STATE" in refused.text) == (400, True)

    until(lambda: seen(world, SCOPE)["stage"] == "RAMPING", "the ramp begins", 20, every_s=0.05)
    assert time.monotonic() - began >= REDUCE_ONLY_S - 0.5
    # A limit of 4,000 begins as 1,000: 180 passes and 3,600 does not.
    small = world.bot.order("BTCUSDT", "BUY", "0.002")
    assert small.status_code == 200, small.text
    large = world.bot.order("BTCUSDT", "BUY", "0.04")
    assert (large.status_code, "ORDER_VALUE_ABOVE_LIMIT" in large.text) == (400, True)
    until(lambda: seen(world, SCOPE)["stage"] == "ACTIVE", "limits are whole", 30, every_s=0.05)
    assert time.monotonic() - began >= REDUCE_ONLY_S + RAMP_S - 0.5
    assert world.bot.order("BTCUSDT", "BUY", "0.04").status_code == 200
    assert [event["detail"]["asked_by"] for event in events(world, "rearm.opened")] == [ASKS]


@pytest.mark.full
def test_f22_what_is_missing_is_said_all_at_once_and_nothing_opens(world: LiveWorld) -> None:
    right = request_of(world, SCOPE)
    wrong: list[tuple[dict[str, str], str]] = [
        ({"typed": "desk"}, "the name typed is not"),
        ({"reason": "short"}, "shorter than 8"),
        ({"policy": "0" * 16}, "the policy confirmed is not"),
        ({"policy": ""}, "the policy confirmed is not"),
    ]
    for change, why in wrong:
        answer = post(world, "/control/rearm", right | change)
        assert (answer.status_code, why in answer.text) == (409, True), (change, answer.text)
    both = post(world, "/control/rearm", right | {"typed": "desk", "policy": "0" * 16}).text
    assert "the name typed" in both and "the policy confirmed" in both
    nobody = {"scope": SCOPE, "name": APPROVES, "reason": REASON, "typed": SCOPE}
    assert post(world, "/control/rearm/approve", nobody).status_code == 409
    denied(world)


@pytest.mark.full
def test_f22_a_press_cancels_what_is_asked_for_and_ends_a_probation(world: LiveWorld) -> None:
    ask_for(world, SCOPE)
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": REASON, "by": "Ada"})
    until(lambda: seen(world, SCOPE)["stage"] == "KILLED", "the request is gone")
    assert "a kill was pressed since" in [event["detail"]["why"] for event in events(world, "rearm.cancelled")]
    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "the kill ends", 60, every_s=0.2)
    come_back(world, "desk")
    ask_for(world, SCOPE)
    approve(world, SCOPE)
    world.ask("POST", "/control/kill", {"scope": SCOPE, "reason": REASON, "by": "Ada"})
    until(lambda: seen(world, SCOPE)["stage"] == "KILLED", "it is killed again")
    denied(world)


@pytest.mark.full
def test_f22_a_restart_neither_loses_a_request_nor_a_probation(world: LiveWorld) -> None:
    asked = ask_for(world, SCOPE)
    kill_the_guard(world)
    again = seen(world, SCOPE)
    assert (again["stage"], again["asked_at"]) == ("REQUESTED", asked["asked_at"])
    denied(world)
    until(lambda: all(check["holds"] for check in seen(world, SCOPE)["checks"]), "all holds again", 60, every_s=0.2)
    opened = time.monotonic()
    approve(world, SCOPE)
    kill_the_guard(world)
    # On a busy machine the guard may take as long to come back as the whole probation.
    stage = seen(world, SCOPE)["stage"]
    assert stage in ("REDUCING", "RAMPING") or time.monotonic() - opened >= REDUCE_ONLY_S + RAMP_S, stage
    until(lambda: seen(world, SCOPE)["stage"] == "ACTIVE", "limits are whole", 60)


@pytest.mark.full
@pytest.mark.parametrize("damage", ["missing", "a bit", "cut short"])
def test_f22_what_is_known_of_a_probation_is_lost_and_the_scope_is_killed(world: LiveWorld, damage: str) -> None:
    ask_for(world, SCOPE)
    approve(world, SCOPE)
    path = world.data_dir / "kill" / "rearming" / f"account.{ACCOUNT}"
    content = bytearray(path.read_bytes())
    match damage:
        case "missing":
            path.unlink()
        case "a bit":
            content[-3] ^= 1
            path.write_bytes(content)
        case _:
            path.write_bytes(content[:70])
    until(lambda: seen(world, SCOPE)["stage"] == "KILLED", "it is killed")
    denied(world)
    assert events(world, "rearm.damaged")


def test_f22_nothing_a_bot_holds_can_do_any_of_it(world: LiveWorld) -> None:
    right = request_of(world, SCOPE)
    approval = {"scope": SCOPE, "name": APPROVES, "reason": REASON, "typed": SCOPE}
    key = world.guard_key
    for path, body in (("/control/rearm", right), ("/control/rearm/approve", approval)):
        for credential in (key.key, key.secret.reveal()):
            assert post(world, path, body, token=credential).status_code == 401
        assert world.bot.send("POST", path, **body).status_code in (400, 403, 404)
    ask_for(world, SCOPE)
    assert post(world, "/control/rearm/approve", approval, token=key.key).status_code == 401
    assert seen(world, SCOPE)["stage"] == "REQUESTED"
    denied(world)


def kill_the_guard(world: LiveWorld) -> None:
    dead = [*world.processes("warden"), *world.processes("gate")]
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in dead) and world.answers(), "the guard was started again", 60)
