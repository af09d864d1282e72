"""Policies the end-to-end tests run under."""

from __future__ import annotations

from typing import Any


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
