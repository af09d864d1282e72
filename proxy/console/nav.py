"""The pages of the console, in the order in which a person on duty needs them, and where the stop is from anywhere.

A page joins the frame, and the tests that walk through every page, by its row here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from proxy.people.roles import Role


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: where it is, what it is called, under which heading, and the least role that may open it."""

    path: str
    label: str
    group: str
    role: Role = Role.VIEWER


NOW: Final = "Now"
ACT: Final = "Act"
PROVE: Final = "Prove"
SET_UP: Final = "Set up"

NAV: Final[tuple[Entry, ...]] = (
    Entry("/", "Overview", NOW),
    Entry("/blocked", "Blocked orders", NOW),
    Entry("/positions", "Positions", NOW),
    Entry("/signals", "Signals", NOW),
    Entry("/alerts", "Alerts", NOW),
    Entry("/kill", "Stop", ACT),
    Entry("/rearm", "Re-arm", ACT),
    Entry("/drills", "Drills", ACT),
    Entry("/ledger", "Ledger", PROVE),
    Entry("/audit", "Audit", PROVE),
    Entry("/certificates", "Certificates", PROVE),
    Entry("/policy", "Policy", SET_UP),
    Entry("/keys", "Keys", SET_UP, Role.ADMIN),
    Entry("/people", "People", SET_UP, Role.ADMIN),
    Entry("/account", "Your account", SET_UP),
)

SLOTS: Final = ("/partials/open-alerts", "/partials/money")
"""Addresses of parts that other pages give to the overview (``/partials/...``), each a section of its own."""

STOP_PAGE: Final = "/kill"
"""Where the stop on every page leads; it always works by a plain link, without script."""

WITH_BUTTON: Final = frozenset({"/", "/kill"})
"""Pages that hold the button themselves."""


def groups(entries: Iterable[Entry], role: Role) -> list[tuple[str, list[Entry]]]:
    """What a role may open, under headings, in order; a heading's rows stand together in ``NAV``."""
    mine = (each for each in entries if role.covers(each.role))
    return [(group, list(rows)) for group, rows in groupby(mine, key=lambda each: each.group)]
