"""Rows that read the account, and the stream key.

Names and weights: binance-connector-python's USD-M client (commit 29da3291, November 2026) and ccxt 4.5.90's table.
"""

from __future__ import annotations

from typing import Final

from proxy.venues.binance.route import Access, Kind, Route, RouteClass, row


def _read(path: str, parameters: str = "", weight: int = 5, weight_all: int | None = None) -> Route:
    return row("GET", path, Kind.READ, RouteClass.READ, parameters, weight=weight, weight_all=weight_all)


def _stream_key(method: str, parameters: str = "") -> Route:
    path = "/fapi/v1/listenKey"
    return row(method, path, Kind.STREAM_KEY, RouteClass.READ, parameters, access=Access.KEY_ONLY)


_ONE_ORDER: Final = "symbol orderId origClientOrderId"
_SPAN: Final = "startTime endTime limit"

ACCOUNT: Final[tuple[Route, ...]] = (
    _read("/fapi/v1/account"),
    _read("/fapi/v2/account"),
    _read("/fapi/v3/account"),
    _read("/fapi/v1/balance"),
    _read("/fapi/v2/balance"),
    _read("/fapi/v3/balance"),
    _read("/fapi/v1/positionRisk", "symbol"),
    _read("/fapi/v2/positionRisk", "symbol"),
    _read("/fapi/v3/positionRisk", "symbol"),
    _read("/fapi/v1/accountConfig"),
    _read("/fapi/v1/symbolConfig", "symbol"),
    _read("/fapi/v1/leverageBracket", "symbol", 1),
    _read("/fapi/v1/positionSide/dual", "", 30),
    _read("/fapi/v1/multiAssetsMargin", "", 30),
    _read("/fapi/v1/feeBurn", "", 30),
    _read("/fapi/v1/commissionRate", "symbol", 20),
    _read("/fapi/v1/apiTradingStatus", "symbol", 1, 10),
    _read("/fapi/v1/rateLimit/order", "", 1),
    _read("/fapi/v1/adlQuantile", "symbol"),
    _read("/fapi/v1/pmAccountInfo", "asset"),
    _read("/fapi/v1/order", _ONE_ORDER, 1),
    _read("/fapi/v1/openOrder", _ONE_ORDER, 1),
    _read("/fapi/v1/openOrders", "symbol", 1, 40),
    _read("/fapi/v1/allOrders", f"symbol orderId {_SPAN}"),
    _read("/fapi/v1/orderAmendment", f"{_ONE_ORDER} {_SPAN}", 1),
    # ccxt sends ``symbol`` beside the id, as it does when it cancels.
    _read("/fapi/v1/algoOrder", "symbol algoId clientAlgoId", 1),
    _read("/fapi/v1/openAlgoOrders", "algoType symbol algoId", 1, 40),
    _read("/fapi/v1/allAlgoOrders", f"symbol algoId page {_SPAN}"),
    _read("/fapi/v1/userTrades", f"symbol orderId fromId {_SPAN}"),
    _read("/fapi/v1/forceOrders", f"symbol autoCloseType {_SPAN}", 20, 50),
    _read("/fapi/v1/income", f"symbol incomeType page {_SPAN}", 30),
    _read("/fapi/v1/positionMargin/history", f"symbol type {_SPAN}", 1),
    _read("/fapi/v1/income/asyn", "startTime endTime", 1000),
    _read("/fapi/v1/income/asyn/id", "downloadId", 10),
    _read("/fapi/v1/order/asyn", "startTime endTime", 1000),
    _read("/fapi/v1/order/asyn/id", "downloadId", 10),
    _read("/fapi/v1/trade/asyn", "startTime endTime", 1000),
    _read("/fapi/v1/trade/asyn/id", "downloadId", 10),
    _read("/fapi/v1/convert/orderStatus", "orderId quoteId"),
    # ccxt and freqtrade cannot load markets without these three of the spot host.
    _read("/sapi/v1/capital/config/getall", "", 10),
    _read("/sapi/v1/margin/allPairs", "symbol", 1),
    _read("/sapi/v1/margin/isolated/allPairs", "symbol", 10),
    _stream_key("POST"),
    # python-binance names the key it keeps alive; Binance takes it from the API key and ignores the parameter.
    _stream_key("PUT", "listenKey"),
    _stream_key("DELETE", "listenKey"),
)
