"""One event of an order stream as the score reads it: what is missing or absurd is unknown, never an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TYPES: Final = ("new", "amend", "cancel", "answer")
"""An ``answer`` is the venue's to a message that was scored before it was sent: only round trip and rejection count."""


TIME_END: Final = 1e11
"""The year 5138 in seconds: what lies beyond is milliseconds, or no time."""


@dataclass(slots=True, kw_only=True)
class OrderEvent:
    """One message to the venue and its answer.

    ``ts`` is in seconds since 1970, ``type`` one of ``TYPES``, ``notional`` in quote currency, ``distance_bps`` from
    the mark, positive towards the aggressive side, ``round_trip_ms`` in milliseconds. ``None`` is unknown.
    """

    ts: float | None
    type: str = "new"
    symbol: str = ""
    side: str = ""
    notional: float | None = None
    distance_bps: float | None = None
    round_trip_ms: float | None = None
    rejected: bool | None = None


def read_event(event: Mapping[str, Any] | OrderEvent) -> OrderEvent:
    """The event with every number finite or ``None``. A size or a round trip of zero or less is unknown."""
    if isinstance(event, OrderEvent):
        fields: Any = event
        ts, kind, symbol, side = fields.ts, fields.type, fields.symbol, fields.side
        notional, distance, round_trip = fields.notional, fields.distance_bps, fields.round_trip_ms
        rejected = fields.rejected
    else:
        get = event.get
        ts, kind, symbol, side = get("ts"), get("type", "new"), get("symbol"), get("side")
        notional, distance, round_trip = get("notional"), get("distance_bps"), get("round_trip_ms")
        rejected = get("rejected")
    return OrderEvent(
        ts=_time(ts),
        type=kind if kind in TYPES else "new",
        symbol=symbol if isinstance(symbol, str) else "",
        side=side.lower() if isinstance(side, str) else "",
        notional=_positive(notional),
        distance_bps=_finite(distance),
        round_trip_ms=_positive(round_trip),
        rejected=None if rejected is None else rejected is True or rejected == 1,
    )


def _time(value: Any) -> float | None:
    number = _finite(value)
    return number if number is not None and 0 <= number < TIME_END else None


def _finite(value: Any) -> float | None:
    if type(value) is not float:
        if value is None or isinstance(value, bool | str | bytes):
            return None
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
    return value if math.isfinite(value) and abs(value) < 1e300 else None


def _positive(value: Any) -> float | None:
    number = _finite(value)
    return number if number is not None and number > 0 else None
