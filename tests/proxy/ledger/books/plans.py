"""What SQLite would do for the questions that are asked of a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

BOUNDED = ("accounts", "judging", "CONSTANT ROW")
"""A row for each account, or one."""


def steps_of(connection: sqlite3.Connection, ask: Callable[[], object]) -> list[list[str]]:
    """The steps of every query that ``ask`` makes, the outermost first."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    ask()
    connection.set_trace_callback(None)
    return [[row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")] for query in asked]


def scans(steps: list[list[str]]) -> list[str]:
    """The steps that read a table from end to end, however many rows it has."""
    return [
        step
        for plan in steps
        for step in plan
        if step.startswith("SCAN ") and step.removeprefix("SCAN ") not in BOUNDED
    ]
