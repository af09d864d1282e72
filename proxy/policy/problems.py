"""What is wrong with a policy's text: all of it at once, each with its line and with what would be right."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.policy.places import Place, line_of_lines
from proxy.terminal import spelled_out

PROBLEMS_MAX: Final = 100
"""Told of one text. To look for the name that was meant takes milliseconds each."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``line`` counts from 1; ``None`` where no line is to blame."""

    message: str
    line: int | None = None

    def at(self, file: str) -> str:
        """The problem as compilers write theirs, on one line fit for a terminal: ``FILE:LINE: message``."""
        if self.line is None:
            return spelled_out(f"{file}: {self.message}" if file else self.message)
        return spelled_out(f"{file}:{self.line}: {self.message}" if file else f"line {self.line}: {self.message}")


class PolicyError(Exception):
    """The policy text is wrong. The message tells every problem, one a line, with its place and what would be right."""

    def __init__(self, *problems: Problem | str, file: str = "") -> None:
        self.problems = tuple(Problem(each) if isinstance(each, str) else each for each in problems)
        self.file = file
        super().__init__("\n".join(problem.at(file) for problem in self.problems))


class Problems:
    """Collects what is wrong with one text. Lines are looked up only when something is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[tuple[Place, str]] = []

    def add(self, place: Place, message: str) -> None:
        """Something is wrong at ``place``: the keys that lead there from the top.

        Raises ``PolicyError`` when that is enough.
        """
        self._found.append((place, message))
        if len(self._found) == PROBLEMS_MAX:
            self.raise_any()

    def add_unknown(self, table: Iterable[str], known: Sequence[str], place: Place) -> None:
        """Every key of ``table`` that is not ``known``, with what may have been meant."""
        for name in table:
            if name not in known:
                self.add((*place, name), f'{shown(place)} has no "{name}"{meant(name, known)}')

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self) -> None:
        """Raise ``PolicyError`` when anything was found, in the order of the lines."""
        if not self._found:
            return
        line = line_of_lines(self._text)
        problems = (Problem(message, line(place)) for place, message in self._found)
        told = sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)
        more = ("no more than that is looked for at once",) if len(self._found) == PROBLEMS_MAX else ()
        raise PolicyError(*told, *more)


def shown(place: Place) -> str:
    """A table as its header writes it."""
    if not place:
        return "the top level"
    return f"[{'.'.join(key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in map(str, place))}]"


def meant(name: str, known: Sequence[str]) -> str:
    """The end of a complaint about an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(known)}"
