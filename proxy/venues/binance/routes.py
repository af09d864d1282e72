"""The complete default-deny table of what a bot may ask of Binance. What is not in it is refused."""

from __future__ import annotations

from typing import Final

from proxy.venues.binance.route import Access, Kind, Route, RouteClass
from proxy.venues.binance.table_account import ACCOUNT
from proxy.venues.binance.table_denied import DENIED
from proxy.venues.binance.table_market import MARKET
from proxy.venues.binance.table_trading import TRADING

__all__ = ["ROUTES", "Access", "Kind", "Route", "RouteClass", "find_route"]

ROUTES: Final[tuple[Route, ...]] = (*TRADING, *ACCOUNT, *MARKET, *DENIED)

_BY_TARGET: Final[dict[tuple[str, str], Route]] = {(route.method, route.path): route for route in ROUTES}


def find_route(method: str, path: str) -> Route | None:
    """The row of exactly this method and raw path, the venue's prefix taken off, or ``None``: refuse.

    Nothing is normalised: another case, a trailing slash, ``//``, ``%2f``, ``;x`` or ``..`` is another path.
    """
    return _BY_TARGET.get((method, path))
