"""The command line's voice: nothing reaches a person's terminal that it would obey, whoever named it.

Venues, bots and files name symbols, labels and reasons; an escape among them could clear the screen that says what is
stopped, or write another answer over it. Standard library only: a kill speaks by it too.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, TextIO

_SHOWN_CHARACTERS_MAX: Final = 400


def say(*lines: str, to: TextIO | None = None, flush: bool = False) -> None:
    """Each line, spelled out, to standard output, or to what a command was given in its place."""
    for line in lines:
        print(spelled_out(line), file=to, flush=flush)


def remark(*lines: str, to: TextIO | None = None) -> None:
    """Each line, spelled out, to standard error: what is said beside the answer."""
    say(*lines, to=sys.stderr if to is None else to, flush=True)


def complain(command: str, line: str, *more: str, to: TextIO | None = None) -> None:
    """What is wrong, to standard error, from the command of that name."""
    remark(f"perpguard {command}: {line}", *more, to=to)


def show_json(value: Any, *, indent: int | None = None, to: TextIO | None = None) -> None:
    """``value`` as JSON, in one line unless it is indented."""
    print(json_text(value, indent=indent), file=to)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON that can be shown as it is; what JSON has no kind for is written as text."""
    # ASCII only: JSON leaves the C1 controls and U+2028 alone, terminals and line readers do not.
    return json.dumps(value, ensure_ascii=True, default=str, indent=indent)


def safe(text: object) -> str:
    """``text`` spelled out, and bounded: for what may be of any length and need not be seen to its end."""
    whole = str(text)
    return spelled_out(whole if len(whole) <= _SHOWN_CHARACTERS_MAX else whole[:_SHOWN_CHARACTERS_MAX] + "…")


def spelled_out(text: str) -> str:
    """``text`` with everything a terminal could obey or hide spelled out.

    Not printable are control characters, ANSI escapes, line separators, and the marks that turn text around.
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
