"""The grammar of single values: numbers, flags, symbols, ids. Bounded before anything is computed."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeVar

from proxy.venues.binance.malformed import MalformedRequest, invalid

GUARD_ID_PREFIX: Final = "pgk-"
"""Client ids of the kill switch's own orders. A bot may neither use nor name one."""

INTEGER_DIGITS_MAX: Final = 12
FRACTION_DIGITS_MAX: Final = 18

E = TypeVar("E", bound=StrEnum)

# The exponent is for SDKs that print floats (`1e-05`, official Binance SDK); two digits reach past all bounds.
_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,18}))?(?:[eE]([+-]?[0-9]{1,2}))?")
_INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
SYMBOL_CHARACTERS_MAX: Final = 32
SYMBOL_BYTES_MAX: Final = 96
_SYMBOL: Final = re.compile(rf"[A-Z0-9_]{{1,{SYMBOL_CHARACTERS_MAX}}}")
# Capitals, letters of scripts without capitals, digits: no marks, controls or formats.
_SYMBOL_CATEGORIES: Final = frozenset({"Lu", "Lm", "Lo", "Nd"})
# Hebrew and Arabic letters have no capitals either, and are read from right to left with all that stands beside them.
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
# Letters by their category, and blank: U+115F and U+1160 fill in for a missing part of a Hangul syllable.
_BLANK_LETTERS: Final = frozenset("\u115f\u1160")
# Binance: `^[\.A-Z\:/a-z0-9_-]{1,36}$` for newClientOrderId and clientAlgoId.
_CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
# python-binance prints Python's True (captured); Binance documents priceProtect in capitals.
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def read_decimal(text: str, name: str) -> Decimal:
    """A number of at most 12 integer and 18 fraction digits, in plain form and without trailing zeros.

    No sign: nothing Binance takes is negative. Margin is taken away by ``type=2``, not by a minus.
    An exponent is accepted when the value stays inside those bounds. ``text`` is bounded by the grammar before it
    is computed with: ``Decimal("1e1000000")`` alone may hold a process for a minute once it is turned into an int.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise _not_a_number(name)
    whole, fraction, power = match.groups()
    if power is None:
        kept = fraction.rstrip("0") if fraction is not None else ""
        return Decimal(f"{whole}.{kept}" if kept else whole)
    fraction, exponent = fraction or "", int(power)
    digits = (whole + fraction).lstrip("0")
    scale = len(fraction) - exponent
    while digits.endswith("0"):
        digits, scale = digits[:-1], scale - 1
    if not digits:
        return Decimal(0)
    if scale > FRACTION_DIGITS_MAX or len(digits) - scale > INTEGER_DIGITS_MAX:
        raise _not_a_number(name)
    return Decimal(plain(Decimal(f"{digits}E{-scale}")))


def read_positive(text: str, name: str) -> Decimal:
    """A number above zero."""
    value = read_decimal(text, name)
    if value == 0:
        raise invalid(name, "greater than zero")
    return value


def plain(value: Decimal) -> str:
    """``value`` as plain digits: no exponent, no trailing zeros. Never rounds, as ``normalize`` would to 28 digits."""
    text = str(value)  # Several times faster than formatting, and the same unless there is an exponent.
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_int(text: str, name: str, *, low: int, high: int) -> int:
    """A whole number between ``low`` and ``high``, both included."""
    if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
        raise invalid(name, f"a whole number from {low} to {high}")
    return int(text)


def read_bool(text: str, name: str) -> bool:
    """``true`` or ``false`` in the spellings clients send."""
    if text not in _BOOLEANS:
        raise invalid(name, "true or false")
    return _BOOLEANS[text]


def read_choice(text: str, name: str, choices: type[E]) -> E:
    """A member of an enumeration, spelled exactly."""
    found: E | None = members(choices).get(text)
    if found is None:
        raise invalid(name, "one of " + ", ".join(choices))
    return found


@lru_cache(maxsize=64)
def members(choices: type[E]) -> dict[str, E]:
    """The members of an enumeration by their spelling: asking the class itself takes several times longer."""
    return {member.value: member for member in choices}


def read_word(text: str, name: str, words: frozenset[str]) -> str:
    """One of a closed list of words, spelled exactly."""
    if text not in words:
        raise invalid(name, "one of " + ", ".join(sorted(words)))
    return text


def read_symbol(text: str) -> str:
    """A symbol's spelling. Whether it exists is asked of the instruments later, by exact match."""
    if not is_symbol(text):
        raise MalformedRequest(-1121, "GUARD MALFORMED: Invalid symbol.")
    return text


def is_symbol(text: str) -> bool:
    """Whether a text is spelled as a symbol may be: capitals, digits and ``_`` of any script that runs left to right.

    Binance lists 币安人生USDT, and a position in it must not lack a way out. In compatibility form (NFKC, which is NFC
    besides) there is one spelling of each: no full-width letter, which somebody behind us might fold.
    """
    return _SYMBOL.fullmatch(text) is not None or (not text.isascii() and _is_symbol_of_any_script(text))


def _is_symbol_of_any_script(text: str) -> bool:
    return (
        len(text) <= SYMBOL_CHARACTERS_MAX
        and all(each == "_" or _is_symbol_letter(each) for each in text)
        and _BLANK_LETTERS.isdisjoint(text)
        and len(text.encode()) <= SYMBOL_BYTES_MAX
        and unicodedata.is_normalized("NFKC", text)
    )


def _is_symbol_letter(character: str) -> bool:
    return (
        unicodedata.category(character) in _SYMBOL_CATEGORIES
        and unicodedata.bidirectional(character) not in _RIGHT_TO_LEFT
        and not character.islower()
    )


def read_order_id(text: str, name: str) -> str:
    """An id the venue gave: a positive 64-bit whole number, kept as text."""
    return str(read_int(text, name, low=1, high=2**63 - 1))


def read_client_id(text: str, name: str) -> str:
    """An id the bot chose, which may not be one of the guard's own."""
    if not _CLIENT_ID.fullmatch(text):
        raise invalid(name, "1 to 36 of the characters . A-Z : / a-z 0-9 _ -")
    # Whether the venue compares ids by case is not documented, so any case of the prefix is ours.
    if text.lower().startswith(GUARD_ID_PREFIX):
        raise MalformedRequest(-1130, f"GUARD RESERVED_CLIENT_ID: '{name}' names one of the guard's own orders")
    return text


def _not_a_number(name: str) -> MalformedRequest:
    return invalid(
        name, f"a plain number of at most {INTEGER_DIGITS_MAX} integer and {FRACTION_DIGITS_MAX} fraction digits"
    )
