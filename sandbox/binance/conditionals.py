"""Handlers of the algo service: conditional orders, which live apart from plain ones and are cancelled apart."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from sandbox.binance.call import AccountCall, Json
from sandbox.binance.errors import VenueError, missing, no_such_order, not_required
from sandbox.binance.order_reading import TIMES_IN_FORCE, WireTimeInForce, read_client_id, read_self_trade
from sandbox.binance.order_replies import conditional_reply
from sandbox.binance.params import Params
from sandbox.engine.conditional import ConditionalOrder, ConditionalType, NewConditional, TriggerBy
from sandbox.engine.model import PositionSide, Side
from sandbox.engine.triggers import cancel_all_conditionals, cancel_conditional, find_conditional, place_conditional

_CLOSES_POSITION = (ConditionalType.STOP_MARKET, ConditionalType.TAKE_PROFIT_MARKET)


class _WorkingType(StrEnum):
    MARK_PRICE = "MARK_PRICE"
    CONTRACT_PRICE = "CONTRACT_PRICE"


def place_algo(call: AccountCall) -> Json:
    """POST /fapi/v1/algoOrder."""
    if call.params.required("algoType") != "CONDITIONAL":
        raise VenueError(-1130, "Data sent for parameter 'algoType' is not valid.")
    order = place_conditional(call.exchange, call.account, _read(call))
    return conditional_reply(call.exchange, order)


def query_algo(call: AccountCall) -> Json:
    """GET /fapi/v1/algoOrder."""
    order = _named(call)
    if order is None:
        raise no_such_order()
    return conditional_reply(call.exchange, order)


def cancel_algo(call: AccountCall) -> Json:
    """DELETE /fapi/v1/algoOrder."""
    order = cancel_conditional(call.exchange, call.account, _named(call))
    return {
        "algoId": order.conditional_id,
        "clientAlgoId": order.client_order_id,
        "code": "200",
        "msg": "success",
    }


def open_algos(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/openAlgoOrders, one symbol or all."""
    symbols = {market.instrument.symbol for market in call.markets()}
    waiting = call.account.open_conditionals.values()
    return [conditional_reply(call.exchange, order) for order in waiting if order.terms.symbol in symbols]


def all_algos(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/allAlgoOrders: one symbol, oldest first."""
    symbol = call.market().instrument.symbol
    since = call.params.integer("startTime") or 0
    since_id = call.params.integer("algoId") or 0
    until = call.params.integer("endTime")
    rows = [
        order
        for order in call.account.conditionals
        if order.terms.symbol == symbol
        and order.conditional_id >= since_id
        and order.created_ms >= since
        and (until is None or order.created_ms <= until)
    ]
    return [conditional_reply(call.exchange, order) for order in rows[-call.limit(500, 1000) :]]


def cancel_open_algos(call: AccountCall) -> Json:
    """DELETE /fapi/v1/algoOpenOrders: conditional orders of one symbol only; plain orders stay."""
    cancel_all_conditionals(call.exchange, call.account, call.params.required("symbol"))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _read(call: AccountCall) -> NewConditional:
    params = call.params
    symbol = call.market().instrument.symbol
    conditional_type = params.choice("type", ConditionalType, -1116, None)
    close_position = params.flag("closePosition")
    if call.account.hedge_mode and params.text("reduceOnly") is not None:
        raise not_required("reduceonly")
    _check_combination(params, conditional_type, close_position)
    wire_time = params.choice("timeInForce", WireTimeInForce, -1115, WireTimeInForce.GTC)
    working_type = params.choice("workingType", _WorkingType, -1130, _WorkingType.CONTRACT_PRICE)
    return NewConditional(
        symbol=symbol,
        side=params.choice("side", Side, -1117, None),
        conditional_type=conditional_type,
        quantity=None if close_position else params.required_number("quantity"),
        trigger_price=_trigger_price(params, conditional_type),
        price=params.required_number("price") if conditional_type.limit else None,
        callback_percent=params.required_number("callbackRate") if conditional_type.trailing else None,
        position_side=params.choice("positionSide", PositionSide, -4060, PositionSide.BOTH),
        time_in_force=TIMES_IN_FORCE[wire_time],
        trigger_by=TriggerBy.MARK_PRICE if working_type is _WorkingType.MARK_PRICE else TriggerBy.LAST_PRICE,
        reduce_only=params.flag("reduceOnly"),
        close_position=close_position,
        expires_with_position=wire_time is WireTimeInForce.GTE_GTC,
        price_protect=params.flag("priceProtect"),
        client_order_id=read_client_id(params, "clientAlgoId"),
        self_trade=read_self_trade(params),
    )


def _check_combination(params: Params, conditional_type: ConditionalType, close_position: bool) -> None:
    if not close_position:
        return
    if conditional_type not in _CLOSES_POSITION:
        raise VenueError(-4136, "Target strategy invalid for orderType " + conditional_type + ",closePosition true")
    if params.text("quantity") is not None:
        raise VenueError(-4137, "Quantity must be zero with closePosition equals true")
    if params.flag("reduceOnly"):
        raise not_required("reduceonly")


def _trigger_price(params: Params, conditional_type: ConditionalType) -> Decimal | None:
    """triggerPrice, or for trailing stops the optional activation price; older names are still understood."""
    if conditional_type.trailing:
        return params.number("activatePrice", "activationPrice")
    price = params.number("triggerPrice", "stopPrice")
    if price is None:
        raise missing("triggerPrice")
    return price


def _named(call: AccountCall) -> ConditionalOrder | None:
    algo_id = call.params.integer("algoId")
    client_id = call.params.text("clientAlgoId")
    if algo_id is None and client_id is None:
        raise VenueError(-1102, "Either algoId or clientAlgoId must be sent.")
    return find_conditional(call.account, algo_id, client_id)
