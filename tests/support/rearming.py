"""Two people who let a scope trade again, through the running warden: what a test needs that has stopped one."""

from __future__ import annotations

import time
from typing import Any

from proxy.demo.world import DemoFailed, World

QUICK = "\n[kill.rearm]\nreduce_only_s = 1\nramp_s = 1\nramp_start = 1\n"
"""For a policy of a test that is not about waiting."""

ASKS, APPROVES = "Grace Hopper", "Ada Lovelace"
REASON = "checked with the venue"


def seen(world: World, scope: str) -> dict[str, Any]:
    """The scope as the control door shows it."""
    found: dict[str, Any] = world.ask("GET", f"/control/rearm?scope={scope}")["scopes"][0]
    return found


def lacking(view: dict[str, Any]) -> list[str]:
    """What does not hold and nobody could acknowledge."""
    return [f"{check['name']}: {check['said']}" for check in view["checks"] if not check["holds"] and not check["left"]]


def acknowledgement(view: dict[str, Any]) -> str:
    """All that is left, said in full."""
    return "; ".join(line for check in view["checks"] for line in check["left"])[:500]


def request_of(world: World, scope: str, reason: str = REASON, timeout_s: float = 60) -> dict[str, str]:
    """What the first person asks for, as soon as everything that must hold does."""
    deadline = time.monotonic() + timeout_s
    while True:
        view = seen(world, scope)
        lacks = lacking(view)
        if not lacks:
            break
        assert time.monotonic() < deadline, lacks
        time.sleep(0.1)
    asked = {"scope": scope, "name": ASKS, "reason": reason, "typed": scope, "policy": view["policy"]}
    said = acknowledgement(view)
    return asked | ({"acknowledged": said} if said else {})


def ask_for(world: World, scope: str, reason: str = REASON) -> dict[str, Any]:
    """The first person asks."""
    view: dict[str, Any] = world.ask("POST", "/control/rearm", request_of(world, scope, reason))
    return view


def approve(world: World, scope: str) -> dict[str, Any]:
    """The second person approves."""
    body = {"scope": scope, "name": APPROVES, "reason": REASON, "typed": scope}
    view: dict[str, Any] = world.ask("POST", "/control/rearm/approve", body)
    return view


def come_back(world: World, scope: str, reason: str = REASON, timeout_s: float = 30) -> None:
    """Ask, approve, and wait until all limits are whole again."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            ask_for(world, scope, reason)
            approve(world, scope)
            break
        except DemoFailed:
            # What was fresh when it was looked at may be stale when it counts.
            assert time.monotonic() < deadline
            if seen(world, scope)["stage"] == "REQUESTED":
                world.ask("POST", "/control/rearm/withdraw", {"scope": scope, "name": ASKS, "reason": REASON})
    while seen(world, scope)["stage"] != "ACTIVE":
        assert time.monotonic() < deadline, seen(world, scope)
        time.sleep(0.05)
