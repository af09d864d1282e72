"""Which door of the venue a WebSocket was opened at, and what it listens to from the start.

Doors: Binance USD-M "WebSocket market streams" and its change notice of 2026: `/ws[/<name>...]` and
`/stream?streams=<name>/...` under `/public`, `/market`, `/private` or none of them, `?listenKey=<key>&events=<a>/<b>`
(repeatable) beside them, and the trading API at `/ws-fapi/v1`. ccxt numbers its connections: `/ws/<n>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

TRADING_PATH = "/ws-fapi/v1"
_STREAM_PATH = re.compile(r"(?:/public|/market|/private)?/(ws|stream)(?:/(.*))?")
_QUERY_FIELDS_MAX = 400


@dataclass(frozen=True, slots=True)
class TradingDoor:
    """The trading API. `rate_limits` is what frames carry unless they say otherwise."""

    rate_limits: bool = True


@dataclass(frozen=True, slots=True)
class StreamDoor:
    """Streams by name, and listen keys with the event types they are narrowed to (None for all)."""

    combined: bool
    names: tuple[str, ...]
    keys: tuple[tuple[str, frozenset[str] | None], ...]


def read_door(path: str, query: str) -> TradingDoor | StreamDoor | None:
    """The door of a path and its raw query; None where the venue has none."""
    try:
        fields = parse_qsl(query, max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        return None
    if path == TRADING_PATH:
        return TradingDoor(rate_limits=("returnRateLimits", "false") not in fields)
    opened = _STREAM_PATH.fullmatch(path)
    if opened is None:
        return None
    kind, rest = opened[1], opened[2] or ""
    names = [name for name in rest.split("/") if name and not name.isdecimal()]
    for field, value in fields:
        if field == "streams":
            names += [name for name in value.split("/") if name]
    return StreamDoor(kind == "stream", tuple(dict.fromkeys(names)), tuple(_keys(fields)))


def _keys(fields: list[tuple[str, str]]) -> list[tuple[str, frozenset[str] | None]]:
    """Each listenKey with the `events` that follow it."""
    keys: list[tuple[str, frozenset[str] | None]] = []
    for field, value in fields:
        if field == "listenKey":
            keys.append((value, None))
        elif field == "events" and keys:
            keys[-1] = (keys[-1][0], frozenset(value.split("/")))
    return keys
