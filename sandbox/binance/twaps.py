"""Handlers of the algo trading API: TWAP orders on futures, which live under /sapi, apart from all others.

Shapes: Binance "Algo Trading / Future Algo" pages, seen 2026-11. Volume participation (newOrderVp) is not played.
"""

from __future__ import annotations

from sandbox.binance.call import AccountCall, Json, money, on_step, on_tick
from sandbox.binance.errors import VenueError
from sandbox.binance.order_reading import read_client_id
from sandbox.engine.exchange import Exchange
from sandbox.engine.model import PositionSide, Side
from sandbox.engine.twap import start_twap, stop_twap
from sandbox.engine.twap_order import NewTwap, TwapOrder

DURATION_MIN_S = 300
DURATION_MAX_S = 86_400


def place_twap(call: AccountCall) -> Json:
    """POST /sapi/v1/algo/futures/newOrderTwap."""
    params = call.params
    duration_s = params.required_integer("duration")
    if not DURATION_MIN_S <= duration_s <= DURATION_MAX_S:
        raise VenueError(-1130, "Data sent for parameter 'duration' is not valid.")
    twap = start_twap(
        call.exchange,
        call.account,
        NewTwap(
            symbol=call.market().instrument.symbol,
            side=params.choice("side", Side, -1117, None),
            quantity=params.required_number("quantity"),
            duration_ms=duration_s * 1000,
            position_side=params.choice("positionSide", PositionSide, -4060, PositionSide.BOTH),
            reduce_only=params.flag("reduceOnly"),
            limit_price=params.number("limitPrice"),
            client_order_id=read_client_id(params, "clientAlgoId"),
        ),
    )
    return {"clientAlgoId": twap.terms.client_order_id, "success": True, "code": 0, "msg": "OK"}


def open_twaps(call: AccountCall) -> Json:
    """GET /sapi/v1/algo/futures/openOrders: every working one."""
    orders = [_reply(call.exchange, twap) for twap in call.account.twaps.values()]
    return {"total": len(orders), "orders": orders}


def cancel_twap(call: AccountCall) -> Json:
    """DELETE /sapi/v1/algo/futures/order."""
    twap = stop_twap(call.account, call.params.required_integer("algoId"))
    return {"algoId": twap.twap_id, "success": True, "code": 0, "msg": "OK"}


def _reply(exchange: Exchange, twap: TwapOrder) -> Json:
    terms = twap.terms
    market = exchange.market(terms.symbol)
    filled = twap.filled_quantity
    average = twap.filled_notional / filled if filled else filled
    return {
        "algoId": twap.twap_id,
        "symbol": terms.symbol,
        "side": str(terms.side),
        "positionSide": str(terms.position_side),
        "totalQty": on_step(market, terms.quantity),
        "executedQty": on_step(market, filled),
        "executedAmt": money(twap.filled_notional),
        "avgPrice": on_tick(market, average),
        "clientAlgoId": terms.client_order_id,
        "bookTime": twap.created_ms,
        "endTime": 0,
        "algoStatus": "WORKING",
        "algoType": "TWAP",
        "urgency": "",
    }
