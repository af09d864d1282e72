"""Rows that move money or change the account.

Names and weights: docstrings of binance-connector-python's USD-M client (commit 29da3291, November 2026). Where clients
send more than is documented, the row says which and why it is let in.
"""

from __future__ import annotations

from typing import Final

from proxy.venues.binance.route import Kind, Route, RouteClass, row

ORDER_PARAMETERS: Final = (
    "symbol side type positionSide timeInForce quantity reduceOnly price newClientOrderId newOrderRespType priceMatch "
    "selfTradePreventionMode goodTillDate"
)

ALGO_ORDER_PARAMETERS: Final = (
    "algoType symbol side type positionSide timeInForce quantity price triggerPrice workingType priceMatch "
    "closePosition priceProtect reduceOnly activatePrice callbackRate clientAlgoId newOrderRespType "
    "selfTradePreventionMode goodTillDate"
)

# ``modifyId`` is documented too, but names nothing in our model; a bot that sends it is told so.
AMEND_PARAMETERS: Final = "symbol side quantity price orderId origClientOrderId priceMatch"

# ccxt 4.5.90 and python-binance 1.0.37 spell the lists in lower case (captured); Binance documents the mixed case.
_CANCEL_LISTS: Final = "symbol orderIdList orderidlist origClientOrderIdList origclientorderidlist"

_ENTRY, _CANCEL, _CONFIG = RouteClass.ENTRY, RouteClass.CANCEL, RouteClass.CONFIG

TRADING: Final[tuple[Route, ...]] = (
    row("POST", "/fapi/v1/order", Kind.ORDER, _ENTRY, ORDER_PARAMETERS, weight=0),
    # No effect on the venue, yet parsed as strictly, so that a test order tells the bot what a real one would meet.
    row("POST", "/fapi/v1/order/test", Kind.ORDER_TEST, RouteClass.READ, ORDER_PARAMETERS),
    row("POST", "/fapi/v1/batchOrders", Kind.BATCH_ORDER, _ENTRY, "batchOrders", weight=5),
    row("POST", "/fapi/v1/algoOrder", Kind.ALGO_ORDER, _ENTRY, ALGO_ORDER_PARAMETERS),
    row("PUT", "/fapi/v1/order", Kind.AMEND, _ENTRY, AMEND_PARAMETERS),
    row("PUT", "/fapi/v1/batchOrders", Kind.BATCH_AMEND, _ENTRY, "batchOrders", weight=5),
    row("DELETE", "/fapi/v1/order", Kind.CANCEL, _CANCEL, "symbol orderId origClientOrderId"),
    row("DELETE", "/fapi/v1/batchOrders", Kind.BATCH_CANCEL, _CANCEL, _CANCEL_LISTS),
    row("DELETE", "/fapi/v1/allOpenOrders", Kind.CANCEL_ALL, _CANCEL, "symbol"),
    # ccxt sends ``symbol`` beside the id (captured); Binance documents the id alone. A cancel is not refused for it.
    row("DELETE", "/fapi/v1/algoOrder", Kind.CANCEL_ALGO, _CANCEL, "symbol algoId clientAlgoId"),
    row("DELETE", "/fapi/v1/algoOpenOrders", Kind.CANCEL_ALL_ALGO, _CANCEL, "symbol"),
    row("POST", "/fapi/v1/leverage", Kind.LEVERAGE, _CONFIG, "symbol leverage"),
    row("POST", "/fapi/v1/marginType", Kind.MARGIN_TYPE, _CONFIG, "symbol marginType"),
    row("POST", "/fapi/v1/positionSide/dual", Kind.POSITION_MODE, _CONFIG, "dualSidePosition"),
    row("POST", "/fapi/v1/multiAssetsMargin", Kind.MULTI_ASSET_MODE, _CONFIG, "multiAssetsMargin"),
    row("POST", "/fapi/v1/positionMargin", Kind.POSITION_MARGIN, _CONFIG, "symbol positionSide amount type"),
    row("POST", "/fapi/v1/countdownCancelAll", Kind.DEAD_MAN, _CONFIG, "symbol countdownTime", weight=10),
)
