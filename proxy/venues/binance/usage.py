"""What Binance says of its own budget: the counters on every reply, the limits in its listing, the price of a kill;
and, when it is overdrawn, who is to be silent and for how long.

Sources: Binance USD-M "General Info", sections on limits, and "Exchange Information"; seen 2026-11. Weight is counted
by source address, orders by account; only replies to orders carry the counters of orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from proxy.budget.published import LIMITS_DEFAULT, Limit
from proxy.budget.silence import THROTTLED
from proxy.venues.binance.replies import THROTTLES, error_code
from proxy.venues.binance.routes import find_route
from rules.kill.budget import Prices

DEPTH_WEIGHT: Final = 2
"""Up to fifty levels of a book, which is all that a kill looks at; the route table carries the dearest request."""

_TOO_MANY_REQUESTS: Final = -1003
_TOO_MANY_ORDERS: Final = -1015

_HEADERS: Final = {
    "x-mbx-used-weight-1m": Limit.WEIGHT_1M,
    "x-mbx-order-count-10s": Limit.ORDERS_10S,
    "x-mbx-order-count-1m": Limit.ORDERS_1M,
}
_LIMITS: Final = {
    ("REQUEST_WEIGHT", "MINUTE", 1): Limit.WEIGHT_1M,
    ("ORDERS", "SECOND", 10): Limit.ORDERS_10S,
    ("ORDERS", "MINUTE", 1): Limit.ORDERS_1M,
}


def read_usage(headers: Mapping[str, str]) -> dict[Limit, int]:
    """The venue's counters on a reply; empty for a reply without any. What is no plain number says nothing."""
    found = {}
    for name, value in headers.items():
        limit = _HEADERS.get(name.lower())
        if limit is not None and (count := _count(value)) is not None:
            found[limit] = count
    return found


class Throttle(NamedTuple):
    """A 429 or 418: how long the venue says to wait, ``None`` where it does not; whether it is of orders only."""

    retry_after_s: int | None
    of_orders: bool


def read_throttle(status: int, headers: Mapping[str, str], body: bytes) -> Throttle | None:
    """Whether an answer demands silence of the address, or of the orders of its account (-1015).

    A 429 with another code is about something else, and whoever asked is told so.
    """
    if status not in THROTTLES:
        return None
    code = error_code(body) if status == THROTTLED else None
    if code not in (None, _TOO_MANY_REQUESTS, _TOO_MANY_ORDERS):
        return None
    return Throttle(read_retry_after(headers), code == _TOO_MANY_ORDERS)


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """The seconds to wait before the next request; ``None`` where none are said, or in another way (a date)."""
    return _count(next((value for name, value in headers.items() if name.lower() == "retry-after"), ""))


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def read_limits(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The limits by ``Limit``, from ``rateLimits`` of exchangeInfo; one that is not among the rows is the usual one.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is no such list.
    """
    limits = dict(LIMITS_DEFAULT)
    for row in rows:
        limit = _LIMITS.get((row["rateLimitType"], row["interval"], row["intervalNum"]))
        if limit is not None and int(row["limit"]) > 0:
            limits[limit] = int(row["limit"])
    return limits


def weight_of(method: str, path: str, *, symbol: bool) -> int:
    """What a request weighs, at most; ``symbol`` says that it names one. 1 for what is not in the table of routes."""
    route = find_route(method, path)
    if route is None:
        return 1
    return route.weight if symbol else route.weight_all


def _weight(method: str, name: str, *, symbol: bool = False) -> int:
    return weight_of(method, f"/fapi/{name}", symbol=symbol)


KILL_PRICES: Final = Prices(
    survey=_weight("GET", "v1/openAlgoOrders")
    + _weight("GET", "v1/openOrders")
    + _weight("GET", "v3/positionRisk")
    + _weight("GET", "v1/ticker/bookTicker")
    + _weight("GET", "v1/time"),
    listing=_weight("GET", "v1/exchangeInfo"),
    cancel=_weight("DELETE", "v1/allOpenOrders"),
    depth=DEPTH_WEIGHT,
    close=_weight("POST", "v1/order") + _weight("GET", "v1/order", symbol=True),
    fees=_weight("GET", "v1/userTrades", symbol=True),
)
"""What the steps of a kill weigh: the rows of the route table that ``proxy.exchange.way_out`` calls."""
