"""Sums by name, bounded: names come from what bots ask for, and nothing they ask for may make memory grow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

GROUPS_MAX: Final = 1_000
"""Different names one tally keeps; what comes later is summed under ``OTHERS``."""

OTHERS: Final = "(others)"

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """How many orders, and their notional in quote currency; ``unvalued`` of them are not in it."""

    orders: int = 0
    notional: Decimal = Decimal(0)
    unvalued: int = 0

    def plus(self, notional: Decimal | None) -> Sum:
        """With one more order."""
        if notional is None:
            return Sum(self.orders + 1, self.notional, self.unvalued + 1)
        return Sum(self.orders + 1, self.notional + notional, self.unvalued)


class Tally:
    """A sum for each name."""

    def __init__(self) -> None:
        self._sums: dict[Name, Sum] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def __iter__(self) -> Iterator[tuple[Name, Sum]]:
        """Names and sums, the most orders first."""
        return iter(sorted(self._sums.items(), key=lambda each: (-each[1].orders, each[0])))

    def __getitem__(self, name: Name) -> Sum:
        return self._sums.get(name, Sum())

    def add(self, name: Name, notional: Decimal | None) -> None:
        """Count one order under ``name``; its first part is kept in any case."""
        if name not in self._sums and len(self._sums) >= GROUPS_MAX:
            name = (name[0], *(OTHERS for _ in name[1:]))
        self._sums[name] = self[name].plus(notional)
