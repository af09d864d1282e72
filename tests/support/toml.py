"""TOML as a policy is read."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any


def written(text: str, place: tuple[str, ...] = ("desk", "calendar")) -> dict[str, Any]:
    """The table at ``place`` when ``text`` follows its header."""
    table: Any = tomllib.loads(f"[{'.'.join(place)}]\n{text}", parse_float=Decimal)
    for key in place:
        table = table[key]
    found: dict[str, Any] = table
    return found
