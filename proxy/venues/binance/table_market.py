"""Rows anyone may read: market data.

Names and weights: binance-connector-python's USD-M client (commit 29da3291, November 2026). Where the weight depends on
``limit`` the row carries that of the largest.
"""

from __future__ import annotations

from typing import Final

from proxy.venues.binance.route import Access, Kind, Route, RouteClass, row


def _public(
    path: str,
    parameters: str = "",
    weight: int = 1,
    weight_all: int | None = None,
    access: Access = Access.PUBLIC,
    limit_group: str = "",
) -> Route:
    return row(
        "GET",
        path,
        Kind.PUBLIC_READ,
        RouteClass.READ,
        parameters,
        access=access,
        weight=weight,
        weight_all=weight_all,
        limit_group=limit_group,
    )


_SPAN: Final = "startTime endTime limit"
_RATIO: Final = f"symbol period {_SPAN}"

# Limits by address beside its weight ("Get Funding Rate History", "Open Interest Statistics"; seen 2026-11): 500
# requests in five minutes for the first two together, 1,000 for all of the others.
_FUNDING: Final = "funding"
_DATA: Final = "futures-data"

MARKET: Final[tuple[Route, ...]] = (
    _public("/fapi/v1/ping"),
    _public("/fapi/v1/time"),
    _public("/fapi/v1/exchangeInfo"),
    _public("/fapi/v1/depth", "symbol limit", 20),
    _public("/fapi/v1/rpiDepth", "symbol limit", 20),
    _public("/fapi/v1/trades", "symbol limit", 5),
    _public("/fapi/v1/historicalTrades", "symbol limit fromId", 20, access=Access.KEY_ONLY),
    _public("/fapi/v1/aggTrades", f"symbol fromId {_SPAN}", 20),
    _public("/fapi/v1/klines", f"symbol interval {_SPAN}", 10),
    _public("/fapi/v1/continuousKlines", f"pair contractType interval {_SPAN}", 10),
    _public("/fapi/v1/indexPriceKlines", f"pair interval {_SPAN}", 10),
    _public("/fapi/v1/markPriceKlines", f"symbol interval {_SPAN}", 10),
    _public("/fapi/v1/premiumIndexKlines", f"symbol interval {_SPAN}", 10),
    _public("/fapi/v1/lvtKlines", f"symbol interval {_SPAN}"),
    _public("/fapi/v1/premiumIndex", "symbol", 1, 10),
    _public("/fapi/v1/fundingRate", f"symbol {_SPAN}", limit_group=_FUNDING),
    _public("/fapi/v1/fundingInfo", limit_group=_FUNDING),
    _public("/fapi/v1/ticker/24hr", "symbol", 1, 40),
    _public("/fapi/v1/ticker/price", "symbol", 1, 2),
    _public("/fapi/v2/ticker/price", "symbol", 1, 2),
    _public("/fapi/v1/ticker/bookTicker", "symbol", 2, 5),
    _public("/fapi/v1/openInterest", "symbol"),
    _public("/fapi/v1/indexInfo", "symbol"),
    _public("/fapi/v1/assetIndex", "symbol", 1, 10),
    _public("/fapi/v1/constituents", "symbol", 2),
    _public("/fapi/v1/insuranceBalance", "symbol"),
    _public("/fapi/v1/symbolAdlRisk", "symbol"),
    _public("/fapi/v1/tradingSchedule", "", 5),
    _public("/fapi/v1/convert/exchangeInfo", "fromAsset toAsset", 20),
    _public("/futures/data/basis", f"pair contractType period {_SPAN}", limit_group=_DATA),
    _public("/futures/data/delivery-price", "pair", limit_group=_DATA),
    _public("/futures/data/globalLongShortAccountRatio", _RATIO, limit_group=_DATA),
    _public("/futures/data/openInterestHist", _RATIO, limit_group=_DATA),
    _public("/futures/data/takerBuySellVol", f"pair contractType {_RATIO}", limit_group=_DATA),
    _public("/futures/data/takerlongshortRatio", _RATIO, limit_group=_DATA),
    _public("/futures/data/topLongShortAccountRatio", _RATIO, limit_group=_DATA),
    _public("/futures/data/topLongShortPositionRatio", _RATIO, limit_group=_DATA),
    # Asked of other hosts when a client starts (ccxt, freqtrade, python-binance); none of them is about an account.
    _public("/sapi/v1/system/status"),
    _public("/api/v3/ping"),
    _public("/api/v3/time"),
    _public("/api/v3/exchangeInfo", "symbol symbols permissions showPermissionSets symbolStatus", 20),
    _public("/dapi/v1/exchangeInfo"),
)
