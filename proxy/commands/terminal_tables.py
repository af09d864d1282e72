"""Tables for a person's terminal, and lines beside them. Every word that came from outside is made safe first."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy import terminal
from proxy.terminal import safe

_PIPE_WIDTH: Final = 200
"""Columns when nobody is looking: wide enough that no cell breaks."""


def say(line: str) -> None:
    """One line to standard output, bounded: what was recorded may be of any length."""
    terminal.say(safe(line))


def complain(line: str, command: str) -> None:
    """One line to standard error, from that command, bounded."""
    terminal.complain(command, safe(line))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, also_empty: bool = False) -> None:
    """A table; nothing when it has no rows, unless ``also_empty``."""
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Text, not str: rich would read "[red]" in a bot's name as markup.
        table.add_row(*(Text(safe(value)) for value in row))
    if table.rows or also_empty:
        Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
