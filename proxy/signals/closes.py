"""About a week of five-minute closing prices of one symbol, without a gap, and the returns in them. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from proxy.exchange.market_payloads import Candle

BAR_MS: Final = 300_000
HOUR_MS: Final = 3_600_000
BARS_KEPT: Final = 2_016
"""Seven days."""


class Closes:
    """The closes, oldest first. One thread adds to them; others may read meanwhile."""

    def __init__(self) -> None:
        self._bars: list[tuple[int, float]] = []

    @property
    def first_ms(self) -> int | None:
        """When the oldest candle opened, the venue's time; ``None`` before any."""
        return self._bars[0][0] if self._bars else None

    @property
    def hour_ms(self) -> int | None:
        """The last full hour that is in here, the venue's time; ``None`` before any."""
        ends = (open_ms + BAR_MS for open_ms, _ in reversed(self._bars))
        return next((end for end in ends if end % HOUR_MS == 0), None)

    def joins(self, candles: Sequence[Candle]) -> bool:
        """Whether ``candles`` continue what is here without a gap, or there is nothing yet."""
        return not self._bars or (bool(candles) and candles[0].open_ms <= self._bars[-1][0] + BAR_MS)

    def take(self, candles: Sequence[Candle]) -> bool:
        """Add closed candles, oldest first, after those here or before them; whether anything changed.

        What is here already is passed over. Where a candle is missing only what follows it is kept: a return over a
        gap is no five-minute return.
        """
        known = dict(self._bars)
        merged = {candle.open_ms: float(candle.close) for candle in candles} | known
        if len(merged) == len(known):
            return False
        bars = sorted(merged.items())[-BARS_KEPT:]
        cut = max((n + 1 for n, (one, next_) in enumerate(pairwise(bars)) if next_[0] - one[0] != BAR_MS), default=0)
        self._bars = bars[cut:]
        return True

    def returns(self) -> list[float]:
        """Five-minute log returns, oldest first."""
        return [math.log(later / earlier) for (_, earlier), (_, later) in pairwise(self._bars)]

    def hourly_returns(self, until_ms: int) -> list[float]:
        """Log returns of full hours, oldest first; the last one ends at ``until_ms``, none later."""
        ends = ((open_ms + BAR_MS, close) for open_ms, close in self._bars)
        closes = [close for end, close in ends if end % HOUR_MS == 0 and end <= until_ms]
        return [math.log(later / earlier) for earlier, later in pairwise(closes)]
