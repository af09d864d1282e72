"""What Binance says of its own budget: the counters on every reply, the limits in its listing, the price of a kill.

Sources: Binance USD-M "General Info", sections on limits, and "Exchange Information"; seen 2026-11. Weight is counted
by source address, orders by account; only replies to orders carry the counters of orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from proxy.budget.published import LIMITS_DEFAULT, Limit
from proxy.venues.binance.routes import find_route
from rules.kill.budget import Prices

DEPTH_WEIGHT: Final = 2
"""Up to fifty levels of a book, which is all that a kill looks at; the route table carries the dearest request."""

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
        if limit is not None and value.isascii() and value.isdecimal() and len(value) < 10:
            found[limit] = int(value)
    return found


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
"""What the steps of a kill weigh: the rows of the route table that ``proxy.accounts.way_out`` calls."""
