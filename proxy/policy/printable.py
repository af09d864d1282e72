"""Names and texts of a policy are one line of printable characters each: people read them before they agree to it.
Names in names are a few, and are counted before the text is read as TOML.

TOML may spell any character (``"\\u001b"``), so one that hides from a terminal what a policy loosens would look
harmless in its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.policy.places import Place
from proxy.policy.problems import PolicyError, Problem, Problems, shown

_DEPTH_MAX: Final = 32
"""Tables in tables; dotted keys reach any depth, and what reads a setting goes down one call a table."""

_TOO_DEEP: Final = f"tables are nested more than {_DEPTH_MAX} deep"
_NAME: Final = r"""(?:[A-Za-z0-9_-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')"""
_DEEP_NAME: Final = re.compile(
    rf"(?:^|[\[{{,])[ \t]*+{_NAME}(?:[ \t]*+\.[ \t]*+{_NAME}){{{_DEPTH_MAX},}}", re.MULTILINE
)
"""Where names stand: at the beginning of a line, of a header, or of a pair in an inline table."""


def check_names(text: str) -> None:
    """Raise ``PolicyError`` for a name of more than 32 parts.

    The standard library's reader copies all parts before each part: a name of 100,000 takes it minutes.
    """
    found = _DEEP_NAME.search(text)
    if found is not None:
        raise PolicyError(Problem(_TOO_DEEP, text.count("\n", 0, found.end()) + 1))


def check_printable(document: Mapping[str, Any], problems: Problems) -> None:
    """Tell ``problems`` every name and text that is not printable. Raises ``PolicyError`` for what is too deep."""
    waiting: list[tuple[Place, object]] = [((), document)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > _DEPTH_MAX:
            raise PolicyError(_TOO_DEEP)
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
