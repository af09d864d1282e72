"""What is usual for an account: the measure of how large an incident must be to be one."""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np

from sandbox.orderflow.rows import Rows

_RECENT: Final = 400
_QUIET_SHARE: Final = 0.02
"""An hour of the day is quiet when the account sent something in it on at most one day in fifty."""


class Usual:
    """An account's orders without incidents. Each answer but `quiet` is of the time before the moment asked for."""

    def __init__(self, rows: Rows, symbols: list[str]) -> None:
        self.rows = rows
        self.symbols = symbols  # All that the market has.
        self.ts = rows["ts"]
        self.placed = np.flatnonzero(rows["type"] == "new")
        self.amends = bool((rows["type"] == "amend").any())
        hours, days = (self.ts % 86_400 // 3600).astype(int), (self.ts // 86_400).astype(int)
        busy = np.zeros((24, int(np.ptp(days)) + 1), dtype=bool)
        busy[hours, days - days.min()] = True
        self.quiet = frozenset(np.flatnonzero(busy.mean(axis=1) <= _QUIET_SHARE).tolist())
        first = np.searchsorted(self.ts, self.ts - 10.0, side="right")
        self._within_10s = np.maximum.accumulate(np.arange(1, len(rows) + 1) - first)

    def next(self, at: float) -> int:
        """The place of the first row from `at` on; the number of rows when there is none."""
        return int(np.searchsorted(self.ts, at))

    def next_placed(self, at: float) -> int | None:
        """The place of the first order placed from `at` on."""
        later = int(np.searchsorted(self.placed, self.next(at)))
        return int(self.placed[later]) if later < len(self.placed) else None

    def has_placed(self, at: float) -> bool:
        """Whether any order was placed before `at`: without one nothing is usual."""
        return len(self.placed) > 0 and int(self.placed[0]) < self.next(at)

    def template(self, at: float, rng: random.Random) -> dict[str, Any]:
        """One of the last orders placed, as a record that can be varied."""
        before = int(np.searchsorted(self.placed, self.next(at)))
        recent = self.placed[max(0, before - _RECENT) : before]
        place = int(recent[rng.randrange(len(recent))])
        record = self.record(place)
        record["round_trip_ms"] = self.round_trip_ms(at) * rng.uniform(0.8, 1.3)
        record["rejected"] = False
        return record

    def record(self, place: int) -> dict[str, Any]:
        """One row as a record."""
        return dict(zip(self.rows.dtype.names or (), self.rows[place].item(), strict=True))

    def largest(self, at: float) -> float:
        """The largest notional so far, on any symbol."""
        return float(self.rows["notional"][: self.next(at)].max())

    def typical(self, at: float) -> float:
        """The median notional of the last orders placed."""
        before = int(np.searchsorted(self.placed, self.next(at)))
        return float(np.median(self.rows["notional"][self.placed[max(0, before - _RECENT) : before]]))

    def farthest_bps(self, at: float, sign: int) -> float:
        """The largest distance so far on the aggressive (+1) or the passive (-1) side; 0 when none was on it."""
        before = self.rows[: self.next(at)]
        return max(0.0, float((before["distance_bps"] * sign).max()))

    def busiest_10s(self, at: float) -> int:
        """The most messages within ten seconds so far."""
        return int(self._within_10s[max(0, self.next(at) - 1)])

    def round_trip_ms(self, at: float) -> float:
        """The median round trip of late."""
        before = self.next(at)
        return float(np.median(self.rows["round_trip_ms"][max(0, before - 100) : before]))
