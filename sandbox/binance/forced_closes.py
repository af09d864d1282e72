"""Handlers about closes the exchange orders itself: what was liquidated or deleveraged, and who would be next."""

from __future__ import annotations

from enum import StrEnum

from sandbox.binance.call import AccountCall, Json
from sandbox.binance.order_replies import order_reply
from sandbox.engine.deleveraging import adl_quantile


class _AutoClose(StrEnum):
    ANY = ""
    LIQUIDATION = "LIQUIDATION"
    ADL = "ADL"


def force_orders(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/forceOrders: liquidations and auto-deleveraging orders, or the kind that `autoCloseType` names."""
    kind = call.params.choice("autoCloseType", _AutoClose, -1130, _AutoClose.ANY)
    symbol = call.params.text("symbol")
    since = call.params.integer("startTime") or 0
    rows = [
        order
        for order in call.account.liquidations
        if symbol in (None, order.symbol)
        and order.created_ms >= since
        and (kind is _AutoClose.ANY or (kind is _AutoClose.LIQUIDATION) == order.liquidation)
    ]
    return [order_reply(call.exchange, order) for order in rows[-call.limit(50, 100) :]]


def adl_quantiles(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/adlQuantile: every position's place in its queue, 4 at the front."""
    rows: list[Json] = []
    for market in call.markets():
        legs = call.account.legs(market.instrument.symbol)
        quantiles = {str(held.position_side): adl_quantile(call.exchange, held) for held in legs}
        if quantiles:
            rows.append({"symbol": market.instrument.symbol, "adlQuantile": quantiles})
    return rows
