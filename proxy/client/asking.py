"""Asks the running warden by its control door, for what needs it."""

from __future__ import annotations

from typing import Any

import httpx

from proxy.addresses import in_brackets
from proxy.client.token import known_token, token_path
from proxy.settings import Settings


class Refused(Exception):
    """The warden understood and refused; the text says why."""


class NoAnswer(Exception):
    """The warden does not answer."""


def ask(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    """What the running warden answers. Raises ``Refused`` or ``NoAnswer``."""
    try:
        with control(settings) as client:
            reply = client.request(method, path, json=body) if body is not None else client.request(method, path)
    except httpx.HTTPError as trouble:
        raise NoAnswer(f"the warden does not answer ({type(trouble).__name__})") from trouble
    if reply.status_code not in (httpx.codes.OK, httpx.codes.ACCEPTED):
        raise Refused(_reason(reply))
    return reply.json()


def control(settings: Settings) -> httpx.Client:
    """A client of the control door with the machine's token. Raises ``NoAnswer`` where no guard has left one."""
    try:
        token = known_token(settings)
    except (OSError, UnicodeDecodeError) as trouble:
        raise NoAnswer(f"{token_path(settings)} cannot be read ({type(trouble).__name__})") from trouble
    if token is None:
        raise NoAnswer(f"no guard has run here: {token_path(settings)} is not there")
    host = in_brackets(settings.control_host)
    return httpx.Client(
        base_url=f"http://{host}:{settings.control_port}",
        headers={"Authorization": f"Bearer {token.get_secret_value()}"},
        timeout=10,
        trust_env=False,
        follow_redirects=False,
    )


def _reason(reply: httpx.Response) -> Any:
    """What a problem (RFC 9457) says of this occasion."""
    try:
        return reply.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return f"refused with status {reply.status_code}"
