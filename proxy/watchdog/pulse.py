"""Whether the warden's loops turn: what makes a beat worth something. A socket that accepts proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

TURN_MAX_S: Final = 15.0
"""How long one turn of a loop may take beyond its own pause: three answers of the store that time out."""

VENUE_TURN_MAX_S: Final = 300.0
"""The same for a loop that asks the venue: some time-outs in a row, each tried three times, are the venue's trouble."""

NAMED_MAX: Final = 5


class Pulse:
    """Loops that say when they will be heard of again, and those that were not."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._due: dict[str, float] = {}

    def turned(self, loop: str, within_s: float) -> None:
        """``loop`` turned, and will again in ``within_s``."""
        self._due[loop] = self._monotonic() + within_s

    @property
    def still(self) -> tuple[str, ...]:
        """Loops that are overdue; the first few of them."""
        now = self._monotonic()
        return tuple(sorted(loop for loop, due in self._due.items() if due < now))[:NAMED_MAX]
