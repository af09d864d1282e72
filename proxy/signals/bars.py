"""Hourly bars of a mark price: from the venue's candles, and from a file that warms a guard that has just been set up.

Pure but for ``read_bars``.
"""

from __future__ import annotations

import csv
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from proxy.exchange.market_payloads import MarkCandle
from proxy.signals.joint import HOURS_KEPT

HOUR_S: Final = 3_600
SYMBOLS_MAX: Final = 500
"""Symbols of which a file is remembered; further ones are passed over."""

PRICE_LEAST: Final = 1e-12
PRICE_MOST: Final = 1e12
"""A venue's price beyond these is none: every contract lies well between, and their ratios have a logarithm."""

_MILLISECONDS_FROM: Final = 1e11
_MICROSECONDS_FROM: Final = 1e14
"""Larger numbers of seconds lie beyond the year 5000."""

_NO_MOMENT_FROM: Final = 1e17
"""And so do larger numbers of microseconds: nanoseconds, or none."""

COLUMNS: Final = ("symbol", "ts", "open", "high", "low", "close")


class BarsUnreadable(Exception):
    """A file has no hourly bars; says where, and why."""


class Bar(NamedTuple):
    """One closed hour. ``end`` is when it closed, in seconds since 1970, the venue's time. All prices above zero."""

    end: int
    open: float
    high: float
    low: float
    close: float

    @property
    def number(self) -> int:
        """The hour that it ends, counted since 1970."""
        return self.end // HOUR_S


class BarsRead(NamedTuple):
    """A venue's candles as bars, oldest first, and how many of the candles were none."""

    bars: tuple[Bar, ...]
    left_out: int


def bars_of(candles: Iterable[MarkCandle], *, since: int, until: float) -> BarsRead:
    """Hourly candles that opened at ``since`` or later; that the last one may still be open is the caller's to know.

    Whatever the venue says, these bars can be learnt from. One that is not on the hour, that opens after ``until`` or
    has no usable price is left out: a gap. One that was not asked for, or is not after the one before, is passed over.
    """
    bars: list[Bar] = []
    left_out = 0
    for candle in candles:
        prices = [float(price) for price in (candle.open, candle.high, candle.low, candle.close)]
        opened, off_the_hour = divmod(candle.open_ms, HOUR_S * 1_000)
        opened *= HOUR_S
        if off_the_hour or opened > until or not all(PRICE_LEAST <= price <= PRICE_MOST for price in prices):
            left_out += 1
        elif opened >= since and (not bars or opened >= bars[-1].end):
            # A mark's four prices need not agree: an open that lies a tick above the high is taken for the high.
            bars.append(Bar(opened + HOUR_S, prices[0], max(prices), min(prices), prices[3]))
    return BarsRead(tuple(bars), left_out)


def read_bars(paths: Sequence[Path]) -> dict[str, tuple[Bar, ...]]:
    """The last ``HOURS_KEPT`` bars of every symbol in CSV files, oldest first. Blocks. Raises ``BarsUnreadable``.

    Columns by name: symbol, ts (see ``moment``: when the bar opened), open, high, low, close; others are not read.
    A symbol's bars stand in order of time; one that is not later than the one before is passed over.
    """
    found: dict[str, deque[Bar]] = {}
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as file:
                for symbol, bar in _rows(path, csv.DictReader(file)):
                    bars = found.get(symbol)
                    if bars is None and len(found) < SYMBOLS_MAX:
                        bars = found[symbol] = deque(maxlen=HOURS_KEPT)
                    if bars is not None and (not bars or bar.end > bars[-1].end):
                        bars.append(bar)
        except (OSError, UnicodeDecodeError, csv.Error) as trouble:
            raise BarsUnreadable(f"{path}: {trouble}") from trouble
    return {symbol: tuple(bars) for symbol, bars in found.items()}


def moment(text: str) -> float:
    """Seconds since 1970, of a number (seconds, milliseconds or microseconds, by its size) or of ISO 8601 (UTC unless
    it says otherwise): as exchanges and their archives write it. Raises ``ValueError``.
    """
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    if not -_NO_MOMENT_FROM < number < _NO_MOMENT_FROM:
        raise ValueError(f"no moment: {text!r}")
    return number / 1e6 if number > _MICROSECONDS_FROM else number / 1e3 if number > _MILLISECONDS_FROM else number


def _rows(path: Path, rows: csv.DictReader[str]) -> Iterator[tuple[str, Bar]]:
    missing = set(COLUMNS) - set(rows.fieldnames or ())
    if missing:
        raise BarsUnreadable(f"{path}: no column {', '.join(sorted(missing))}")
    for row in rows:
        yield row["symbol"], _bar(path, rows.line_num, row)


def _bar(path: Path, line: int, row: Mapping[str, str]) -> Bar:
    try:
        end, prices = int(moment(row["ts"])) + HOUR_S, [float(row[name]) for name in COLUMNS[2:]]
    except (TypeError, ValueError, OverflowError) as trouble:
        raise BarsUnreadable(f"{path}, line {line}: {trouble}") from trouble
    if end % HOUR_S or end <= HOUR_S:
        raise BarsUnreadable(f"{path}, line {line}: ts is not the beginning of an hour")
    bar = Bar(end, *prices)
    if not all(math.isfinite(price) and price > 0 for price in prices) or not bar.low <= min(bar.open, bar.close):
        raise BarsUnreadable(f"{path}, line {line}: these are no prices of a bar")
    if bar.high < max(bar.open, bar.close):
        raise BarsUnreadable(f"{path}, line {line}: these are no prices of a bar")
    return bar
