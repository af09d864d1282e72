"""New orders: documented parameters to ``PlaceOrder``, and which parameters go with which type.

Source: New Order and New Algo Order of Binance's USD-M documentation (binance-connector-python docstrings, 2026-11).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from proxy.venues.binance.malformed import MalformedRequest, invalid, missing, not_wanted
from proxy.venues.binance.spelling import WORKING_TYPES
from proxy.venues.binance.values import (
    members,
    read_bool,
    read_choice,
    read_client_id,
    read_int,
    read_positive,
    read_symbol,
    read_word,
)
from proxy.venues.binance.wire import Parameters
from rules.intent import is_guaranteed_exit
from rules.model import OrderType, PlaceOrder, PositionSide, Side, TimeInForce

_PRICE_MATCHES: Final = frozenset(
    f"{book}{depth}" for book in ("OPPONENT", "QUEUE") for depth in ("", "_5", "_10", "_20")
)

_TRIGGERS: Final = {word: trigger_by for trigger_by, word in WORKING_TYPES.items()}
_WORKING_TYPES: Final = frozenset(_TRIGGERS)
_SELF_TRADE_PREVENTION: Final = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"})
_RESPONSE_TYPES: Final = frozenset({"ACK", "RESULT"})
_GOOD_TILL_MAX: Final = 253402300799000  # "smaller than 253402300799000", New Order documentation

# Parameters that do not go with a type, beyond those the endpoint does not know. Binance answers -1106 to them.
# A price on a MARKET order is one: whoever sends it believes in a limit that the venue would not keep.
_NOT_WITH: Final[dict[OrderType, tuple[str, ...]]] = {
    OrderType.LIMIT: (),
    OrderType.MARKET: ("price", "priceMatch", "timeInForce", "goodTillDate"),
    OrderType.STOP: ("activatePrice", "callbackRate"),
    OrderType.TAKE_PROFIT: ("activatePrice", "callbackRate"),
    OrderType.STOP_MARKET: ("price", "priceMatch", "activatePrice", "callbackRate"),
    OrderType.TAKE_PROFIT_MARKET: ("price", "priceMatch", "activatePrice", "callbackRate"),
    OrderType.TRAILING_STOP_MARKET: ("price", "priceMatch", "triggerPrice"),
}
_CLOSING: Final = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)
_CONDITIONAL_TIMES: Final = frozenset(each.value for each in TimeInForce)
_PLAIN_TIMES: Final = _CONDITIONAL_TIMES - {TimeInForce.GTE_GTC.value}


def read_plain_order(parameters: Parameters, documented: frozenset[str], where: str) -> PlaceOrder:
    """An order of ``POST /fapi/v1/order`` or of ``batchOrders``: LIMIT or MARKET.

    Conditional types are refused with Binance's own -4120 before anything else is read: since December 2025 they
    live in the algo service, and older SDKs still send them here.
    """
    order_type = _order_type(parameters)
    if order_type.is_conditional:
        raise MalformedRequest(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    parameters.expect_only(documented, where)
    return _read_order(parameters, order_type, "newClientOrderId")


def read_algo_order(parameters: Parameters) -> PlaceOrder:
    """An order of ``POST /fapi/v1/algoOrder``: one of the conditional types. Its names are checked by the caller."""
    if parameters.require("algoType") != "CONDITIONAL":
        raise invalid("algoType", "CONDITIONAL")
    order_type = _order_type(parameters)
    if not order_type.is_conditional:
        raise MalformedRequest(-1116, "GUARD MALFORMED: Invalid orderType.")
    return _read_order(parameters, order_type, "clientAlgoId")


def read_side(parameters: Parameters) -> Side:
    """The mandatory direction."""
    return read_choice(parameters.require("side"), "side", Side)


def read_position_side(parameters: Parameters) -> PositionSide:
    """The leg; Binance's default is BOTH."""
    text = parameters.get("positionSide")
    return PositionSide.BOTH if text is None else read_choice(text, "positionSide", PositionSide)


def read_price_match(parameters: Parameters) -> str | None:
    """How the venue is to price the order off its book, if it is."""
    return _optional_word(parameters, "priceMatch", _PRICE_MATCHES)


def read_price(parameters: Parameters) -> Decimal | None:
    """The limit price, which either the bot or the book must give, but not both."""
    price, price_match = parameters.get("price"), parameters.get("priceMatch")
    if price is not None and price_match is not None:
        raise not_wanted("priceMatch", "it replaces price")
    if price is None and price_match is None:
        raise missing("price")
    return None if price is None else read_positive(price, "price")


