"""Read orders out of the venue's parameters: spellings, defaults and combinations; refusals in the venue's codes."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum

from sandbox.binance.call import AccountCall
from sandbox.binance.errors import VenueError, malformed, missing, not_required
from sandbox.binance.params import Params
from sandbox.engine.market import Market
from sandbox.engine.model import NewOrder, OrderType, PositionSide, SelfTrade, Side, TimeInForce

_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
# priceMatch names a side of the book and a level: OPPONENT_5 is the fifth price across, QUEUE the best on our side.
_PRICE_MATCH = re.compile(r"(OPPONENT|QUEUE)(?:_(5|10|20))?")


class _Type(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class WireTimeInForce(StrEnum):
    """timeInForce as the venue spells it; RPI is treated as post-only."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    GTD = "GTD"
    RPI = "RPI"
    GTE_GTC = "GTE_GTC"


class _WireSelfTrade(StrEnum):
    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


TIMES_IN_FORCE = {
    WireTimeInForce.GTC: TimeInForce.GTC,
    WireTimeInForce.IOC: TimeInForce.IOC,
    WireTimeInForce.FOK: TimeInForce.FOK,
    WireTimeInForce.GTX: TimeInForce.POST_ONLY,
    WireTimeInForce.GTD: TimeInForce.GTD,
    WireTimeInForce.RPI: TimeInForce.POST_ONLY,
    WireTimeInForce.GTE_GTC: TimeInForce.GTC,
}


def read_new_order(call: AccountCall, params: Params) -> NewOrder:
    """The engine's order out of the venue's parameters."""
    market = call.exchange.market(params.required("symbol"))
    side = params.choice("side", Side, -1117, None)
    wire_type = params.choice("type", _Type, -1116, None)
    if wire_type not in (_Type.LIMIT, _Type.MARKET):
        raise VenueError(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    order_type = OrderType(wire_type)
    position_side = params.choice("positionSide", PositionSide, -4060, PositionSide.BOTH)
    good_till = params.integer("goodTillDate")
    time_in_force = read_time_in_force(params) if order_type is OrderType.LIMIT else TimeInForce.GTC
    if time_in_force is TimeInForce.GTD and good_till is None:
        raise missing("goodTillDate")
    if call.account.hedge_mode and params.text("reduceOnly") is not None:
        raise not_required("reduceonly")
    return NewOrder(
        symbol=market.instrument.symbol,
        side=side,
        order_type=order_type,
        quantity=params.required_number("quantity"),
        # A price on a market order is ignored by the venue; python-binance's own examples send one.
        price=read_limit_price(market, side, params) if order_type is OrderType.LIMIT else None,
        position_side=position_side,
        time_in_force=time_in_force,
        reduce_only=params.flag("reduceOnly"),
        client_order_id=read_client_id(params, "newClientOrderId"),
        self_trade=read_self_trade(params),
        good_till_ms=good_till or 0,
    )


def read_time_in_force(params: Params) -> TimeInForce:
    """timeInForce, which limit orders must carry."""
    return TIMES_IN_FORCE[params.choice("timeInForce", WireTimeInForce, -1115, None)]


def read_self_trade(params: Params) -> SelfTrade:
    """selfTradePreventionMode; the venue's default expires the maker."""
    wire = params.choice("selfTradePreventionMode", _WireSelfTrade, -1130, _WireSelfTrade.EXPIRE_MAKER)
    return SelfTrade.ALLOW if wire is _WireSelfTrade.NONE else SelfTrade(wire)


def read_client_id(params: Params, name: str) -> str:
    """A client's own id, empty when none was sent."""
    client_id = params.text(name)
    if client_id is None:
        return ""
    if len(client_id) > 36:
        raise VenueError(-4015, "Client order id length should be less than 36 chars")
    if not _CLIENT_ID.fullmatch(client_id):
        legal = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
        raise VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
    return client_id


def read_limit_price(market: Market, side: Side, params: Params) -> Decimal:
    """`price`, or the price of the book level that `priceMatch` names."""
    match = params.text("priceMatch")
    if match is None or match == "NONE":
        return params.required_number("price")
    if params.text("price") is not None:
        raise not_required("price")
    named = _PRICE_MATCH.fullmatch(match)
    if named is None:
        raise malformed("priceMatch")
    levels = list(market.levels(side.opposite if named[1] == "OPPONENT" else side))
    if not levels:
        raise malformed("priceMatch")
    return levels[min(int(named[2] or 1), len(levels)) - 1].price
