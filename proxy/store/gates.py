"""The gates of a desk as the store knows them: which generation of the controls each obeys, and when it last asked."""

from __future__ import annotations

import math
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
    """The hash of the gates, by gate.

    A word dated further ahead than a lease is of before the store's clock was set back, or of another server's: a gate
    that lives has said it anew within a moment, and of one that does not nobody shall wait until the clock is there
    again.
    """
    found = {}
    for gate, word in fields.items():
        generation, _, at_us = word.partition("|")
        age_s = (now_us - int(at_us)) / 1_000_000
        found[gate] = GateWord(int(generation), math.inf if age_s < -LEASE_S else max(0.0, age_s))
    return found
