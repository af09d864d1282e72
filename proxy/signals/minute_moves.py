"""One symbol's adverse-move forecast, fed with the venue's one-minute candles as they are read. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from proxy.exchange.market_payloads import Candle
from proxy.signals.slippage import AdverseMoveForecaster

MINUTE_MS: Final = 60_000
RECENT: Final = 90
"""Minutes whose candles are kept, oldest first: by them it is told what became of a forecast."""


class MinuteMoves:
    """Candles may come again, overlap, or leave minutes out."""

    def __init__(self) -> None:
        self.forecaster = AdverseMoveForecaster()
        self.recent: deque[Candle] = deque(maxlen=RECENT)
        self._last_ms: int | None = None

    @property
    def is_new(self) -> bool:
        """Whether nothing was taken in yet."""
        return self._last_ms is None

    async def warm(self, candles: Sequence[Candle]) -> None:
        """Take in the first, many closed candles, oldest first, beside the loop."""
        warmed = MinuteMoves()
        await asyncio.to_thread(warmed.take, candles)
        self.forecaster, self.recent, self._last_ms = warmed.forecaster, warmed.recent, warmed._last_ms

    def take(self, candles: Sequence[Candle]) -> None:
        """Take in closed candles, oldest first; those known already are passed over."""
        for candle in candles:
            if self._last_ms is not None:
                if candle.open_ms <= self._last_ms:
                    continue
                if candle.open_ms > self._last_ms + MINUTE_MS:
                    self.forecaster.gap()
            self._last_ms = candle.open_ms
            self.recent.append(candle)
            close = float(candle.close)
            # Where within its range a bar opened, and its volume, have no part in the forecast.
            self.forecaster.update(close, float(candle.high), float(candle.low), close, 0.0)
