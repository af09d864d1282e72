"""A demo or bench that is told to stop stops as one that failed: what it started is stopped in order, its files go."""

from __future__ import annotations

import signal
import sys
from typing import Any, Final

_TOLD: Final = (signal.SIGTERM, signal.SIGHUP)


def ends_in_order() -> None:
    """From here on these signals end this program as ``sys.exit`` does; called first by whoever is one.

    What ignores one already, as ``nohup`` has it do, goes on ignoring it. Programs started from here are not changed.
    """
    for each in _TOLD:
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, _end)


def _end(number: int, frame: Any) -> None:
    # Once is enough: a second would end the clean-up of the first.
    for each in _TOLD:
        if signal.getsignal(each) is _end:
            signal.signal(each, _heard)
    sys.exit(128 + number)


def _heard(number: int, frame: Any) -> None:
    """A function and not SIG_IGN, which children would inherit."""
