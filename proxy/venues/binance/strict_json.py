"""The JSON inside ``batchOrders`` and the id lists. Flat by nature, so depth is bounded before it is parsed.

Number literals stay text: a quantity never passes through a float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from proxy.venues.binance.malformed import MalformedRequest, illegal, too_many
from proxy.venues.binance.wire import Parameters

# An array of at most ten flat objects; Binance takes at most five orders and ten cancels.
_BRACKETS_MAX: Final = 16
_Read = TypeVar("_Read")

ReadEntry: TypeAlias = Callable[[], _Read]
"""Reads one entry of an array. Raises ``MalformedRequest`` for what that entry alone has wrong."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def read_objects(text: str, name: str, most: int) -> tuple[ReadEntry[Parameters], ...]:
    """An array of 1 to ``most`` entries. Each is read when it is called: a flat object, as parameters."""
    return tuple(partial(_flat_object, entry, name) for entry in _array(text, name, most))


def read_scalars(text: str, name: str, most: int) -> tuple[ReadEntry[str], ...]:
    """An array of 1 to ``most`` entries. Each is read when it is called: a string or number, as text; the second of
    two alike is none."""
    seen: set[str] = set()

    def read(entry: object) -> str:
        text = _scalar(entry, name)
        if text in seen:
            raise too_many(f"duplicate entries in '{name}'")
        seen.add(text)
        return text

    return tuple(partial(read, entry) for entry in _array(text, name, most))


def _array(text: str, name: str, most: int) -> list[Any]:
    if text.count("[") + text.count("{") > _BRACKETS_MAX:
        raise illegal(f"'{name}' is nested too deeply")
    if escapes_surrogates(text):
        raise illegal(f"'{name}' has escapes that are no characters")
    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_int=str, parse_float=str, parse_constant=refuse_constant
        )
    except ValueError:
        raise illegal(f"'{name}' is not JSON with unique names and plain numbers") from None
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise illegal(f"'{name}' is not an array of 1 to {most} entries")
    return value


def escapes_surrogates(text: str) -> bool:
    """Whether a document spells halves of characters: some parsers take a lone one, some refuse, some replace it."""
    return _SURROGATE.search(text) is not None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different. Raises ``ValueError`` for a repeated one."""
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("duplicate name")
    return names


def refuse_constant(_: str) -> NoReturn:
    """NaN and Infinity are no JSON. Raises ``ValueError``, always."""
    raise ValueError("NaN and Infinity are not JSON")


def _flat_object(entry: object, name: str) -> Parameters:
    if not isinstance(entry, dict):
        raise illegal(f"an entry of '{name}' is not an object")
    values = {key: _scalar(value, name) for key, value in entry.items()}
    return Parameters(MappingProxyType({key: value for key, value in values.items() if value}))


def _scalar(entry: object, name: str) -> str:
    # ccxt sends booleans as JSON booleans, python-binance as strings (both captured).
    if isinstance(entry, bool):
        return "true" if entry else "false"
    if isinstance(entry, str):
        return entry
    raise MalformedRequest(-1100, f"GUARD MALFORMED: an entry of '{name}' is not a string, number or boolean")
