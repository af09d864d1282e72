"""What a column of an exported table may hold. A value of another type is refused, never converted by guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

DIGITS_BEFORE_POINT_MAX: Final = 20
DIGITS_AFTER_POINT_MAX: Final = 18
"""Parquet's decimals have 38 digits at most. The venue's numbers have at most 12 and 18."""

_INTEGER_MAX: Final = 2**63


class Kind(StrEnum):
    """What a column holds. Every kind may also be empty (``None``)."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TIME = "time"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name, which is also the key of its value in a row."""

    name: str
    kind: Kind = Kind.TEXT


class UnwritableValue(Exception):
    """A value that its column cannot hold exactly. ``row`` counts from 1."""

    def __init__(self, row: int, column: Column, problem: str) -> None:
        super().__init__(f"row {row}, {column.name}: {problem}")
        self.row = row
        self.column = column.name


def checked(row: Mapping[str, Any], columns: tuple[Column, ...], number: int) -> list[Any]:
    """The row's values in the order of ``columns``: text that is UTF-8, times in UTC. Raises ``UnwritableValue``.

    A row must have exactly the columns' names: what is forgotten or misspelt is not left out silently.
    """
    if row.keys() != {column.name for column in columns}:
        missing = sorted({column.name for column in columns} ^ row.keys())
        raise ValueError(f"row {number} has other columns than were named: {', '.join(missing)}")
    values = []
    for column in columns:
        value = row[column.name]
        try:
            values.append(None if value is None else _CHECKS[column.kind](value))
        except ValueError as problem:
            raise UnwritableValue(number, column, str(problem)) from None
    return values


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is no text")
    # A venue's JSON may hold half a surrogate pair, which no file can.
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{type(value).__name__} is no integer")
    if not -_INTEGER_MAX <= value < _INTEGER_MAX:
        raise ValueError("the integer has more than 64 bits")
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise ValueError(f"{type(value).__name__} is no exact number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{number} is no number")
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - it is finite
    if exponent < -DIGITS_AFTER_POINT_MAX or (number and number.adjusted() >= DIGITS_BEFORE_POINT_MAX):
        raise ValueError(f"{number} has more digits than {DIGITS_BEFORE_POINT_MAX} and {DIGITS_AFTER_POINT_MAX}")
    return number


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"{type(value).__name__} is no time with a time zone")
    return value.astimezone(UTC)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{type(value).__name__} is neither true nor false")
    return value


_CHECKS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.TIME: _time,
    Kind.BOOLEAN: _boolean,
}
