"""Trouble on demand: slow answers, lost answers, answers that do not say what happened, and refusals for haste."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LateExecution(StrEnum):
    """What becomes of an order whose sender was told 503 "execution status unknown"."""

    NOW = "now"
    LATE = "late"
    NEVER = "never"


class Fault(StrEnum):
    """What happens to one order request."""

    NONE = "none"
    DROP_REPLY = "drop_reply"
    UNKNOWN_503 = "unknown_503"
    REJECT_429 = "reject_429"


@dataclass(slots=True)
class Faults:
    """The armed faults. Counters are order requests still to be hit; `latency_ms` delays every venue answer."""

    latency_ms: int = 0
    drop_reply: int = 0
    unknown_503: int = 0
    unknown_503_execution: LateExecution = LateExecution.NOW
    late_ms: int = 1_000
    reject_429: int = 0
    retry_after_s: int = 1

    def next_for_order(self) -> Fault:
        """The fault the next order request meets, counted down; refusals come first, then lost answers."""
        if self.reject_429 > 0:
            self.reject_429 -= 1
            return Fault.REJECT_429
        if self.drop_reply > 0:
            self.drop_reply -= 1
            return Fault.DROP_REPLY
        if self.unknown_503 > 0:
            self.unknown_503 -= 1
            return Fault.UNKNOWN_503
        return Fault.NONE
