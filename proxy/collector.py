"""How a process that serves orders looks for garbage: seldom, and not among what stays.

Hardly anything of an order is garbage that only the collector finds. But by the interpreter's own thresholds it looks
every 700 objects, and takes what merely waits (records on their way to the archive, holds, answers that are due) for
what stays: soon a full collection walks it all, with every order and the button waiting.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG_MAX: Final = 5_000
"""New objects, less those that went by themselves, at which the newest are looked through: some milliseconds."""

LOOKS_PER_OLDER: Final = 20
"""Looks at the newest for each at those that outlived one, and of these for each at all."""


def spare_what_stays() -> None:
    """Leave alone, for good, what is loaded by now: modules, settings, pages. Look for garbage among the rest."""
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, LOOKS_PER_OLDER, LOOKS_PER_OLDER)
    gc.enable()
