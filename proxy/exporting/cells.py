"""Values as text. In CSV no text can become a formula when a spreadsheet opens the file."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the begin of a formula (OWASP, "CSV Injection"), full-width spellings included."""

_GUARD: Final = "'"


def csv_cell(value: Any) -> str:
    """A checked value as it stands in a CSV file, before quoting: numbers plain, times in ISO 8601."""
    if isinstance(value, str):
        return guarded(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain_text(value)


def plain_text(value: Decimal | int | datetime) -> str:
    """A number without an exponent and with all its digits, or a time in UTC."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def guarded(text: str) -> str:
    """Text that no spreadsheet calculates: what begins like a formula begins with a quote instead.

    So does what begins with a quote already, so that whoever takes one quote off has every text back.
    """
    begins = text.lstrip(" ")[:1]
    return _GUARD + text if begins and (begins in _FORMULA_STARTS or text.startswith(_GUARD)) else text
