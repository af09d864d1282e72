"""How far a mark price has moved in the last minute, five minutes and hour: lowest and highest, exactly. No I/O.

Only what was watched without a gap counts: after one, a window is unknown until it has been watched whole, or filled
from the venue's own one-minute candles of the mark price.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from rules.facts import PRICE_WINDOWS_S, PriceRange

GAP_MAX: Final = timedelta(seconds=30)
"""Marks come every two seconds; a longer silence may hide a move."""

MINUTE: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(seconds=max(PRICE_WINDOWS_S))


@dataclass(frozen=True, slots=True)
class MinuteCandle:
    """One minute of a mark price. ``open_ms`` is the venue's time of its beginning."""

    open_ms: int
    low: Decimal
    high: Decimal


class PriceWatch:
    """One symbol. Two queues hold only prices that can still be an extreme: an entry beaten by a later one is gone."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._last: datetime | None = None
        self._lows: deque[tuple[datetime, Decimal]] = deque()
        self._highs: deque[tuple[datetime, Decimal]] = deque()

    @property
    def as_of(self) -> datetime | None:
        """The moment of the last price, ``None`` before the first."""
        return self._last

    def whole(self, at: datetime) -> bool:
        """Whether the longest window has been watched, or filled, without a gap."""
        return self._since is not None and not self._broken(at) and self._since <= at - _LONGEST

    def note(self, at: datetime, price: Decimal) -> None:
        """The mark price at ``at``. One that is not later than the last is passed over, unless the clock was set."""
        if self._last is None or self._broken(at):
            self._forget()
            self._since = at
        elif at <= self._last:
            return
        self._last = at
        _push_low(self._lows, at, price)
        _push_high(self._highs, at, price)
        for queue in (self._lows, self._highs):
            while queue[0][0] < at - _LONGEST:
                queue.popleft()

    def fill(self, at: datetime, candles: Sequence[MinuteCandle]) -> None:
        """Take the past from one-minute candles read at ``at``, oldest first, the newest one still open.

        When in its minute an extreme was is not known: it counts as the minute's end, so that it leaves a window
        late rather than early. Ages are counted from the newest candle; the venue's clock does not matter.
        """
        if not candles:
            return
        watched = [*self._lows], [*self._highs], self._last
        self._forget()
        newest_ms = candles[-1].open_ms
        for candle in candles:
            end = min(at, at - timedelta(milliseconds=newest_ms - candle.open_ms) + MINUTE)
            _push_low(self._lows, end, candle.low)
            _push_high(self._highs, end, candle.high)
        # At worst the newest candle has only just begun: then this much, and no more, is covered.
        self._since = at - timedelta(milliseconds=newest_ms - candles[0].open_ms)
        self._last = at
        lows, highs, last = watched
        if last is not None and last > at:
            # Marks were heard while the candles were on their way.
            for moment, price in lows:
                if moment > at:
                    _push_low(self._lows, moment, price)
            for moment, price in highs:
                if moment > at:
                    _push_high(self._highs, moment, price)
            self._last = last

    def ranges(self, at: datetime) -> tuple[PriceRange, ...]:
        """The ranges of all windows known at ``at``, as of the last price: what came after it is not known."""
        if self._since is None or self._last is None or self._broken(at):
            return ()
        return tuple(
            PriceRange(
                window_s=window_s, as_of=self._last, low=_first(self._lows, begin), high=_first(self._highs, begin)
            )
            for window_s in PRICE_WINDOWS_S
            if self._since <= (begin := at - timedelta(seconds=window_s))
        )

    def _broken(self, at: datetime) -> bool:
        return self._last is None or abs(at - self._last) > GAP_MAX

    def _forget(self) -> None:
        self._since = self._last = None
        self._lows.clear()
        self._highs.clear()


def _push_low(queue: deque[tuple[datetime, Decimal]], at: datetime, price: Decimal) -> None:
    while queue and queue[-1][1] >= price:
        queue.pop()
    queue.append((at, price))


def _push_high(queue: deque[tuple[datetime, Decimal]], at: datetime, price: Decimal) -> None:
    while queue and queue[-1][1] <= price:
        queue.pop()
    queue.append((at, price))


def _first(queue: deque[tuple[datetime, Decimal]], begin: datetime) -> Decimal:
    """The extreme since ``begin``: of what can still be one, the earliest is the greatest."""
    return queue[bisect_left(queue, begin, key=lambda entry: entry[0])][1]
