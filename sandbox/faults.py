"""Trouble on demand: slow answers, lost requests and answers, doubled requests, answers that do not say what happened.

These are the faults of the way to the exchange. Those of the exchange itself (maintenance, an empty book, partial
fills) are states of the engine, and bans are kept by the limits; `control.py` arms them all at one door.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class LateExecution(StrEnum):
    """What becomes of an order whose sender was told 503 "execution status unknown"."""

    NOW = "now"
    LATE = "late"
    NEVER = "never"


class FaultScope(StrEnum):
    """Which requests the counted faults are aimed at."""

    ORDERS = "orders"
    WRITES = "writes"
    READS = "reads"
    ALL = "all"

    def covers(self, *, reads_only: bool, places_orders: bool) -> bool:
        """True when a request of this kind can be hit. Orders are what places or amends; writes are all but reads."""
        match self:
            case FaultScope.ORDERS:
                return places_orders
            case FaultScope.WRITES:
                return not reads_only
            case FaultScope.READS:
                return reads_only
            case FaultScope.ALL:
                return True


class Fault(StrEnum):
    """What happens to one request."""

    NONE = "none"
    LOST_REQUEST = "lost_request"
    DROP_REPLY = "drop_reply"
    DUPLICATE = "duplicate"
    UNKNOWN_503 = "unknown_503"
    REJECT_429 = "reject_429"


# Refusals come first, then what is lost on the way there, then on the way back.
_ORDER = (Fault.REJECT_429, Fault.LOST_REQUEST, Fault.DROP_REPLY, Fault.DUPLICATE, Fault.UNKNOWN_503)


@dataclass(slots=True)
class Faults:
    """The armed faults. Counters are requests in `scope` still to be hit; the latency delays every venue answer.

    `jitter_ms` is the most that chance adds to `latency_ms`. `hits` counts what has been met since the last clearing.
    """

    scope: FaultScope = FaultScope.ORDERS
    latency_ms: int = 0
    jitter_ms: int = 0
    lost_request: int = 0
    drop_reply: int = 0
    duplicate: int = 0
    unknown_503: int = 0
    unknown_503_execution: LateExecution = LateExecution.NOW
    late_ms: int = 1_000
    reject_429: int = 0
    retry_after_s: int = 1
    hits: Counter[str] = field(default_factory=Counter)
    seed: int = 0
    _chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def next_for(self, *, reads_only: bool, places_orders: bool) -> Fault:
        """The fault that a request meets, counted down."""
        if not self.scope.covers(reads_only=reads_only, places_orders=places_orders):
            return Fault.NONE
        for fault in _ORDER:
            left: int = getattr(self, fault)
            if left > 0:
                setattr(self, fault, left - 1)
                self.hits[fault] += 1
                return fault
        return Fault.NONE

    def delay_s(self) -> float:
        """How long to keep the next answer, in seconds."""
        return (self.latency_ms + self._chance.randint(0, self.jitter_ms)) / 1000
