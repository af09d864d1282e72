"""Names of market streams, such as `btcusdt@depth5@100ms`: what they ask for. Names are lower case but for their kind.

Grammar: Binance USD-M "WebSocket market streams", November 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sandbox.binance.klines import INTERVALS_MS

STREAMS_MAX = 200
# What the venue does not know it accepts in silence; a text this long and plain can only be a listen key.
_LISTEN_KEY = re.compile(r"[A-Za-z0-9]{20,128}")
_SYMBOL = re.compile(r"[a-z0-9_]{1,30}")
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(100|250|500)ms)?")
_MARK_PRICE = re.compile(r"markPrice(@1s)?")
_KLINE = re.compile(r"(kline|continuousKline)_(\w{2,3})")


class StreamKind(StrEnum):
    """What a stream carries."""

    TRADE = "trade"
    AGGREGATE_TRADE = "aggTrade"
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    BOOK_TICKER = "bookTicker"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"
    DEPTH = "depth"
    LIQUIDATION = "forceOrder"
    CONTRACT = "contractInfo"


@dataclass(frozen=True, slots=True)
class StreamName:
    """A market stream. `symbol` is None for every market at once; `levels` None for the whole book's changes."""

    kind: StreamKind
    symbol: str | None
    interval_ms: int
    candle: str = ""
    levels: int | None = None
    as_list: bool = False


_SECOND = 1_000
# "Real time" on the venue is as fast as the practice exchange looks at its markets.
_AT_ONCE = 0
_PLAIN = {
    "trade": (StreamKind.TRADE, _AT_ONCE),
    "aggTrade": (StreamKind.AGGREGATE_TRADE, 100),
    "bookTicker": (StreamKind.BOOK_TICKER, _AT_ONCE),
    "ticker": (StreamKind.TICKER, 2 * _SECOND),
    "miniTicker": (StreamKind.MINI_TICKER, 2 * _SECOND),
    "forceOrder": (StreamKind.LIQUIDATION, _SECOND),
    "contractInfo": (StreamKind.CONTRACT, _AT_ONCE),
}
_EVERY_MARKET = {
    "!bookTicker": StreamName(StreamKind.BOOK_TICKER, None, _AT_ONCE),
    "!ticker@arr": StreamName(StreamKind.TICKER, None, _SECOND, as_list=True),
    "!miniTicker@arr": StreamName(StreamKind.MINI_TICKER, None, _SECOND, as_list=True),
    "!markPrice@arr": StreamName(StreamKind.MARK_PRICE, None, 3 * _SECOND, as_list=True),
    "!markPrice@arr@1s": StreamName(StreamKind.MARK_PRICE, None, _SECOND, as_list=True),
    "!forceOrder@arr": StreamName(StreamKind.LIQUIDATION, None, _SECOND),
    "!contractInfo": StreamName(StreamKind.CONTRACT, None, _AT_ONCE),
}


def may_be_listen_key(name: str) -> bool:
    """True for texts that look like a listen key, valid or not."""
    return _LISTEN_KEY.fullmatch(name) is not None


def read_stream(name: str) -> StreamName | None:
    """The market stream called `name`; None when there is no such stream."""
    if name.startswith("!"):
        return _EVERY_MARKET.get(name)
    market, _, kind = name.partition("@")
    if not _SYMBOL.fullmatch(market):
        return None
    symbol = market.upper()
    if plain := _PLAIN.get(kind):
        return StreamName(plain[0], symbol, plain[1])
    if depth := _DEPTH.fullmatch(kind):
        levels = int(depth[1]) if depth[1] else None
        return StreamName(StreamKind.DEPTH, symbol, int(depth[2] or 250), levels=levels)
    if mark := _MARK_PRICE.fullmatch(kind):
        return StreamName(StreamKind.MARK_PRICE, symbol, _SECOND if mark[1] else 3 * _SECOND)
    if (kline := _KLINE.fullmatch(kind)) and kline[2] in INTERVALS_MS:
        return _read_kline(StreamKind(kline[1]), symbol, kline[2])
    return None


def _read_kline(kind: StreamKind, symbol: str, candle: str) -> StreamName | None:
    if kind is StreamKind.KLINE:
        return StreamName(kind, symbol, 250, candle=candle)
    # A continuous contract is named by pair and type; only perpetuals are listed here.
    pair, _, contract = symbol.partition("_")
    return StreamName(kind, pair, 250, candle=candle) if contract == "PERPETUAL" else None
