"""As much of JSON Schema (draft 2020-12) as our own schemas use; a keyword it does not know is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

_WORDS = {"$schema", "$defs", "title", "description"}
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, Decimal),
}


def violations(value: Any, schema: dict[str, Any]) -> list[str]:
    """What in ``value`` the schema does not allow; empty when it is valid. Moments count as their text."""
    return list(_violations(value, schema, schema, "$"))


def _violations(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, datetime):
        value = value.isoformat()
    for keyword, wanted in schema.items():
        if keyword in _WORDS:
            continue
        check = _CHECKS.get(keyword)
        assert check is not None, f"{keyword} is not known here"
        yield from check(value, wanted, schema, root, at)


def _type(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if not isinstance(value, _KINDS[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
        yield f"{at} is no {wanted}"


def _reference(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    yield from _violations(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)


def _any_of(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if all(list(_violations(value, each, root, at)) for each in wanted):
        yield f"{at} is none of the shapes"


def _required(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{at} needs {name}" for name in wanted if name not in value)


def _properties(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() & wanted.keys():
            yield from _violations(value[name], wanted[name], root, f"{at}.{name}")


def _additional(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            if wanted is False:
                yield f"{at} has no {name}"
            else:
                yield from _violations(value[name], wanted, root, f"{at}.{name}")


def _items(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _violations(each, wanted, root, f"{at}[{index}]")


def _enum(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if value not in wanted:
        yield f"{at} is none of {wanted}"


def _const(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if value != wanted:
        yield f"{at} is not {wanted}"


def _bounds(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, int | Decimal):
        low, high, above = schema.get("minimum"), schema.get("maximum"), schema.get("exclusiveMinimum")
        if (low is not None and value < low) or (high is not None and value > high):
            yield f"{at} is out of bounds"
        if above is not None and value <= above:
            yield f"{at} is not above {above}"


def _pattern(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, str) and re.search(wanted, value) is None:
        yield f"{at} does not match"


def _format(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    assert wanted == "date-time"
    if isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None:
        yield f"{at} has no offset"


_CHECKS = {
    "type": _type,
    "$ref": _reference,
    "anyOf": _any_of,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "enum": _enum,
    "const": _const,
    "minimum": _bounds,
    "maximum": _bounds,
    "exclusiveMinimum": _bounds,
    "pattern": _pattern,
    "format": _format,
}
