"""Read parameters as leniently as the venue does: unknown names are ignored, the first of a repeated name counts.

The guard in front is the strict one; this is the exchange it protects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote_plus

from sandbox.binance.errors import VenueError, malformed, missing

# At most twenty digits on each side, plus the exponent form the official Python SDK sends (1e-05).
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
_Choice = TypeVar("_Choice", bound=StrEnum)
_INTEGER = re.compile(r"-?[0-9]{1,18}")


class Params:
    """The parameters of one request (or of one order in a batch), by name."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            self._values.setdefault(name, value)

    def as_sent(self) -> dict[str, str]:
        """Names and values for the request log, without the credentials frames carry among them."""
        return {name: value for name, value in self._values.items() if name not in ("signature", "apiKey")}

    def text(self, *names: str) -> str | None:
        """The first of `names` that was sent; an empty string counts as absent."""
        for name in names:
            if value := self._values.get(name):
                return value
        return None

    def required(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def number(self, *names: str) -> Decimal | None:
        """A plain or exponent-form decimal."""
        value = self.text(*names)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value):
            raise VenueError(
                -1100,
                f"Illegal characters found in parameter '{names[0]}'; "
                "legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
            )
        return Decimal(value)

    def required_number(self, name: str) -> Decimal:
        """A decimal that must be there."""
        value = self.number(name)
        if value is None:
            raise missing(name)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number."""
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            raise malformed(name)
        return int(value)

    def required_integer(self, name: str) -> int:
        """A whole number that must be there."""
        value = self.integer(name)
        if value is None:
            raise missing(name)
        return value

    def flag(self, name: str) -> bool:
        """true or false in any case (python-binance sends `True`); absent is false."""
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false"):
            raise malformed(name)
        return value == "true"

    def choice(self, name: str, choices: type[_Choice], code: int, default: _Choice | None) -> _Choice:
        """One of an enum's values; anything else is refused with the venue's `code` for that parameter."""
        value = self.text(name)
        if value is None:
            if default is None:
                raise missing(name)
            return default
        try:
            return choices(value)
        except ValueError:
            raise VenueError(code, f"Invalid {_label(name)}.") from None


def read_pairs(query: str, body: str) -> Params:
    """Parameters of a query string and a form body; the query's come first, as on the venue."""
    return Params((*_read_form(query), *_read_form(body)))


def read_batch(text: str) -> list[Params]:
    """The orders in a `batchOrders` JSON array; numbers keep their spelling."""
    entries = _json_list("batchOrders", text)
    batch: list[Params] = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise malformed("batchOrders")
        batch.append(Params((str(name), _as_text(value)) for name, value in entry.items() if value is not None))
    return batch


def read_list(name: str, text: str) -> list[str]:
    """A JSON array of ids, as text."""
    return [_as_text(value) for value in _json_list(name, text)]


def _read_form(text: str) -> Iterator[tuple[str, str]]:
    # Of most requests nothing is.
    encoded = "%" in text or "+" in text
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            yield (unquote_plus(name), unquote_plus(value)) if encoded else (name, value)


def _json_list(name: str, text: str) -> list[object]:
    try:
        decoded = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        raise malformed(name) from None
    if not isinstance(decoded, list):
        raise malformed(name)
    return decoded


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _label(name: str) -> str:
    # The venue says "Invalid orderType." for the parameter `type` and the plain name for the others.
    return "orderType" if name == "type" else name
