"""How fast and in what pattern messages come: bursts, the same order again and again, flipping sides, churn, turnover.

Counts decay exponentially instead of sliding: the state is a number each, and a clock that jumps does no harm.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import exp, log
from typing import Any, Final

from proxy.signals.evidence.event import OrderEvent
from proxy.signals.evidence.kinds import Kind

CHURN_S: Final = 60.0
FLIPS_S: Final = 20.0
TURNOVER_S: Final = 600.0
SAME_GAP_S: Final = 3.0
"""Orders further apart than this are no run: a loop that went wild does not wait."""

FLIP_GAP_S: Final = 30.0
SAME_SIZE: Final = 0.02
SAME_PRICE_BPS: Final = 5.0
AT_MARKET: Final = 1e6
"""Stands for the distance of an order without a price: all of them are alike."""

SHARP_BPS: Final = -0.5
"""From here to the aggressive side an order means to trade at once; one without a price does so always."""


@dataclass(slots=True)
class Pace:
    """The counts of one account. Times are seconds, counts decay by e in the time their name says."""

    at: float = 0.0
    in_1s: float = 0.0
    in_10s: float = 0.0
    in_60s: float = 0.0
    cancels: float = 0.0
    turnover: float = 0.0
    sharp_flips: float = 0.0
    order_at: float = -1e9
    symbol: str = ""
    side: str = ""
    notional: float = 0.0
    distance: float = 0.0
    same_side: int = 0
    repeated: int = 0
    flips: int = 0
    sharp_at: float = -1e9
    sharp_symbol: str = ""
    sharp_side: str = ""

    def observe(self, event: OrderEvent, now: float, found: list[float]) -> None:
        """Count the event and write down the evidence it makes."""
        passed = now - self.at
        self.at = now
        if passed > 0:
            minute = exp(-passed / CHURN_S)
            self.in_60s *= minute
            self.cancels *= minute
            self.turnover *= exp(-passed / TURNOVER_S)
            if passed < 300:
                self.in_1s *= exp(-passed)
                self.in_10s *= exp(-passed / 10.0)
                self.sharp_flips *= exp(-passed / FLIPS_S)
            else:
                self.in_1s = self.in_10s = self.sharp_flips = 0.0
        if event.type == "answer":
            return
        if event.type == "cancel":
            self.cancels += 1
            self.repeated = 0
            found[Kind.CHURN] = log((1 + self.cancels) / (1 + self.in_60s))
            return
        self.in_1s += 1
        self.in_10s += 1
        self.in_60s += 1
        found[Kind.BURST_1S] = log(self.in_1s)
        found[Kind.BURST_10S] = log(self.in_10s)
        found[Kind.BURST_60S] = log(self.in_60s)
        if event.type == "new":
            self._runs(event, now, found)
            self._sharp(event, now, found)
            if event.notional is not None:
                self.turnover += event.notional
                found[Kind.TURNOVER] = log(self.turnover)

    def _runs(self, event: OrderEvent, now: float, found: list[float]) -> None:
        gap = now - self.order_at
        same_symbol = event.symbol == self.symbol
        same = same_symbol and event.side == self.side and gap < SAME_GAP_S
        self.same_side = self.same_side + 1 if same else 1
        size = event.notional or 0.0
        alike = same and abs(size - self.notional) <= SAME_SIZE * self.notional
        distance = event.distance_bps if event.distance_bps is not None else AT_MARKET
        alike = alike and abs(distance - self.distance) <= SAME_PRICE_BPS
        self.repeated = self.repeated + 1 if alike else 1
        self.flips = self.flips + 1 if same_symbol and event.side != self.side and gap < FLIP_GAP_S else 0
        self.order_at, self.symbol, self.side = now, event.symbol, event.side
        self.notional, self.distance = size, distance
        found[Kind.SAME_SIDE] = log(self.same_side)
        found[Kind.REPEATED] = log(self.repeated)
        found[Kind.FLIPS] = log(max(1, self.flips))

    def _sharp(self, event: OrderEvent, now: float, found: list[float]) -> None:
        if event.distance_bps is not None and event.distance_bps < SHARP_BPS:
            return
        if event.symbol == self.sharp_symbol and event.side != self.sharp_side and now - self.sharp_at < FLIP_GAP_S:
            self.sharp_flips += 1
        self.sharp_at, self.sharp_symbol, self.sharp_side = now, event.symbol, event.side
        found[Kind.SHARP_FLIPS] = log(max(1.0, self.sharp_flips))

    def state(self) -> dict[str, Any]:
        """The counts as plain data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Pace:
        """The counts that ``state`` wrote. Raises ``TypeError`` for other fields."""
        return cls(**state)
