"""A reason of the score in words a trader reads: what was seen, beside the most that ten days had."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, assert_never

from proxy.signals.evidence.answers import distance_of
from proxy.signals.evidence.event import OrderEvent
from proxy.signals.evidence.kinds import Kind
from rules.instrument import PAR_ASSETS

QUOTES: Final = (*PAR_ASSETS, "USD")

FAMILIES: Final = (
    (Kind.BURST_1S, Kind.BURST_10S, Kind.BURST_60S, Kind.SAME_SIDE, Kind.REPEATED),
    (Kind.FLIPS, Kind.SHARP_FLIPS),
    (Kind.SIZE_UNUSUAL, Kind.SIZE_LARGEST, Kind.SIZE_ACCOUNT),
)
"""Kinds that mostly say the same: one of each is told."""

_FAMILY_OF: Final = {kind: -1 - number for number, kinds in enumerate(FAMILIES) for kind in kinds}


def family(kind: Kind) -> int:
    """The same number for kinds of which one is enough to tell."""
    return _FAMILY_OF.get(kind, kind)


def told(kind: Kind, x: float, most: float | None, event: OrderEvent, *, usual_ms: float, hour: int) -> str:
    """One reason. ``x`` is the evidence, ``most`` the strongest kept of the last ten days."""
    on = f" on {event.symbol}" if event.symbol else ""
    match kind:
        case Kind.BURST_1S:
            return _counted("orders within about a second", x, most)
        case Kind.BURST_10S:
            return _counted("orders within about ten seconds", x, most)
        case Kind.BURST_60S:
            return _counted("orders within about a minute", x, most)
        case Kind.SAME_SIDE:
            return _counted(f"orders to {event.side or 'one side'}{on} in quick succession", x, most)
        case Kind.REPEATED:
            return _counted(f"times the same order{on} in quick succession", x, most)
        case Kind.FLIPS:
            return f"{math.exp(x):.0f} changes of side{on} in a row{_at_most(most, math.exp)}"
        case Kind.SHARP_FLIPS:
            return f"{math.exp(x):.1f} changes of side at the market{on} in seconds{_at_most(most, math.exp)}"
        case Kind.CHURN:
            return f"{math.exp(x):.1f} cancels for each order of the last minute{_at_most(most, math.exp)}"
        case Kind.TURNOVER:
            return f"{_worth(math.exp(x), event)} ordered within about ten minutes{_at_most(most, math.exp)}"
        case Kind.SIZE_UNUSUAL:
            return f"size {_size(event)} is {x:.1f} standard deviations above the usual{on}"
        case Kind.SIZE_LARGEST:
            return f"size {_size(event)} is {math.exp(x):.3g} times the largest of the last ten days{on}"
        case Kind.SIZE_ACCOUNT:
            return f"size {_size(event)} is unlike this account's orders{_at_most(most, math.exp)}"
        case Kind.CREEP:
            return f"sizes{on} creep up order after order, now {_size(event)}"
        case Kind.AGGRESSIVE:
            return f"price is {distance_of(x):,.0f} bps through the mark{on}{_at_most(most, distance_of)}"
        case Kind.PASSIVE:
            return f"price is {distance_of(x):,.0f} bps away from the mark{on}{_at_most(most, distance_of)}"
        case Kind.LATENCY | Kind.ALL_SLOW:
            return f"the venue answers slowly: {event.round_trip_ms or 0:,.0f} ms, usually {usual_ms:,.0f} ms"
        case Kind.REJECTS:
            return _counted("rejections in quick succession", x, most)
        case Kind.HOUR:
            return f"orders between {hour:02d}:00 and {(hour + 1) % 24:02d}:00 UTC, where it hardly ever trades"
        case Kind.SYMBOL:
            return f"{event.symbol} is a symbol it does not trade"
        case _:
            assert_never(kind)


def _counted(what: str, x: float, most: float | None) -> str:
    return f"{math.exp(x):.0f} {what}{_at_most(most, math.exp)}"


def _at_most(most: float | None, unit: Callable[[float], float]) -> str:
    if most is None:
        return ""
    value = unit(most)
    return f"; at most {f'{value:,.0f}' if value >= 10 else f'{value:.2g}'} in the last ten days"


def _size(event: OrderEvent) -> str:
    return _worth(event.notional or 0.0, event)


def _worth(value: float, event: OrderEvent) -> str:
    quote = next((f" {each}" for each in QUOTES if event.symbol.endswith(each)), "")
    return f"{value:,.0f}{quote}" if value >= 10 else f"{value:.3g}{quote}"
