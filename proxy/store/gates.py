"""The gates of a desk as the store knows them: which generation of the controls each obeys, and when it last asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LEASE_S: Final = 2.0
"""A gate that has not heard the store for this long refuses entries by itself."""

FORGOTTEN_AFTER_S: Final = 60.0
"""A gate that has not asked for this long has ended, or will be counted anew."""


@dataclass(frozen=True, slots=True)
class GateWord:
    """One gate's. ``age_s`` is how long ago it asked, by the store's clock."""

    generation: int
    age_s: float

    @property
    def holds_lease(self) -> bool:
        """Whether it may still let entries out by what it heard."""
        return self.age_s <= LEASE_S


def decode_gates(fields: Mapping[str, str], now_us: int) -> dict[str, GateWord]:
    """The hash of the gates, by gate."""
    found = {}
    for gate, word in fields.items():
        generation, _, at_us = word.partition("|")
        found[gate] = GateWord(int(generation), max(0, now_us - int(at_us)) / 1_000_000)
    return found
