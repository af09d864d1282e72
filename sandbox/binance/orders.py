"""Handlers of plain orders: place, test, amend, cancel, batches and queries."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial

from sandbox.binance.call import AccountCall, Json
from sandbox.binance.errors import VenueError, from_rejection, malformed, missing, no_such_order
from sandbox.binance.order_reading import read_limit_price, read_new_order
from sandbox.binance.order_replies import order_reply
from sandbox.binance.params import Params, read_batch, read_list
from sandbox.engine.model import Order, Side
from sandbox.engine.rejection import Rejected
from sandbox.engine.trading import amend, arm_countdown, cancel, cancel_all, check_new, find_order, place

BATCH_PLACE_MAX = 5
BATCH_CANCEL_MAX = 10


class _ResponseType(StrEnum):
    ACK = "ACK"
    RESULT = "RESULT"


def place_order(call: AccountCall) -> Json:
    """POST /fapi/v1/order."""
    return _place_one(call, call.params)


def test_order(call: AccountCall) -> Json:
    """POST /fapi/v1/order/test: every check, no effect."""
    check_new(call.exchange, call.account, read_new_order(call, call.params))
    return {}


def place_batch(call: AccountCall) -> list[Json]:
    """POST /fapi/v1/batchOrders: HTTP 200 with one order or one error per entry."""
    batch = read_batch(call.params.required("batchOrders"))
    if not 0 < len(batch) <= BATCH_PLACE_MAX:
        raise VenueError(-4082, "Invalid number of batch place orders.")
    return [_or_error(partial(_place_one, call, entry)) for entry in batch]


def amend_order(call: AccountCall) -> Json:
    """PUT /fapi/v1/order."""
    return _amend_one(call, call.params)


def amend_batch(call: AccountCall) -> list[Json]:
    """PUT /fapi/v1/batchOrders."""
    batch = read_batch(call.params.required("batchOrders"))
    if not 0 < len(batch) <= BATCH_PLACE_MAX:
        raise VenueError(-4082, "Invalid number of batch place orders.")
    return [_or_error(partial(_amend_one, call, entry)) for entry in batch]


def cancel_order(call: AccountCall) -> Json:
    """DELETE /fapi/v1/order."""
    return _cancel_one(call, call.params)


def cancel_batch(call: AccountCall) -> list[Json]:
    """DELETE /fapi/v1/batchOrders; ccxt and python-binance spell the list in lower case."""
    symbol = call.market().instrument.symbol
    ids = call.params.text("orderIdList", "orderidlist")
    client_ids = call.params.text("origClientOrderIdList", "origclientorderidlist")
    if ids is not None:
        pairs = [("orderId", value) for value in read_list("orderIdList", ids)]
    elif client_ids is not None:
        pairs = [("origClientOrderId", value) for value in read_list("origClientOrderIdList", client_ids)]
    else:
        raise missing("orderIdList")
    if not 0 < len(pairs) <= BATCH_CANCEL_MAX:
        raise malformed("orderIdList")
    entries = [Params([("symbol", symbol), pair]) for pair in pairs]
    return [_or_error(partial(_cancel_one, call, entry)) for entry in entries]


def cancel_open_orders(call: AccountCall) -> Json:
    """DELETE /fapi/v1/allOpenOrders: plain orders of one symbol only; conditional orders stay (a famous trap)."""
    cancel_all(call.exchange, call.account, call.params.required("symbol"))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def countdown(call: AccountCall) -> Json:
    """POST /fapi/v1/countdownCancelAll."""
    symbol = call.params.required("symbol")
    countdown_ms = call.params.required_integer("countdownTime")
    if countdown_ms < 0:
        raise malformed("countdownTime")
    arm_countdown(call.exchange, call.account, symbol, countdown_ms)
    return {"symbol": symbol, "countdownTime": str(countdown_ms)}


def query_order(call: AccountCall) -> Json:
    """GET /fapi/v1/order."""
    order = _named(call, call.params)
    if order is None:
        raise no_such_order()
    return order_reply(call.exchange, order)


def query_open_order(call: AccountCall) -> Json:
    """GET /fapi/v1/openOrder."""
    order = _named(call, call.params)
    if order is None or not order.open:
        raise no_such_order()
    return order_reply(call.exchange, order)


def open_orders(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/openOrders, one symbol or all."""
    symbols = {market.instrument.symbol for market in call.markets()}
    return [order_reply(call.exchange, order) for order in call.account.open_orders.values() if order.symbol in symbols]


def all_orders(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/allOrders: the newest of one symbol, or those from an id or a time on, oldest first."""
    symbol = call.market().instrument.symbol
    since_id = call.params.integer("orderId") or 0
    since = call.params.integer("startTime") or 0
    until = call.params.integer("endTime")
    rows = [
        order
        for order in call.account.orders
        if order.symbol == symbol
        and order.order_id >= since_id
        and order.created_ms >= since
        and (until is None or order.created_ms <= until)
    ]
    limit = call.limit(500, 1000)
    chosen = rows[:limit] if since_id or since else rows[-limit:]
    return [order_reply(call.exchange, order) for order in chosen]


def _place_one(call: AccountCall, params: Params) -> Json:
    new = read_new_order(call, params)
    response = params.choice("newOrderRespType", _ResponseType, -1130, _ResponseType.ACK)
    order = place(call.exchange, call.account, new)
    price_match = params.text("priceMatch") or "NONE"
    return order_reply(call.exchange, order, price_match=price_match, as_accepted=response is _ResponseType.ACK)


def _amend_one(call: AccountCall, params: Params) -> Json:
    order = _named(call, params)
    market = call.exchange.market(params.required("symbol"))
    side = params.choice("side", Side, -1117, None)
    quantity = params.required_number("quantity")
    price = read_limit_price(market, side, params)
    if order is None:
        raise no_such_order()
    return order_reply(call.exchange, amend(call.exchange, call.account, order, side, quantity, price))


def _named(call: AccountCall, params: Params) -> Order | None:
    """The order named by orderId or origClientOrderId on a mandatory symbol."""
    symbol = call.exchange.market(params.required("symbol")).instrument.symbol
    order_id = params.integer("orderId")
    client_id = params.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise VenueError(-1102, "Either orderId or origClientOrderId must be sent.")
    return find_order(call.account, symbol, order_id, client_id)


def _cancel_one(call: AccountCall, params: Params) -> Json:
    return order_reply(call.exchange, cancel(call.exchange, _named(call, params)))


def _or_error(act: Callable[[], Json]) -> Json:
    """One batch entry's reply: the order, or the error the venue puts in its place."""
    try:
        return act()
    except Rejected as refusal:
        error = from_rejection(refusal)
    except VenueError as refused:
        error = refused
    return {"code": error.code, "msg": error.message}
