"""Policies the end-to-end tests run under."""

from __future__ import annotations

import contextlib
from typing import Any

import redis

from proxy.store.keys import Keys
from rules.policy import Policy

_in_force: dict[str, Policy] = {}


def put_in_force(url: str, desk: str, policy: Policy) -> None:
    """What the warden does, for a policy that was never a text: its version stands for it."""
    _in_force[policy.version] = policy
    publish_text(url, desk, policy.version)


def publish_text(url: str, desk: str, text: str) -> None:
    """Put this text in force, under itself as its version; a store that is away is told nothing."""
    with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        client.hset(Keys(desk).policy, mapping={"version": text, "body": text})


def in_force(text: str) -> Policy | None:
    """For a gate store in a test: the policy that ``put_in_force`` put under this text."""
    return _in_force.get(text)


def a_policy(*tables: str, outside: str = "alert") -> str:
    """A policy of these tables; the gates and the exit collar apply in any case.

    ``outside`` is what follows outside activity: tests move the account by hand, and go on.
    """
    head = '[policy]\nname = "test"\nowner = "test@desk.example"\n'
    return "\n".join((head, f'[desk.outside_activity]\naction = "{outside}"\n', *tables))


def a_rule(place: str, **settings: Any) -> str:
    """One rule's table, enforced: ``a_rule("desk.max_leverage", limit=3)``."""
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items()]
    return "\n".join((f"[{place}]", 'enforcement = "enforce"', *lines, ""))


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
