"""What is held against no bot, of its leases and its dead-man timers alike: that the store's clock went on while nobody
looked, because the machine stood still or because the clock was set."""

from __future__ import annotations

from typing import Final

STOOD_STILL_S: Final = 2.0
"""The clock is read every half second, or more often: a busy warden is later than that, but not by so much."""

THAWED_S: Final = 10.0
"""After that a bot has so long to be heard, if its lease or its countdown is not shorter."""
