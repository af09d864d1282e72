"""What happens when an account moves without the guard: one setting, per desk and per account. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutsideAction(StrEnum):
    """ALERT: say it. REDUCE: say it and let nothing in. KILL: say it and close the account."""

    ALERT = "alert"
    REDUCE = "reduce"
    KILL = "kill"

    @property
    def severity(self) -> int:
        """0 for ALERT, 2 for KILL: the larger the stricter."""
        return list(OutsideAction).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideActivity:
    """The ``outside_activity`` table of ``desk`` or ``account:NAME``."""

    level: str
    action: OutsideAction


OUTSIDE_DEFAULT = OutsideAction.REDUCE
"""Without a table. An owner's own click in the exchange's app costs a re-arm; a leaked key costs no new position.

ALERT would leave a thief the account until somebody reads the alert, and KILL would sell a book for a click.
"""


def outside_action(tables: tuple[OutsideActivity, ...], account: str) -> OutsideAction:
    """What holds for an account: the strictest of its own table and the desk's."""
    levels = ("desk", f"account:{account}")
    matching = [table.action for table in tables if table.level in levels]
    return max(matching, key=lambda action: action.severity, default=OUTSIDE_DEFAULT)