def _order_type(parameters: Parameters) -> OrderType:
    found: OrderType | None = members(OrderType).get(parameters.require("type"))
    if found is None:
        raise MalformedRequest(-1116, "GUARD MALFORMED: Invalid orderType.")
    return found


def _read_order(parameters: Parameters, order_type: OrderType, id_name: str) -> PlaceOrder:
    for name in _NOT_WITH[order_type]:
        if parameters.get(name) is not None:
            raise not_wanted(name, f"it does not go with type {order_type}")
    close_position = _optional_bool(parameters, "closePosition") or False
    if close_position and order_type not in _CLOSING:
        raise not_wanted("closePosition", f"it does not go with type {order_type}")
    client_id, protect = parameters.get(id_name), _optional_bool(parameters, "priceProtect")
    working_type = _optional_word(parameters, "workingType", _WORKING_TYPES)
    time_in_force = _time_in_force(parameters, order_type)
    order = PlaceOrder(
        symbol=read_symbol(parameters.require("symbol")),
        side=read_side(parameters),
        order_type=order_type,
        quantity=_quantity(parameters, close_position),
        position_side=read_position_side(parameters),
        price=None if order_type.is_market else read_price(parameters),
        price_match=read_price_match(parameters),
        time_in_force=time_in_force,
        reduce_only=_reduce_only(parameters, close_position),
        close_position=close_position,
        trigger_price=_trigger_price(parameters, order_type),
        trigger_by=None if working_type is None else _TRIGGERS[working_type],
        activate_price=_optional_positive(parameters, "activatePrice"),
        callback_rate=_callback_rate(parameters, order_type),
        price_protect=protect,
        good_till_ms=_good_till(parameters, time_in_force),
        self_trade_prevention=_optional_word(parameters, "selfTradePreventionMode", _SELF_TRADE_PREVENTION),
        response_type=_optional_word(parameters, "newOrderRespType", _RESPONSE_TYPES),
        client_order_id=None if client_id is None else read_client_id(client_id, id_name),
    )
    if time_in_force is TimeInForce.GTE_GTC and not is_guaranteed_exit(order):
        # It ends with the position: an order that might open one has nothing to end with.
        raise not_wanted("timeInForce", "GTE_GTC goes with reduceOnly, closePosition or the closing side of a leg")
    return order


def _quantity(parameters: Parameters, close_position: bool) -> Decimal | None:
    text = parameters.get("quantity")
    if not close_position:
        return read_positive(parameters.require("quantity"), "quantity")
    if text is not None:
        raise not_wanted("quantity", "closePosition closes all")
    return None


def _reduce_only(parameters: Parameters, close_position: bool) -> bool | None:
    flag = _optional_bool(parameters, "reduceOnly")
    if close_position and flag is not None:
        raise not_wanted("reduceOnly", "closePosition implies it")
    return flag


def _trigger_price(parameters: Parameters, order_type: OrderType) -> Decimal | None:
    if not order_type.is_conditional or order_type is OrderType.TRAILING_STOP_MARKET:
        return None
    return read_positive(parameters.require("triggerPrice"), "triggerPrice")


def _callback_rate(parameters: Parameters, order_type: OrderType) -> Decimal | None:
    if order_type is not OrderType.TRAILING_STOP_MARKET:
        return None
    return read_positive(parameters.require("callbackRate"), "callbackRate")


def _time_in_force(parameters: Parameters, order_type: OrderType) -> TimeInForce | None:
    text = parameters.get("timeInForce")
    if text is None:
        return None
    times = _CONDITIONAL_TIMES if order_type.is_conditional else _PLAIN_TIMES
    found: TimeInForce = members(TimeInForce)[read_word(text, "timeInForce", times)]
    return found


def _good_till(parameters: Parameters, time_in_force: TimeInForce | None) -> int | None:
    text = parameters.get("goodTillDate")
    if time_in_force is TimeInForce.GTD:
        return read_int(parameters.require("goodTillDate"), "goodTillDate", low=1, high=_GOOD_TILL_MAX)
    if text is not None:
        raise not_wanted("goodTillDate", "it goes with timeInForce GTD")
    return None


def _optional_bool(parameters: Parameters, name: str) -> bool | None:
    text = parameters.get(name)
    return None if text is None else read_bool(text, name)


def _optional_positive(parameters: Parameters, name: str) -> Decimal | None:
    text = parameters.get(name)
    return None if text is None else read_positive(text, name)


def _optional_word(parameters: Parameters, name: str, words: frozenset[str]) -> str | None:
    text = parameters.get(name)
    return None if text is None else read_word(text, name, words)
