"""Names and texts of a policy are one line of printable characters each: people read them before they agree to it.

TOML may spell any character (``"\\u001b"``), so one that hides from a terminal what a policy loosens would look
harmless in its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.policy.places import Place
from proxy.policy.problems import PolicyError, Problems, shown

_DEPTH_MAX: Final = 32
"""Tables in tables; dotted keys reach any depth, and what reads a setting goes down one call a table."""


def check_printable(document: Mapping[str, Any], problems: Problems) -> None:
    """Tell ``problems`` every name and text that is not printable. Raises ``PolicyError`` for what is too deep."""
    waiting: list[tuple[Place, object]] = [((), document)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > _DEPTH_MAX:
            raise PolicyError(f"tables are nested more than {_DEPTH_MAX} deep")
        if isinstance(value, str) and not value.isprintable():
            problems.add(place, f"{shown(place[:-1])} {place[-1]} must be printable, on one line")
        for key, inner in _items(value):
            if isinstance(key, str) and not key.isprintable():
                problems.add((*place, key), f"{shown(place)} has a name that is not printable: {json.dumps(key)}")
            waiting.append(((*place, key), inner))


def _items(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
