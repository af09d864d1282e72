"""What a looser policy needs before it takes effect: a setting of the policy in force. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DELAY_DEFAULT_S: Final = 3600
DELAY_MIN_S: Final = 60
DELAY_MAX_S: Final = 7 * 24 * 3600


class Needs(StrEnum):
    """TWO_PEOPLE: somebody else's approval. DELAY: that, or a wait in which anybody may withdraw the proposal."""

    TWO_PEOPLE = "two-people"
    DELAY = "delay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """``loosening`` and ``loosening_delay_s`` of ``[policy]``. Without them: an hour, for a desk of one."""

    needs: Needs = Needs.DELAY
    delay_s: int = DELAY_DEFAULT_S


LOOSENING_DEFAULT: Final = Loosening()
