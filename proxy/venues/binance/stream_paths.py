"""What a WebSocket's path asks for. The paths real clients use, below the prefix the guard serves the venue under.

Source: the connection pages of Binance USD-M; ccxt.pro 4.5.90 (``/market/ws/3``), python-binance 1.0.37, nautilus
1.231 and Binance's SDK 18, all recorded 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from proxy.venues.binance.streams import Stream, find_stream, is_stream_key

STREAMS_MAX: Final = 200
"""Streams of one connection, market and user; what ccxt and Binance's options pages name. Futures would allow 1024."""

_PATH: Final = re.compile(r"(?:/(?:public|market|private))?/(ws|stream)(?:/(.*))?")
# ccxt numbers its connections this way; the number means nothing to the venue.
_NUMBER: Final = re.compile(r"[0-9]{1,4}")

_TRADING: Final = "/ws-fapi/v1"
_FRAMING: Final = {"returnRateLimits": ("true", "false"), "timeUnit": ("MILLISECOND", "millisecond")}
"""What a trading socket may be asked for. Neither changes anything: no answer lists rate limits, times are in ms."""

EVENTS: Final = frozenset(
    {
        "ACCOUNT_CONFIG_UPDATE",
        "ACCOUNT_UPDATE",
        "ALGO_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "GRID_UPDATE",
        "MARGIN_CALL",
        "ORDER_TRADE_UPDATE",
        "STRATEGY_UPDATE",
        "TRADE_LITE",
        "listenKeyExpired",
    }
)
"""The types of events of a private stream: Binance's "User Data Streams" of USD-M futures, seen 2026-11."""


@dataclass(frozen=True, slots=True)
class TradingTarget:
    """The WebSocket trading API."""


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Streams to begin with, and whether their messages are wrapped as ``{"stream": ..., "data": ...}``.

    ``narrowed`` are the types of events that are wanted of a private stream, where not all are.
    """

    streams: tuple[Stream, ...]
    stream_keys: tuple[str, ...]
    combined: bool
    narrowed: Mapping[str, frozenset[str]] = field(default_factory=dict)


class UnknownTarget(Exception):
    """Nothing that is served under this path. The text says why."""


def read_target(path: str) -> TradingTarget | StreamTarget:
    """What ``path``, its query included and the prefix taken off, asks for. Raises ``UnknownTarget``.

    Only the values of a query of streams are decoded, once, as libraries that build queries escape them; every name in
    them must then be in a table to the letter. Nothing is normalised.
    """
    place, _, query = path.partition("?")
    if place == _TRADING:
        _expect_framing(query)
        return TradingTarget()
    match = _PATH.fullmatch(place)
    if match is None or "%" in place:
        raise UnknownTarget("it is not in the guard's table of sockets")
    form, rest = match.groups()
    asked = _read_query(query, lists_streams=form == "stream")
    names = asked["streams"].split("/") if "streams" in asked else []
    if rest is not None:
        if form == "stream":
            raise UnknownTarget("streams of a combined socket are named in the query")
        if not _NUMBER.fullmatch(rest):
            names = [*rest.split("/"), *names]
    if "listenKey" in asked:
        names.append(asked["listenKey"])
    narrowed = {asked["listenKey"]: frozenset(asked["events"].split("/"))} if "events" in asked else {}
    return _target(names, narrowed, combined=form == "stream")


def _expect_framing(query: str) -> None:
    seen = set[str]()
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name in seen or value not in _FRAMING.get(name, ()):
            raise UnknownTarget("a query of the trading API says 'returnRateLimits' and 'timeUnit', MILLISECOND")
        seen.add(name)


def _read_query(query: str, *, lists_streams: bool) -> dict[str, str]:
    """``streams``, and ``listenKey`` with the ``events`` that are wanted of it, each at most once and nothing else."""
    asked: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, escaped = pair.partition("=")
        value = unquote(escaped)
        if name == "listenKey" and asked.get(name, value) != value:
            raise UnknownTarget("two different keys in 'listenKey': give each private stream a socket of its own")
        if name not in ("streams", "listenKey", "events") or name in asked or not value:
            raise UnknownTarget("a query names 'streams', 'listenKey' and 'events', each once")
        asked[name] = value
    if "streams" in asked and not lists_streams:
        raise UnknownTarget("'streams' are named on a combined socket, '/stream'")
    if "listenKey" in asked and not is_stream_key(asked["listenKey"]):
        raise UnknownTarget("'listenKey' is 64 letters and digits")
    if "events" in asked and not ("listenKey" in asked and EVENTS.issuperset(asked["events"].split("/"))):
        # A mistyped one would be waited for in vain, for ever.
        raise UnknownTarget("'events' are types of events of a 'listenKey', of these: " + "/".join(sorted(EVENTS)))
    return asked


def _target(names: list[str], narrowed: Mapping[str, frozenset[str]], *, combined: bool) -> StreamTarget:
    if len(names) > STREAMS_MAX:
        raise UnknownTarget(f"more than {STREAMS_MAX} streams on one socket")
    keys = [name for name in dict.fromkeys(names) if is_stream_key(name)]
    streams = [find_stream(name) for name in dict.fromkeys(names) if not is_stream_key(name)]
    known = tuple(stream for stream in streams if stream is not None)
    if len(known) != len(streams):
        raise UnknownTarget("a stream is not in the guard's table of streams")
    return StreamTarget(known, tuple(keys), combined, narrowed)
