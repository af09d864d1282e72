"""How bad something is that a person must hear of."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """How bad it is. ``kill`` is never silenced, and is told again until somebody acknowledges it."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    KILL = "kill"

    @property
    def rank(self) -> int:
        """Worse is higher."""
        return _RANKS[self]


_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}
