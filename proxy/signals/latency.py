"""How the way to the venue is, against its own history: round trips, stream lag and clock skew. No I/O.

"Now" is the median of the last samples, so that one slow answer is no shock; "usual" is the median of the last hours'
minutes, so that a bad hour does not become the usual. Milliseconds throughout, moments in seconds of a steady clock.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import Final

from rules.facts import Latency

SAMPLES_MAX: Final = 500
"""Samples kept of the present window; more than eight a second push out the oldest."""

MINUTES_KEPT: Final = 360
MINUTES_NEEDED: Final = 3
"""Minutes with samples before anything is called usual."""

NOW_S: Final = 60.0
STREAM_NOW_S: Final = 300.0
"""Accounts are silent for minutes; a lag heard of this long ago still stands for the stream."""

ORDERS_NEEDED: Final = 3
"""Orders in the window before their round trips speak, instead of the guard's own reads."""


class History:
    """One quantity: what it is now, and what it usually is."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self._now_s = now_s
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES_MAX)
        self._minutes: deque[float] = deque(maxlen=MINUTES_KEPT)
        self._minute: tuple[int, list[float]] = (0, [])
        self._inherited: float | None = None

    def add(self, at: float, value: float) -> None:
        """One sample, taken at ``at``."""
        self._samples.append((at, value))
        self._roll(at)
        if len(self._minute[1]) < SAMPLES_MAX:
            self._minute[1].append(value)

    def inherit(self, usual: float) -> None:
        """What was usual before this process began; it stands until there is a history of its own."""
        self._inherited = usual

    def count(self, at: float) -> int:
        """Samples in the present window."""
        return len(self._recent(at))

    def now(self, at: float) -> float | None:
        """The median of the present window, ``None`` without samples in it."""
        recent = self._recent(at)
        return median(recent) if recent else None

    def usual(self, at: float) -> float | None:
        """The median of the minutes before this one, ``None`` while there are too few."""
        self._roll(at)
        return median(self._minutes) if len(self._minutes) >= MINUTES_NEEDED else self._inherited

    def _recent(self, at: float) -> list[float]:
        return [value for moment, value in self._samples if moment > at - self._now_s]

    def _roll(self, at: float) -> None:
        minute, values = self._minute
        # A sample may be told of in the minute after: it does not begin its own minute again.
        if int(at // 60) > minute:
            if values:
                self._minutes.append(median(values))
            self._minute = (int(at // 60), [])


class LatencyWatch:
    """Everything that is measured of the way to one venue.

    Orders and the guard's own reads are different requests, so each is compared with its own history: orders as soon
    as there are some, reads, which never cease, in quiet times.
    """

    def __init__(self) -> None:
        self._orders = History()
        self._reads = History()
        self._stream = History(STREAM_NOW_S)
        self._skew = History()

    def order(self, at: float, milliseconds: float) -> None:
        """A bot's request was answered after this long."""
        self._orders.add(at, milliseconds)

    def read(self, at: float, milliseconds: float) -> None:
        """A read of the guard's own was answered, or given up, after this long."""
        self._reads.add(at, milliseconds)

    def stream(self, at: float, milliseconds: float) -> None:
        """An event came this long after the venue's own time of it. Below zero is the clocks' error: none."""
        self._stream.add(at, max(0.0, milliseconds))

    def skew(self, at: float, milliseconds: float) -> None:
        """The venue's clock is this far from ours, to either side."""
        self._skew.add(at, abs(milliseconds))

    def inherit(self, earlier: Latency) -> None:
        """What an earlier process published as usual."""
        for history, usual in (
            (self._orders, earlier.order_usual_ms),
            (self._reads, earlier.read_usual_ms),
            (self._stream, earlier.stream_lag_usual_ms),
            (self._skew, earlier.clock_skew_usual_ms),
        ):
            if usual is not None:
                history.inherit(float(usual))

    def latency(self, at: float, as_of: datetime) -> Latency:
        """As it is now; ``as_of`` is the same moment for people."""
        spoken = self._orders.count(at) >= ORDERS_NEEDED and self._orders.usual(at) is not None
        trips = self._orders if spoken else self._reads
        return Latency(
            as_of=as_of,
            round_trip_ms=_rounded(trips.now(at)),
            round_trip_usual_ms=_rounded(trips.usual(at)),
            stream_lag_ms=_rounded(self._stream.now(at)),
            stream_lag_usual_ms=_rounded(self._stream.usual(at)),
            clock_skew_ms=_rounded(self._skew.now(at)),
            clock_skew_usual_ms=_rounded(self._skew.usual(at)),
            order_usual_ms=_rounded(self._orders.usual(at)),
            read_usual_ms=_rounded(self._reads.usual(at)),
        )


def _rounded(milliseconds: float | None) -> Decimal | None:
    return None if milliseconds is None else Decimal(f"{milliseconds:.3f}")
