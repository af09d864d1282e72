"""Binance's public market data as the house's nouns. Pure; an unknown shape is an error, a missing part is ``None``.

Shapes: Binance USD-M "Market Data Endpoints", seen 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from proxy.exchange.row import Row
from rules.snapshot import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """Best bid and ask with their quantities in base units; ``None`` on an empty side."""

    bid_price: Decimal | None
    bid_quantity: Decimal | None
    ask_price: Decimal | None
    ask_quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle's beginning, in the venue's milliseconds, and its lowest, highest and last price."""

    open_ms: int
    low: Decimal
    high: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class MarkCandle:
    """One candle of the mark price, whole; what was traded has no part in it."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class FundingRate:
    """A funding rate that was charged: at the venue's time ``at_ms``, as a fraction of notional."""

    at_ms: int
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Depth:
    """The nearest levels of a book, best first: prices and quantities in base units."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    def within(self, band: Decimal) -> tuple[Decimal, Decimal]:
        """The quote value of the bids, and of the asks, no further than ``band`` (a fraction) from the best of each.

        Where the listed levels end before the band does it is less than what rests there, never more.
        """
        return _value(self.bids, band), _value(self.asks, band)


def markets_of(rows: Iterable[Row], now: datetime) -> dict[str, Market]:
    """The rows of premiumIndex. A symbol needs its mark price alone; contracts with a date have no funding."""
    found = {}
    for row in rows:
        mark_price = positive(row["markPrice"])
        if mark_price is None:
            continue
        next_funding_at = _moment(row.get("nextFundingTime"))
        found[row["symbol"]] = Market(
            symbol=row["symbol"],
            mark_price=mark_price,
            as_of=now,
            index_price=positive(row.get("indexPrice")),
            funding_rate=_number(row.get("lastFundingRate")) if next_funding_at is not None else None,
            next_funding_at=next_funding_at,
        )
    return found


def touches_of(rows: Iterable[Row]) -> dict[str, Touch]:
    """The rows of bookTicker, by symbol."""
    return {
        row["symbol"]: Touch(
            bid_price=positive(row["bidPrice"]),
            bid_quantity=positive(row["bidQty"]),
            ask_price=positive(row["askPrice"]),
            ask_quantity=positive(row["askQty"]),
        )
        for row in rows
    }


def last_prices_of(rows: Iterable[Row]) -> dict[str, Decimal]:
    """The rows of ticker/price, by symbol."""
    return {row["symbol"]: price for row in rows if (price := positive(row["price"])) is not None}


def candles_of(rows: Iterable[Sequence[Any]]) -> tuple[Candle, ...]:
    """The rows of klines, oldest first."""
    return tuple(
        Candle(int(row[0]), low=_above_zero(row[3]), high=_above_zero(row[2]), close=_above_zero(row[4]))
        for row in rows
    )


def mark_candles_of(rows: Iterable[Sequence[Any]]) -> tuple[MarkCandle, ...]:
    """The rows of markPriceKlines, oldest first. Whether a price can be one ``bars_of`` judges: a candle that has none
    must not cost the others."""
    return tuple(MarkCandle(int(row[0]), *map(_finite, row[1:5])) for row in rows)


def funding_rates_of(rows: Iterable[Row]) -> tuple[FundingRate, ...]:
    """The rows of fundingRate, oldest first."""
    return tuple(FundingRate(int(row["fundingTime"]), _finite(row["fundingRate"])) for row in rows)


def depth_of(row: Row) -> Depth:
    """The answer of depth."""
    bids, asks = (
        tuple((_above_zero(price), _finite(quantity)) for price, quantity in row[side]) for side in ("bids", "asks")
    )
    return Depth(bids, asks)


def busiest_of(rows: Iterable[Row], most: int) -> tuple[str, ...]:
    """The symbols of ticker/24hr with the largest turnover, largest first."""
    ordered = sorted(rows, key=lambda row: (-_finite(row["quoteVolume"]), row["symbol"]))
    return tuple(row["symbol"] for row in ordered[:most])


def positive(value: object) -> Decimal | None:
    """A price or quantity above zero; ``None`` for anything else, as the venue writes what is not there."""
    number = _number(value)
    return number if number is not None and number > 0 else None


def _number(value: object) -> Decimal | None:
    try:
        return _finite(value)
    except (InvalidOperation, ValueError):
        return None


def _finite(value: object) -> Decimal:
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError("not a number")
    return number


def _above_zero(value: object) -> Decimal:
    price = _finite(value)
    if price <= 0:
        raise ValueError("a price of nothing")
    return price


def _moment(milliseconds: object) -> datetime | None:
    try:
        at = int(str(milliseconds))
        return datetime.fromtimestamp(at / 1000, UTC) if at > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _value(levels: Sequence[tuple[Decimal, Decimal]], band: Decimal) -> Decimal:
    if not levels:
        return Decimal(0)
    touch = levels[0][0]
    return sum((price * quantity for price, quantity in levels if abs(price - touch) <= touch * band), start=Decimal(0))
