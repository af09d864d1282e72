"""How the venue answers, and how far from the mark an order stands: latency, rejections, distance."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import asinh, exp, log, log1p, sinh
from typing import Any, Final

from proxy.signals.evidence.event import OrderEvent
from proxy.signals.evidence.kinds import Kind

DISTANCE_UNIT_BPS: Final = 25.0
"""Distances below this are compared as they are, above it as logarithms."""

LEARNING: Final = 0.02
SPREAD_MIN: Final = 0.1
SLOW_FREE: Final = 1.5
SLOW_STEP_MAX: Final = 8.0
SURPRISE_MAX: Final = 3.0
SLOW_S: Final = 600.0
REJECTS_S: Final = 60.0
FORGIVEN: Final = 0.5
"""What one accepted message leaves of a run of rejections."""

ANSWERS_NEEDED: Final = 10
IN_A_ROW: Final = 3
"""One slow answer happens, and so does a run of answers that are a little slow: this many, all of them far slower, is
another thing, and told sooner than a sum."""


def distance_of(evidence: float) -> float:
    """The distance in basis points that makes this evidence of distance."""
    return DISTANCE_UNIT_BPS * sinh(evidence)


@dataclass(slots=True)
class Answers:
    """What is remembered of the venue's answers to one account."""

    at: float = 0.0
    rejects: float = 0.0
    answers: int = 0
    usual: float = 0.0
    spread: float = 0.5
    slow: float = 0.0
    row: list[list[float]] = field(default_factory=list)

    def observe(self, event: OrderEvent, now: float, found: list[float]) -> None:
        """Write down the evidence of price and answer."""
        if event.distance_bps is not None and event.type in ("new", "amend"):
            kind = Kind.AGGRESSIVE if event.distance_bps > 0 else Kind.PASSIVE
            found[kind] = asinh(abs(event.distance_bps) / DISTANCE_UNIT_BPS)
        passed, self.at = now - self.at, now
        self.rejects *= exp(-passed / REJECTS_S)
        if event.rejected:
            self.rejects += 1.0
            found[Kind.REJECTS] = log(self.rejects)
        elif event.rejected is False:
            self.rejects *= FORGIVEN
        if event.round_trip_ms is not None:
            self._answered(log(event.round_trip_ms), passed, found)

    def _answered(self, round_trip: float, passed: float, found: list[float]) -> None:
        """One round trip (its logarithm): slow ones in a row add up, less what a slow one is now and then."""
        surprise = (round_trip - self.usual) / self.spread
        if self.answers >= ANSWERS_NEEDED:
            step = min(SLOW_STEP_MAX, surprise) - SLOW_FREE
            self.slow = max(0.0, self.slow * exp(-passed / SLOW_S) + step)
            found[Kind.LATENCY] = log1p(self.slow)
            self._all_slow(round_trip - self.usual, found)
        self.answers += 1
        weight = max(LEARNING, 1.0 / self.answers)
        delta = round_trip - self.usual
        if self.answers == 1:
            self.usual, delta = round_trip, 0.0
        if self.answers > ANSWERS_NEEDED:
            limit = SURPRISE_MAX * self.spread
            delta = min(limit, max(-limit, delta))
        self.usual += weight * delta
        self.spread = max(SPREAD_MIN, self.spread + weight * (1.25 * abs(delta) - self.spread))

    def _all_slow(self, slower: float, found: list[float]) -> None:
        """How many times slower (its logarithm) than usual each of the last few answers was, of one time."""
        row = self.row
        row.append([self.at, slower])
        if len(row) > IN_A_ROW:
            del row[0]
        if len(row) == IN_A_ROW and self.at - row[0][0] <= SLOW_S:
            found[Kind.ALL_SLOW] = max(0.0, min([each[1] for each in row]))

    def state(self) -> dict[str, Any]:
        """What is remembered as plain data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Answers:
        """What ``state`` wrote. Raises ``TypeError`` for other fields."""
        return cls(**state)
