"""What a person may do: four roles, each of which may do everything the one before it may."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """``viewer`` looks. ``trader`` also stops, reduces, asks for overrides and rehearses. ``risk`` also lets trading
    come back and changes limits. ``admin`` also looks after keys and people."""

    VIEWER = "viewer"
    TRADER = "trader"
    RISK = "risk"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether somebody of this role may do what ``needed`` is asked for."""
        return _RANK[self] >= _RANK[needed]


_RANK: Final = {role: rank for rank, role in enumerate(Role)}
