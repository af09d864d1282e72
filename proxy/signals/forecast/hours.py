"""Bars of a minute to an hour, checked and gathered into hours of the clock.

Everything behind this is fitted to hours: shorter bars bring almost nothing to a forecast of an hour or more. What is
not a bar is refused here in words, and time never runs backwards past this door.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

HOUR_S: Final = 3600.0
BARS_AN_HOUR_MAX: Final = 60
SHARE_NEEDED: Final = 0.5
"""An hour of which fewer bars than this share arrived says too little of its range: it counts as a gap."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour, or what there is of it. ``number`` counts hours since 1970; ``share`` is 1 when all bars are in."""

    number: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    bars: int
    share: float

    @property
    def silent(self) -> bool:
        """Nothing traded and nothing moved: a halted market, which says nothing of the next trade."""
        return self.volume == 0 and self.high == self.low


class Hours:
    """Gathers bars into hours. ``running`` is the hour that is not over yet."""

    def __init__(self, bar_hours: float) -> None:
        """``bar_hours``: the length of a bar. Raises ``ValueError`` unless at most 60 of them fill an hour."""
        bars = round(1 / bar_hours) if math.isfinite(bar_hours) and bar_hours > 0 else 0
        if not 1 <= bars <= BARS_AN_HOUR_MAX or abs(bars * bar_hours - 1) > 1e-6:
            raise ValueError(f"bars of {bar_hours} hours do not fill an hour (a minute to an hour each)")
        self._bars_an_hour = bars
        self._half_bar_s = HOUR_S / bars / 2
        self._last_ts = -math.inf
        self._finished = -1
        self.running: Hour | None = None

    def add(self, ts: float, open_: float, high: float, low: float, close: float, volume: float) -> list[Hour]:
        """One bar more; the hours that are over with it, oldest first.

        Raises ``ValueError`` for what is no bar, and for a bar that is not after the last one; nothing changes then.
        """
        _check(ts, open_, high, low, close, volume)
        number = int((ts - self._half_bar_s) // HOUR_S)
        if ts <= self._last_ts or number <= self._finished:
            raise ValueError(f"the bar that closed at {ts:.0f} is not after the one at {self._last_ts:.0f}")
        self._last_ts = ts
        over = []
        if self.running is not None and self.running.number < number:
            over += self._finish(self.running)
        self.running = self._joined(number, open_, high, low, close, volume)
        if int((ts + self._half_bar_s) // HOUR_S) > number:
            over += self._finish(self.running)
        return over

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart."""
        running = None if self.running is None else asdict(self.running)
        return {
            "last_ts": self._last_ts if self._finished >= 0 or running else None,
            "finished": self._finished,
            "running": running,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._last_ts = -math.inf if state["last_ts"] is None else float(state["last_ts"])
        self._finished = int(state["finished"])
        self.running = None if state["running"] is None else Hour(**state["running"])

    def _joined(self, number: int, open_: float, high: float, low: float, close: float, volume: float) -> Hour:
        before = self.running
        if before is None:
            return Hour(number, open_, high, low, close, volume, 1, 1 / self._bars_an_hour)
        bars = before.bars + 1
        return Hour(
            number,
            before.open,
            max(before.high, high),
            min(before.low, low),
            close,
            before.volume + volume,
            bars,
            min(1.0, bars / self._bars_an_hour),
        )

    def _finish(self, hour: Hour) -> list[Hour]:
        self._finished, self.running = hour.number, None
        return [hour] if hour.share >= SHARE_NEEDED else []


def _check(ts: float, open_: float, high: float, low: float, close: float, volume: float) -> None:
    if not all(map(math.isfinite, (ts, open_, high, low, close, volume))) or ts < 0:
        raise ValueError(f"a bar needs finite numbers: ts {ts}, {open_}, {high}, {low}, {close}, volume {volume}")
    if not 0 < low <= min(open_, close) <= max(open_, close) <= high or volume < 0:
        raise ValueError(f"no bar: open {open_}, high {high}, low {low}, close {close}, volume {volume}")
