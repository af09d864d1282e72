"""What a WebSocket's path asks for. The paths real clients use, below the prefix the guard serves the venue under.

Source: the connection pages of Binance USD-M; ccxt.pro 4.5.90 (``/market/ws/3``), python-binance 1.0.37, nautilus
1.231 and Binance's SDK 18, all recorded 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.venues.binance.streams import Stream, find_stream, is_stream_key

STREAMS_MAX: Final = 200
"""Streams of one connection, market and user; what ccxt and Binance's options pages name. Futures would allow 1024."""

_PATH: Final = re.compile(r"(?:/(?:public|market|private))?/(ws|stream)(?:/(.*))?")
# ccxt numbers its connections this way; the number means nothing to the venue.
_NUMBER: Final = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class TradingTarget:
    """The WebSocket trading API."""


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Streams to begin with, and whether their messages are wrapped as ``{"stream": ..., "data": ...}``."""

    streams: tuple[Stream, ...]
    stream_keys: tuple[str, ...]
    combined: bool


class UnknownTarget(Exception):
    """Nothing that is served under this path. The text says why."""


def read_target(path: str) -> TradingTarget | StreamTarget:
    """What ``path``, its query included and the prefix taken off, asks for. Raises ``UnknownTarget``.

    Nothing is decoded or normalised: no client that was recorded escapes anything in these paths.
    """
    if path == "/ws-fapi/v1":
        return TradingTarget()
    place, _, query = path.partition("?")
    match = _PATH.fullmatch(place)
    if match is None or "%" in path:
        raise UnknownTarget("it is not in the guard's table of sockets")
    form, rest = match.groups()
    names, keys = _read_query(query, lists_streams=form == "stream")
    if rest is not None:
        if form == "stream":
            raise UnknownTarget("streams of a combined socket are named in the query")
        if not _NUMBER.fullmatch(rest):
            names = [*rest.split("/"), *names]
    return _target([*names, *keys], combined=form == "stream")


def _read_query(query: str, *, lists_streams: bool) -> tuple[list[str], list[str]]:
    """Names from ``streams`` and the key from ``listenKey``, each at most once and nothing else."""
    pairs = dict.fromkeys(("streams", "listenKey"), "")
    for field in query.split("&") if query else ():
        name, _, value = field.partition("=")
        if pairs.get(name) != "" or not value or (name == "streams" and not lists_streams):
            raise UnknownTarget("a query names 'streams' (of a combined socket) and 'listenKey', each once")
        pairs[name] = value
    if pairs["listenKey"] and not is_stream_key(pairs["listenKey"]):
        raise UnknownTarget("'listenKey' is 64 letters and digits")
    names = pairs["streams"].split("/") if pairs["streams"] else []
    return names, [pairs["listenKey"]] if pairs["listenKey"] else []


def _target(names: list[str], *, combined: bool) -> StreamTarget:
    if len(names) > STREAMS_MAX:
        raise UnknownTarget(f"more than {STREAMS_MAX} streams on one socket")
    keys = [name for name in dict.fromkeys(names) if is_stream_key(name)]
    streams = [find_stream(name) for name in dict.fromkeys(names) if not is_stream_key(name)]
    known = tuple(stream for stream in streams if stream is not None)
    if len(known) != len(streams):
        raise UnknownTarget("a stream is not in the guard's table of streams")
    return StreamTarget(known, tuple(keys), combined)
