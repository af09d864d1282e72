"""One spelling for one content: RFC 8785 (JSON Canonicalization Scheme) for documents without fractional numbers.

Numbers are integers of at most 2**53 - 1. Amounts are strings of plain digits, times strings of RFC 3339 in UTC with
six digits of a second, so that nothing depends on how anybody prints a float. Reading accepts nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

import msgspec

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps (RFC 7493)."""

DEPTH_MAX: Final = 32


class NotCanonical(Exception):
    """The bytes are not the one spelling of a document, or the value has none."""


def canonical(value: object) -> bytes:
    """The bytes of a value of plain JSON types. Raises ``NotCanonical``."""
    ordered = _ordered(value, 0)
    # The standard library's escapes are those of RFC 8785 section 3.2.2.2: the short ones, \\u00xx in lower case.
    return json.dumps(ordered, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def read_canonical(raw: bytes) -> Any:
    """The value that is spelled by exactly these bytes. Raises ``NotCanonical``."""
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
        )
        spelled = canonical(value)
    except (ValueError, RecursionError) as trouble:
        raise NotCanonical("not JSON as this format writes it") from trouble
    if spelled != raw:
        raise NotCanonical("not in canonical form")
    return value


def spelled(value: object) -> Any:
    """Anything of the house as plain JSON types in the one spelling: amounts and times become strings."""
    return _plain(msgspec.to_builtins(value, builtin_types=(datetime, Decimal)))


def moment(text: str) -> datetime:
    """The instant a time is the spelling of. Raises ``ValueError`` for any other spelling."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or _time(found) != text:
        raise ValueError("a time is RFC 3339 in UTC with six digits of a second")
    return found


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {_text(str(name)): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case datetime():
            return _time(value)
        case Decimal():
            return f"{value:f}"
        case float():
            return f"{Decimal(repr(value)):f}"
        case str():
            return _text(value)
        case int() if not isinstance(value, bool) and abs(value) > INTEGER_MAX:
            return str(value)
        case _:
            return value


def _text(text: str) -> str:
    """A venue's words may hold half a character, which no UTF-8 can spell."""
    return text.encode("utf-8", "replace").decode()


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _ordered(value: object, depth: int) -> object:
    """The value with every object's names in the order of RFC 8785: by UTF-16 code units."""
    if depth > DEPTH_MAX:
        raise NotCanonical("nested too deeply")
    match value:
        case None | bool():
            return value
        case int():
            if abs(value) > INTEGER_MAX:
                raise NotCanonical("an integer is beyond 2**53 - 1")
            return value
        case str():
            return _encodable(value)
        case list() | tuple():
            return [_ordered(each, depth + 1) for each in value]
        case dict():
            names = sorted(value, key=lambda name: _encodable(name).encode("utf-16-be"))
            return {name: _ordered(value[name], depth + 1) for name in names}
        case _:
            raise NotCanonical(f"{type(value).__name__} has no canonical form here")


def _encodable(text: object) -> str:
    if not isinstance(text, str):
        raise NotCanonical("a name is not text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonical("half a character has no canonical form") from None
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("a name is given twice")
    return found


def _no_float(_: str) -> NoReturn:
    raise NotCanonical("fractional numbers are written as text")
