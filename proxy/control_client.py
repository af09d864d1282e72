"""The command line as a client of the control door, for what needs the running warden."""

from __future__ import annotations

import sys
from typing import Any

import httpx

from proxy.control_token import control_token
from proxy.settings import Settings


def rearm(settings: Settings, *, scope: str, name: str, reason: str, typed: str) -> int:
    """Ask the running warden to re-arm a scope; 0 when it trades again, 1 when refused, 3 when nobody answered."""
    body = {"scope": scope, "name": name, "reason": reason, "typed": typed}
    try:
        with control(settings) as client:
            reply = client.post("/control/rearm", json=body)
    except httpx.HTTPError as trouble:
        print(f"perpguard rearm: the warden does not answer ({type(trouble).__name__})", file=sys.stderr)  # noqa: T201
        return 3
    if reply.status_code == httpx.codes.OK:
        print(f"{scope} trades again; kill generation {reply.json()['generation']}")  # noqa: T201
        return 0
    print(f"perpguard rearm: {reason_of(reply)}", file=sys.stderr)  # noqa: T201
    return 1


def control(settings: Settings) -> httpx.Client:
    """A client of the control door with the machine's token."""
    host = f"[{settings.control_host}]" if ":" in settings.control_host else settings.control_host
    return httpx.Client(
        base_url=f"http://{host}:{settings.control_port}",
        headers={"Authorization": f"Bearer {control_token(settings).get_secret_value()}"},
        timeout=10,
        trust_env=False,
        follow_redirects=False,
    )


def reason_of(reply: httpx.Response) -> Any:
    """Why the control door refused, in its own words."""
    try:
        return reply.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"refused with status {reply.status_code}"
