"""How an account's private stream is, for people and for what watches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FeedStatus(StrEnum):
    """Whether an account's private stream is unbroken, in doubt, or there is none and surveys are all."""

    LIVE = "LIVE"
    STALE = "STALE"
    OFF = "OFF"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """An account's feed for people. ``why`` says why it is STALE; ``age_s`` is the venue's last sign of life.
    ``adopted`` is what the first survey found, ``gaps_healed`` counts what surveys put right."""

    state: FeedStatus
    why: str
    age_s: float | None
    adopted: dict[str, Any] | None
    gaps_healed: int
