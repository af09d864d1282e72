"""The complete default-deny table of market streams. A name that no row spells is refused.

Names and categories: binance-connector-python's USD-M client (commit 29da3291, August 2026), whose ``/public`` and
``/market`` are different endpoints of ``fstream.binance.com``; ``@trade``, the ``@250ms`` speeds and klines in UTC+8
besides, as ccxt.pro 4.5.90 asks for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

STREAM_NAME_MAX: Final = 96
"""No documented name comes near it."""

_KEY: Final = re.compile(r"[A-Za-z0-9]{64}")

_PLACEHOLDERS: Final = {
    "<symbol>": r"[a-z0-9]{2,32}(?:_[0-9]{6})?",
    "<pair>": r"[a-z0-9]{2,32}",
    "<contract>": r"(?:perpetual|current_quarter|next_quarter|tradifi_perpetual)",
    "<interval>": r"(?:1s|[135]m|15m|30m|[12468]h|12h|[13]d|1w|1M)",
    "<levels>": r"(?:5|10|20)",
    "[@speed]": r"(?:@(?:100|250|500)ms)?",
    "[@1s]": r"(?:@1s)?",
    "[@zone]": r"(?:@\+08:00)?",
}


class Category(StrEnum):
    """Which of Binance's market endpoints carries a stream: the path it is under."""

    PUBLIC = "public"
    MARKET = "market"


@dataclass(frozen=True, slots=True)
class Stream:
    """One market stream. ``incremental``: each message builds on the one before, so a lost one spoils the rest."""

    name: str
    category: Category
    incremental: bool


@dataclass(frozen=True, slots=True)
class StreamKind:
    """A row: the name as documented, with placeholders, and where it is served."""

    name: str
    category: Category
    incremental: bool
    pattern: re.Pattern[str]


def _kind(name: str, category: Category, *, incremental: bool = False) -> StreamKind:
    pattern = re.escape(name)
    for placeholder, grammar in _PLACEHOLDERS.items():
        pattern = pattern.replace(re.escape(placeholder), grammar)
    return StreamKind(name, category, incremental, re.compile(pattern))


STREAM_KINDS: Final[tuple[StreamKind, ...]] = (
    _kind("<symbol>@depth[@speed]", Category.PUBLIC, incremental=True),
    _kind("<symbol>@rpiDepth[@speed]", Category.PUBLIC, incremental=True),
    _kind("<symbol>@depth<levels>[@speed]", Category.PUBLIC),
    _kind("<symbol>@bookTicker", Category.PUBLIC),
    _kind("!bookTicker", Category.PUBLIC),
    _kind("<symbol>@trade", Category.PUBLIC),
    _kind("<symbol>@aggTrade", Category.MARKET),
    _kind("<symbol>@markPrice[@1s]", Category.MARKET),
    _kind("!markPrice@arr[@1s]", Category.MARKET),
    _kind("<symbol>@kline_<interval>[@zone]", Category.MARKET),
    _kind("<pair>_<contract>@continuousKline_<interval>", Category.MARKET),
    _kind("<symbol>@miniTicker", Category.MARKET),
    _kind("!miniTicker@arr", Category.MARKET),
    _kind("<symbol>@ticker", Category.MARKET),
    _kind("!ticker@arr", Category.MARKET),
    _kind("<symbol>@forceOrder", Category.MARKET),
    _kind("!forceOrder@arr", Category.MARKET),
    _kind("<symbol>@compositeIndex", Category.MARKET),
    _kind("<symbol>@assetIndex", Category.MARKET),
    _kind("!assetIndex@arr", Category.MARKET),
    _kind("!contractInfo", Category.MARKET),
    _kind("tradingSession", Category.MARKET),
)

# One pattern for all rows: a socket may name two hundred streams, and twenty tries for each took a millisecond.
_ANY_KIND: Final = re.compile("|".join(f"(?P<k{row}>{kind.pattern.pattern})" for row, kind in enumerate(STREAM_KINDS)))


def find_stream(name: str) -> Stream | None:
    """The stream of exactly this name, or ``None``: refuse. Symbols are in lower case, as Binance wants them."""
    if len(name) > STREAM_NAME_MAX:
        return None
    found = _ANY_KIND.fullmatch(name)
    if found is None or found.lastgroup is None:
        return None
    kind = STREAM_KINDS[int(found.lastgroup[1:])]
    return Stream(name, kind.category, kind.incremental)


def is_stream_key(name: str) -> bool:
    """Whether a name has the shape of a user stream's key (``listenKey``): 64 letters and digits."""
    return _KEY.fullmatch(name) is not None
