"""Read recorded markets in the column format of Binance's public archive (data.binance.vision), CSV or Parquet.

Three kinds of file, told apart by the option that names them: `klines` and `markPriceKlines` (open_time, open, high,
low, close, volume, close_time and five columns that are not used) and `fundingRate` (calc_time, funding_interval_hours,
last_funding_rate). The symbol is the file name up to its first dash: `BTCUSDT-1m-2025-05.csv`. CSV with or without
header, as the archive has both. Files are read whole at the start; one bad line stops it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

from sandbox.engine.playback import Bar, Playback, RecordedFunding, Series, SymbolRecording
from sandbox.replay_rows import Row, read_rows

# More than a year of minutes. A bar costs some 700 bytes.
ROWS_MAX = 600_000
KLINE_COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
FUNDING_COLUMNS = ("calc_time", "funding_interval_hours", "last_funding_rate")
_SECOND_MS = 1_000
# Some of the archive's files count microseconds; 1e14 ms is the year 5138.
_MICROSECONDS_FROM = 10**14
_NUMBER_LENGTH_MAX = 40

_Entry = TypeVar("_Entry", Bar, RecordedFunding)


class ReplayError(Exception):
    """A file that cannot be played back; the message names the file, and the line where there is one."""


def read_recordings(
    listed: Collection[str], prices: Iterable[Path], marks: Iterable[Path], fundings: Iterable[Path]
) -> Playback | None:
    """Read every file and join those of one symbol in order of time; None when no file of prices is named.

    Errors: `ReplayError` for unreadable, malformed or overlapping files, symbols that are not `listed`, and marks or
    fundings of a symbol without prices.
    """
    price_bars = _by_symbol(listed, prices, _read_bars)
    mark_bars = _by_symbol(listed, marks, _read_bars)
    funding_rows = _by_symbol(listed, fundings, _read_fundings)
    for symbol in {*mark_bars, *funding_rows} - set(price_bars):
        raise ReplayError(f"{symbol}: marks or fundings to replay, but no prices")
    if not price_bars:
        return None
    return Playback(
        {
            symbol: SymbolRecording(
                prices=Series(bars),
                marks=Series(mark_bars[symbol]) if symbol in mark_bars else None,
                fundings=tuple(funding_rows.get(symbol, ())),
            )
            for symbol, bars in sorted(price_bars.items())
        }
    )


def _by_symbol(
    listed: Collection[str], paths: Iterable[Path], read: Callable[[Path], list[_Entry]]
) -> dict[str, list[_Entry]]:
    files: dict[str, list[tuple[Path, list[_Entry]]]] = {}
    for path in paths:
        symbol = path.name.partition("-")[0]
        if symbol not in listed:
            raise ReplayError(
                f"{path}: the name must begin with a listed symbol and a dash ({', '.join(sorted(listed))})"
            )
        entries = read(path)
        if not entries:
            raise ReplayError(f"{path}: no rows")
        files.setdefault(symbol, []).append((path, entries))
    joined: dict[str, list[_Entry]] = {}
    for symbol, parts in files.items():
        joined[symbol] = []
        for path, entries in sorted(parts, key=lambda part: _begin_ms(part[1][0])):
            if joined[symbol] and _begin_ms(entries[0]) < _end_ms(joined[symbol][-1]):
                raise ReplayError(f"{path}: overlaps another file of {symbol}")
            joined[symbol] += entries
    return joined


def _begin_ms(entry: Bar | RecordedFunding) -> int:
    return entry.open_ms if isinstance(entry, Bar) else entry.time_ms


def _end_ms(entry: Bar | RecordedFunding) -> int:
    return entry.end_ms if isinstance(entry, Bar) else entry.time_ms + 1


def _read_bars(path: Path) -> list[Bar]:
    bars: list[Bar] = []
    for row in _bounded(path, KLINE_COLUMNS, needed=7):
        open_ms = _time_ms(row, "open_time")
        interval_ms = _time_ms(row, "close_time") + 1 - open_ms
        bar = Bar(
            open_ms=open_ms,
            interval_ms=interval_ms,
            open=_price(row, "open"),
            high=_price(row, "high"),
            low=_price(row, "low"),
            close=_price(row, "close"),
            volume=_number(row, "volume"),
        )
        if interval_ms < _SECOND_MS or interval_ms % _SECOND_MS:
            raise ReplayError(f"{row.place}: close_time must end a whole number of seconds after open_time")
        if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
            raise ReplayError(f"{row.place}: open and close must lie between low and high")
        if bar.volume < 0:
            raise ReplayError(f"{row.place}: volume is below zero")
        if bars and open_ms < bars[-1].end_ms:
            raise ReplayError(f"{row.place}: open_time lies before the end of the row above")
        bars.append(bar)
    return bars


def _read_fundings(path: Path) -> list[RecordedFunding]:
    fundings: list[RecordedFunding] = []
    for row in _bounded(path, FUNDING_COLUMNS, needed=3):
        rate = _number(row, "last_funding_rate")
        if abs(rate) >= 1:
            raise ReplayError(f"{row.place}: last_funding_rate is a fraction of one")
        funding = RecordedFunding(_time_ms(row, "calc_time"), rate)
        if fundings and funding.time_ms <= fundings[-1].time_ms:
            raise ReplayError(f"{row.place}: calc_time does not come after the row above")
        fundings.append(funding)
    return fundings


def _bounded(path: Path, columns: tuple[str, ...], needed: int) -> Iterator[Row]:
    try:
        for number, row in enumerate(read_rows(path, columns, needed)):
            if number >= ROWS_MAX:
                raise ReplayError(f"{row.place}: more than {ROWS_MAX} rows")
            yield row
    except (OSError, ValueError) as trouble:
        raise ReplayError(f"{path}: {trouble}" if isinstance(trouble, OSError) else str(trouble)) from trouble


def _time_ms(row: Row, column: str) -> int:
    text = row.cells[column]
    if not (text.isascii() and text.isdigit() and len(text) <= 17):
        raise ReplayError(f"{row.place}: {column} is not a time in milliseconds: {text[:_NUMBER_LENGTH_MAX]!r}")
    time = int(text)
    return time // 1000 if time > _MICROSECONDS_FROM else time


def _price(row: Row, column: str) -> Decimal:
    price = _number(row, column)
    if not 0 < price < Decimal(10) ** 12:
        raise ReplayError(f"{row.place}: {column} is not a price: {row.cells[column]!r}")
    return price


def _number(row: Row, column: str) -> Decimal:
    text = row.cells[column]
    try:
        number = Decimal(text) if len(text) <= _NUMBER_LENGTH_MAX else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ReplayError(f"{row.place}: {column} is not a number: {text[:_NUMBER_LENGTH_MAX]!r}")
    return number
