"""What the guard asks a venue about its markets, beside mark prices. Each read says what it weighs of the budget.

Weights: Binance USD-M "Market Data Endpoints" and the table in ccxt 4.5.90, which agree; seen 2026-11. An address has
2,400 a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final, Protocol

from proxy.exchange.market_payloads import (
    Candle,
    Depth,
    FundingRate,
    MarkCandle,
    Touch,
    busiest_of,
    candles_of,
    depth_of,
    funding_rates_of,
    last_prices_of,
    mark_candles_of,
    positive,
    touches_of,
)
from proxy.exchange.payloads import parsed

BUSIEST_WEIGHT: Final = 40
DEPTH_LEVELS: Final = 50
DEPTH_WEIGHT: Final = 2
"""Up to fifty levels; a hundred would weigh five."""

SINGLE_WEIGHT: Final = 1
"""Open interest, the last day of one symbol, funding rates, and open interest's history (which has its own limit)."""


class Read(Protocol):
    """A request that is safe to repeat, as ``VenueAccount`` makes it. Raises ``VenueTrouble``."""

    def __call__(
        self, call: Callable[[dict[str, str]], Awaitable[Any]], params: dict[str, str] | None = None
    ) -> Awaitable[Any]: ...


def candles_weight(limit: int) -> int:
    """What a request for so many candles weighs."""
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10


class MarketReads:
    """Public reads through an account's connections. All raise ``VenueTrouble``."""

    def __init__(self, client: Any, read: Read) -> None:
        self._venue = client
        self._read = read

    async def touches(self) -> dict[str, Touch]:
        """Best bid and ask of every symbol."""
        rows = await self._read(self._venue.fapiPublicGetTickerBookTicker)
        return parsed(lambda: touches_of(rows))

    async def last_prices(self) -> dict[str, Decimal]:
        """The last traded price of every symbol."""
        rows = await self._read(self._venue.fapiPublicV2GetTickerPrice)
        return parsed(lambda: last_prices_of(rows))

    async def busiest(self, most: int) -> tuple[str, ...]:
        """The symbols with the largest turnover of the last 24 hours, largest first."""
        rows = await self._read(self._venue.fapiPublicGetTicker24hr)
        return parsed(lambda: busiest_of(rows, most))

    async def candles(
        self, symbol: str, interval: str, limit: int, *, before_ms: int | None = None
    ) -> tuple[Candle, ...]:
        """The last candles of traded prices, oldest first, the newest one still open.

        With ``before_ms`` those that opened before the venue's time ``before_ms``.
        """
        end = {"endTime": str(before_ms - 1)} if before_ms is not None else {}
        asked = {"symbol": symbol, "interval": interval, "limit": str(limit), **end}
        rows = await self._read(self._venue.fapiPublicGetKlines, asked)
        return parsed(lambda: candles_of(rows))

    async def mark_minutes(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The last one-minute candles of the mark price, oldest first, the newest one still open."""
        asked = {"symbol": symbol, "interval": "1m", "limit": str(limit)}
        rows = await self._read(self._venue.fapiPublicGetMarkPriceKlines, asked)
        return parsed(lambda: candles_of(rows))

    async def mark_hours(self, symbol: str, limit: int, *, since_ms: int) -> tuple[MarkCandle, ...]:
        """Hourly candles of the mark price that opened at ``since_ms`` or later, oldest first: the first ``limit``.

        The last of them may still be open.
        """
        asked = {"symbol": symbol, "interval": "1h", "limit": str(limit), "startTime": str(since_ms)}
        rows = await self._read(self._venue.fapiPublicGetMarkPriceKlines, asked)
        return parsed(lambda: mark_candles_of(rows))

    async def daily_volume(self, symbol: str) -> Decimal:
        """What was traded of a symbol in the last 24 hours, in base units."""
        row = await self._read(self._venue.fapiPublicGetTicker24hr, {"symbol": symbol})
        return parsed(lambda: Decimal(row["volume"]))

    async def open_interest(self, symbol: str) -> Decimal:
        """The contracts of a symbol that are open, in base units."""
        row = await self._read(self._venue.fapiPublicGetOpenInterest, {"symbol": symbol})
        return parsed(lambda: Decimal(row["openInterest"]))

    async def open_interests(self, symbol: str, limit: int) -> tuple[Decimal, ...]:
        """Open interest at the last full hours, oldest first, in base units. The venue keeps a month of it."""
        asked = {"symbol": symbol, "period": "1h", "limit": str(limit)}
        rows = await self._read(self._venue.fapiDataGetOpenInterestHist, asked)
        return parsed(lambda: tuple(value for row in rows if (value := positive(row["sumOpenInterest"])) is not None))

    async def funding_rates(self, symbol: str, limit: int, *, since_ms: int | None = None) -> tuple[FundingRate, ...]:
        """Funding rates that were charged, oldest first: the last ones, or those from ``since_ms`` on."""
        since = {"startTime": str(since_ms)} if since_ms is not None else {}
        asked = {"symbol": symbol, "limit": str(limit), **since}
        rows = await self._read(self._venue.fapiPublicGetFundingRate, asked)
        return parsed(lambda: funding_rates_of(rows))

    async def depth(self, symbol: str) -> Depth:
        """The nearest ``DEPTH_LEVELS`` levels of both sides of a book."""
        row = await self._read(self._venue.fapiPublicGetDepth, {"symbol": symbol, "limit": str(DEPTH_LEVELS)})
        return parsed(lambda: depth_of(row))
