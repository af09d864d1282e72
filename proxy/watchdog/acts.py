"""What a watchdog did and the guard may not know of.

A watchdog that shares neither data directory nor store with the guard leaves its stop where the guard never looks. So
it names its act with every call, and how long ago it was, until the guard has taken note of it. In memory alone: to a
watchdog that was started again it is an old story.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable


class Acts:
    """One watchdog's. ``untold`` is the name of its last act that the store did not take; empty when there is none."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = 0.0
        self.untold = ""

    @property
    def ago_s(self) -> float:
        """How long ago the untold act was, 0 when there is none."""
        return self._monotonic() - self._at if self.untold else 0.0

    def note(self) -> None:
        """The desk is stopped, and the store does not say so."""
        self.untold = self.untold or secrets.token_hex(8)
        self._at = self._monotonic()

    def told(self) -> None:
        """The store says so after all."""
        self.untold = ""

    def forget(self, act: str) -> None:
        """The guard has taken note of this act."""
        if act == self.untold:
            self.untold = ""
