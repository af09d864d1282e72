"""The values of an event, each by its kind. Numbers come as text, a few as JSON numbers; nothing else stands for one.

What is of another kind raises ``TypeError`` or ``ValueError``: a NaN in the book would answer every comparison with an
error, and a flag that is the text ``"false"`` would be a true one.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

# Signed, bounded before it is computed with, and with the exponent of a number that was a float on its way.
_NUMBER: Final = re.compile(r"-?[0-9]{1,24}(?:\.[0-9]{1,24})?(?:[eE][+-]?[0-9]{1,2})?")


def number(value: object) -> Decimal:
    """A finite number."""
    text = value if isinstance(value, str) else _written(value)
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("a number is expected")
    return Decimal(text)


def _written(value: object) -> str:
    """A JSON number as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number is expected")
    return str(value)


def whole(value: object) -> int:
    """A whole number that is a JSON number: a time or a trade."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a whole number is expected")
    return value


def venue_id(value: object) -> str:
    """An id, which the venue writes as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("an id is expected")
    return str(value)


def text(value: object) -> str:
    """Text."""
    if not isinstance(value, str):
        raise TypeError("text is expected")
    return value


def flag(value: object) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise TypeError("true or false is expected")
    return value


def some(value: object) -> Decimal | None:
    """A number, ``None`` where it is absent, empty or zero."""
    return number(value) or None if value not in (None, "") else None
