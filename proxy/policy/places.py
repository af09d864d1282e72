"""On which line of a TOML text a key stands: the standard library's reader does not say.

It walks over a text that has been read already, so it knows the grammar's shapes and leaves its rules alone. Where it
finds nothing better it names the nearest table around.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

Place = tuple[str | int, ...]
"""The keys that lead to a value from the top: ``("desk", "max_leverage", "limit")``; numbers count in arrays."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
_PLAIN: Final = re.compile(r"[^,\]}\n#]*")


def line_of_lines(text: str) -> Callable[[Place], int]:
    """Names the line of a place in ``text``, or of what is nearest around it; line 1 for what is nowhere.

    ``text`` must be TOML.
    """
    lines = _Walk(text).lines()

    def line(place: Place) -> int:
        while place:
            if place in lines:
                return lines[place]
            place = place[:-1]
        return 1

    return line


class _Walk:
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Place, int] = {}
        self._tables_in: dict[Place, int] = {}

    def lines(self) -> dict[Place, int]:
        """The line of every table, key and item."""
        table: Place = ()
        while self._skip_blank():
            line = self._line()
            if self._take("[["):
                array = self._resolved(self._key())
                number = self._tables_in.get(array, 0)
                self._tables_in[array] = number + 1
                table = (*array, number)
                self._note(table, line)
                self._take("]]")
            elif self._take("["):
                table = self._resolved(self._key())
                self._note(table, line)
                self._take("]")
            else:
                self._pair(table)
        return self._lines

    def _resolved(self, keys: Place) -> Place:
        """A header names tables; below an array of tables it means the array's newest."""
        place: Place = ()
        for key in keys:
            if place in self._tables_in:
                place = (*place, self._tables_in[place] - 1)
            place = (*place, key)
        return place

    def _pair(self, table: Place) -> None:
        line = self._line()
        place = (*table, *self._key())
        self._note(place, line)
        self._take("=")
        self._skip_blank()
        self._value(place)

    def _key(self) -> Place:
        """A dotted key and what blanks follow it."""
        keys: Place = ()
        while True:
            self._skip_blank()
            keys = (*keys, self._simple_key())
            self._skip_blank()
            if not self._take("."):
                return keys

    def _simple_key(self) -> str:
        quoted = _STRING.match(self._text, self._at)
        if quoted is None:
            return self._match(_BARE_KEY)
        self._at = quoted.end()
        key: str = tomllib.loads(f"key = {quoted[0]}")["key"]
        return key

    def _value(self, place: Place) -> None:
        if self._take("["):
            self._items(place, "]")
        elif self._take("{"):
            self._items(place, "}")
        elif string := _STRING.match(self._text, self._at):
            self._at = string.end()
        else:
            self._match(_PLAIN)

    def _items(self, place: Place, end: str) -> None:
        number = 0
        while self._skip_blank() and not self._take(end):
            if end == "]":
                self._note((*place, number), self._line())
                self._value((*place, number))
            else:
                self._pair(place)
            number += 1
            self._skip_blank()
            self._take(",")

    def _note(self, place: Place, line: int) -> None:
        for length in range(1, len(place) + 1):
            self._lines.setdefault(place[:length], line)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _skip_blank(self) -> bool:
        """Skip blanks and comments; whether anything is left."""
        self._match(_BLANK)
        return self._at < len(self._text)

    def _take(self, mark: str) -> bool:
        found = self._text.startswith(mark, self._at)
        if found:
            self._at += len(mark)
        return found

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found is not None, "the text was read as TOML"  # noqa: S101 - an order of calls, not a check
        self._at = found.end()
        return found[0]
