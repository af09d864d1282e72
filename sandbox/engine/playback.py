"""Recorded prices played back: each bar's path spread over the engine's steps, the last price held at the end.

A bar says where its price went, not in which order. The rule here is fixed: a bar that closes no lower than it opened
went down first, one that closes lower went up first. The extremes lie at a third and two thirds of its time, on whole
steps, so that they are met exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from sandbox.engine.model import ZERO
from sandbox.engine.scenario import STEP_MS

_EIGHT_PLACES = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a recorded price. Volume in base units, times in milliseconds; `interval_ms` is its length."""

    open_ms: int
    interval_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def end_ms(self) -> int:
        """The first moment after the bar."""
        return self.open_ms + self.interval_ms

    def price_at(self, now_ms: int) -> Decimal:
        """The price at a moment of the bar; its close from its end on."""
        third = self.interval_ms // 3 // STEP_MS * STEP_MS
        low_first = self.close >= self.open
        first, second = (self.low, self.high) if low_first else (self.high, self.low)
        points = (
            (0, self.open),
            (third, first),
            (2 * third, second),
            (self.interval_ms, self.close),
        )
        passed = min(max(now_ms - self.open_ms, 0), self.interval_ms)
        for (began, start), (ended, end) in pairwise(points):
            if passed <= ended:
                return (start + (end - start) * (passed - began) / (ended - began)).quantize(_EIGHT_PLACES)
        return self.close


@dataclass(frozen=True, slots=True)
class RecordedFunding:
    """A funding rate as it was charged, as a fraction of notional."""

    time_ms: int
    rate: Decimal


@dataclass(slots=True)
class Series:
    """The bars of one price in order of time. A gap between bars is bridged by the last price."""

    bars: list[Bar]
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [bar.open_ms for bar in self.bars]

    def bar_at(self, now_ms: int) -> Bar:
        """The bar that a moment belongs to or follows; the first one before the beginning."""
        return self.bars[max(0, bisect_right(self._starts, now_ms - 1) - 1)]

    @property
    def start_ms(self) -> int:
        """When the first bar opens."""
        return self.bars[0].open_ms

    @property
    def end_ms(self) -> int:
        """When the last bar ends."""
        return self.bars[-1].end_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRecording:
    """What was recorded of one symbol. Without `marks` the mark follows the price; without `fundings` the formula."""

    prices: Series
    marks: Series | None = None
    fundings: tuple[RecordedFunding, ...] = ()


@dataclass(frozen=True, slots=True)
class Playback:
    """The recordings by symbol, read by the engine at every step."""

    symbols: dict[str, SymbolRecording]

    @property
    def start_ms(self) -> int:
        """Engine time at the start: the first bar of the symbol whose record begins first."""
        return min(recording.prices.start_ms for recording in self.symbols.values())

    @property
    def end_ms(self) -> int:
        """From here on every symbol holds its last price."""
        return max(recording.prices.end_ms for recording in self.symbols.values())

    def price(self, symbol: str, now_ms: int) -> Decimal:
        """The recorded price of a symbol at a moment."""
        return self.symbols[symbol].prices.bar_at(now_ms).price_at(now_ms)

    def mark_price(self, symbol: str, now_ms: int) -> Decimal | None:
        """The recorded mark price, None when none was recorded."""
        marks = self.symbols[symbol].marks
        return marks.bar_at(now_ms).price_at(now_ms) if marks else None

    def volume(self, symbol: str, now_ms: int, step_ms: int) -> Decimal:
        """The base units that traded in one step; zero once the record has ended or where it has a gap."""
        bar = self.symbols[symbol].prices.bar_at(now_ms)
        return bar.volume * step_ms / bar.interval_ms if bar.open_ms < now_ms <= bar.end_ms else ZERO
