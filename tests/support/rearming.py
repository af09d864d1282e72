"""Two people who let a scope trade again, through the running warden: what a test needs that has stopped one."""

from __future__ import annotations

import time
from typing import Any

import httpx

from proxy.practice.world import World

QUICK = "\n[kill.rearm]\nreduce_only_s = 1\nramp_s = 1\nramp_start = 1\n"
"""For a policy of a test that is not about waiting."""

ASKS, APPROVES = "Grace Hopper", "Ada Lovelace"
REASON = "checked with the venue"


class NotYet(Exception):
    """The warden refused; the text says why."""


def seen(world: World, scope: str) -> dict[str, Any]:
    """The scope as the control door shows it."""
    found: dict[str, Any] = world.ask("GET", f"/control/rearm?scope={scope}")["scopes"][0]
    return found


def _post(world: World, path: str, body: dict[str, str]) -> dict[str, Any]:
    answer = httpx.post(
        world.places.console.rstrip("/") + path,
        json=body,
        headers={"Authorization": f"Bearer {world.control_token.reveal()}"},
        timeout=20,
        trust_env=False,
    )
    if answer.status_code >= 400:
        raise NotYet(answer.json()["detail"])
    found: dict[str, Any] = answer.json()
    return found


def lacking(view: dict[str, Any]) -> list[str]:
    """What does not hold and nobody could acknowledge."""
    return [f"{check['name']}: {check['said']}" for check in view["checks"] if not check["holds"] and not check["left"]]


def acknowledgement(view: dict[str, Any]) -> str:
    """All that is left by its name, as the console asks for it: the first word of each line."""
    names = dict.fromkeys(line.partition(" ")[0] for check in view["checks"] for line in check["left"])
    return f"I know of what is left: {', '.join(names)}" if names else ""


def request_of(world: World, scope: str, reason: str = REASON, timeout_s: float = 60) -> dict[str, str]:
    """What the first person asks for, as soon as everything that must hold does."""
    deadline = time.monotonic() + timeout_s
    while lacks := lacking(view := seen(world, scope)):
        assert time.monotonic() < deadline, lacks
        time.sleep(0.1)
    asked = {"scope": scope, "name": ASKS, "reason": reason, "typed": scope, "policy": view["policy"]}
    said = acknowledgement(view)
    return asked | ({"acknowledged": said} if said else {})


def ask_for(world: World, scope: str, reason: str = REASON) -> dict[str, Any]:
    """The first person asks."""
    return _post(world, "/control/rearm", request_of(world, scope, reason))


def approve(world: World, scope: str) -> dict[str, Any]:
    """The second person approves."""
    return _post(world, "/control/rearm/approve", {"scope": scope, "name": APPROVES, "reason": REASON, "typed": scope})


def come_back(world: World, scope: str, reason: str = REASON, timeout_s: float = 60) -> None:
    """Ask, approve, and wait until all limits are whole again. What holds when it is looked at may not when it counts:
    then once more."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if seen(world, scope)["stage"] != "REQUESTED":
                ask_for(world, scope, reason)
            approve(world, scope)
            break
        except NotYet as refusal:
            assert time.monotonic() < deadline, str(refusal)
            time.sleep(0.2)
    while (view := seen(world, scope))["stage"] != "ACTIVE":
        assert time.monotonic() < deadline, view
        time.sleep(0.05)
