"""A market out of recorded one-minute bars: CSV with the columns symbol, ts, open, high, low, close, volume.

`ts` is the second at which the bar closes. Of each bar only the close counts, as the mark at the end of its minute.
A minute without a bar keeps the mark before it.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Final

import numpy as np

from sandbox.orderflow.market import MINUTES_A_DAY, Market, market_of

COLUMNS: Final = ("symbol", "ts", "close")
BARS_MAX: Final = 2_000_000
SYMBOLS_MIN: Final = 6
SYMBOL_LENGTH_MAX: Final = 16


class BarFileError(ValueError):
    """A file that cannot be used; the message names it, and the line where there is one."""


def read_market(path: Path, days: int) -> Market:
    """The first `days` whole days (UTC) of the file. Errors: `BarFileError`, `OSError`."""
    try:
        closes = _read(path)
    except (UnicodeDecodeError, csv.Error) as trouble:
        raise BarFileError(f"{path}: {trouble}") from trouble
    if len(closes) < SYMBOLS_MIN:
        raise BarFileError(f"{path}: {len(closes)} symbols; the bots need at least {SYMBOLS_MIN}")
    first = max(min(of_symbol) for of_symbol in closes.values()) - 60
    begin = math.ceil(first / 86_400) * 86_400
    minutes = days * MINUTES_A_DAY
    last = min(max(of_symbol) for of_symbol in closes.values())
    if last < begin + 60 * minutes:
        raise BarFileError(f"{path}: fewer than {days} whole days on which every symbol has bars")
    marks = np.array([_filled(of_symbol, begin, minutes) for of_symbol in closes.values()]).T
    return market_of(float(begin), tuple(closes), marks)


def _read(path: Path) -> dict[str, dict[int, float]]:
    closes: dict[str, dict[int, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if absent := [name for name in COLUMNS if name not in (lines.fieldnames or ())]:
            raise BarFileError(f"{path}: no column {', '.join(absent)}")
        for number, cells in enumerate(lines, start=2):
            if number > BARS_MAX:
                raise BarFileError(f"{path}: more than {BARS_MAX} bars")
            try:
                ts, close = int(float(cells["ts"])), float(cells["close"])
            except (TypeError, ValueError, OverflowError):
                raise BarFileError(f"{path}:{number}: ts and close must be numbers") from None
            if not 0 < len(cells["symbol"] or "") <= SYMBOL_LENGTH_MAX:
                raise BarFileError(f"{path}:{number}: a symbol has 1 to {SYMBOL_LENGTH_MAX} letters")
            if ts % 60 or not 0 < close < math.inf:
                raise BarFileError(f"{path}:{number}: a minute's close must end on a minute and be above zero")
            closes.setdefault(cells["symbol"], {})[ts] = close
    return closes


def _filled(closes: dict[int, float], begin: int, minutes: int) -> list[float]:
    at = max(ts for ts in closes if ts <= begin + 60)
    mark = closes[at]
    marks = []
    for minute in range(1, minutes + 1):
        mark = closes.get(begin + 60 * minute, mark)
        marks.append(mark)
    return marks
