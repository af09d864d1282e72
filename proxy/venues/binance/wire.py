"""Raw query and form bytes to unique names and values. Anything two parsers could read differently is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.venues.binance.malformed import MalformedRequest, illegal, missing, too_many, unknown_parameter

__all__ = ["AUTHENTICATION", "MalformedRequest", "Parameters", "read_parameters"]

PARAMETERS_MAX: Final = 64
BYTES_MAX: Final = 64 * 1024

AUTHENTICATION: Final = frozenset({"timestamp", "recvWindow", "signature"})
"""Names that ``signing`` reads; they say nothing about what is asked."""

_FORM: Final = re.compile(r"application/x-www-form-urlencoded(?: *; *charset=utf-8)?", re.IGNORECASE)
_NAME: Final = re.compile(rb"[A-Za-z0-9]{1,64}")
# Printable ASCII but `&` (ends the pair), `=`, `;` and `#` (parsers differ); a percent sign takes two digits.
# ccxt sends the JSON of batchOrders unescaped, so brackets, quotes and colons are legal here.
_VALUE: Final = re.compile(rb"(?:[!\"$'-:<>-~]|%[0-9A-Fa-f]{2})*")
# Letters, digits and what else ids and numbers have: neither decoded nor trimmed by anybody.
_PLAIN: Final = re.compile(rb"[A-Za-z0-9]{1,64}=[A-Za-z0-9_.:/-]*(?:&[A-Za-z0-9]{1,64}=[A-Za-z0-9_.:/-]*)*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names and values as sent, each name once, in their order. What was empty is absent."""

    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """The value, or ``None`` when it was not sent."""
        return self.values.get(name)

    def require(self, name: str) -> str:
        """The value of a mandatory parameter."""
        value = self.values.get(name)
        if value is None:
            raise missing(name)
        return value

    def without(self, names: frozenset[str]) -> Parameters:
        """The same but for ``names``."""
        return Parameters(MappingProxyType({name: self.values[name] for name in self.values if name not in names}))

    def expect_only(self, documented: frozenset[str], where: str) -> None:
        """Refuse the first name that is not documented."""
        if documented.issuperset(self.values):
            return
        raise unknown_parameter(next(name for name in self.values if name not in documented), where)


def read_parameters(query: bytes, body: bytes, content_type: str) -> Parameters:
    """The parameters of a request from its raw query string and raw body.

    Binance takes parameters from both and lets the query win where they repeat; no client that was measured mixes
    them, so a request that does is refused.
    """
    if query and body:
        raise illegal("parameters must come in the query string or in the body, not in both")
    if body and not _FORM.fullmatch(content_type):
        raise illegal("the body must be application/x-www-form-urlencoded")
    raw = query or body
    if len(raw) > BYTES_MAX:
        raise too_many(f"more than {BYTES_MAX} bytes of parameters")
    if not raw:
        return Parameters(MappingProxyType({}))
    pairs = raw.split(b"&", PARAMETERS_MAX)
    if len(pairs) > PARAMETERS_MAX:
        raise too_many(f"more than {PARAMETERS_MAX} parameters")
    seen = _read_plain(raw)
    if len(seen) == len(pairs):
        return Parameters(MappingProxyType(seen if all(seen.values()) else _sent(seen)))
    seen = {}
    for pair in pairs:
        name, value = _read_pair(pair)
        if name in seen:
            raise too_many(f"duplicate values for parameter '{name}'")
        seen[name] = value
    # python-okx style clients send every option, empty when unset: empty means not sent.
    return Parameters(MappingProxyType(_sent(seen)))


def _sent(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _read_plain(raw: bytes) -> dict[str, str]:
    """The pairs of a request in which no character means anything but itself, as of nearly every order.

    Empty for all others; with fewer pairs than were sent where a name repeats. Both are read pair by pair.
    """
    if not _PLAIN.fullmatch(raw):
        return {}
    return dict([pair.split("=") for pair in raw.decode("ascii").split("&")])


def _read_pair(pair: bytes) -> tuple[str, str]:
    name, equals, value = pair.partition(b"=")
    if not equals or not _NAME.fullmatch(name):
        raise illegal("parameters must be name=value pairs, names of ASCII letters and digits")
    if not _VALUE.fullmatch(value):
        raise illegal(f"parameter '{name.decode()}' has characters that must be percent-encoded")
    try:
        text = unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise illegal(f"parameter '{name.decode()}' is not UTF-8") from None
    # Some parsers trim values and some do not.
    if _CONTROL.search(text) or text != text.strip():
        raise illegal(f"parameter '{name.decode()}' has control characters or space around it")
    return name.decode(), text
