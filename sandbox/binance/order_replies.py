"""Orders, fills and conditional orders in the venue's JSON shapes."""

from __future__ import annotations

from sandbox.binance.call import Json, money, on_step, on_tick, plain
from sandbox.engine.conditional import ConditionalOrder, TriggerBy
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market
from sandbox.engine.model import ZERO, Fill, Order, OrderStatus, SelfTrade, Side, TimeInForce

_TIME_IN_FORCE = {TimeInForce.POST_ONLY: "GTX"}
_SELF_TRADE = {SelfTrade.ALLOW: "NONE"}
WORKING_TYPES = {TriggerBy.MARK_PRICE: "MARK_PRICE", TriggerBy.LAST_PRICE: "CONTRACT_PRICE"}


def order_reply(exchange: Exchange, order: Order, *, price_match: str = "NONE", as_accepted: bool = False) -> Json:
    """An order as /order and its relatives return it. `as_accepted` shows it unexecuted (newOrderRespType=ACK)."""
    market = exchange.market(order.symbol)
    filled = ZERO if as_accepted else order.filled_quantity
    notional = ZERO if as_accepted else order.filled_notional
    average = ZERO if as_accepted else order.average_price
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": str(OrderStatus.NEW if as_accepted else order.status),
        "clientOrderId": order.client_order_id,
        "price": on_tick(market, order.price),
        "avgPrice": format(average.quantize(market.instrument.tick / 100), "f"),
        "origQty": on_step(market, order.quantity),
        "executedQty": on_step(market, filled),
        "cumQty": on_step(market, filled),
        "cumQuote": format(notional.quantize(market.instrument.tick * market.instrument.lot_step), "f"),
        "timeInForce": time_in_force_wire(order.time_in_force),
        "type": str(order.order_type),
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": str(order.side),
        "positionSide": str(order.position_side),
        "stopPrice": on_tick(market, ZERO),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": str(order.order_type),
        "priceMatch": price_match,
        "selfTradePreventionMode": self_trade_wire(order.self_trade),
        "goodTillDate": order.good_till_ms,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def fill_reply(market: Market, fill: Fill) -> Json:
    """One of an account's executions (userTrades)."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": str(fill.side),
        "price": on_tick(market, fill.price),
        "qty": on_step(market, fill.quantity),
        "realizedPnl": money(fill.realised),
        # Exact: freqtrade derives the fee rate from commission / quoteQty.
        "quoteQty": plain(fill.price * fill.quantity),
        "commission": money(fill.commission),
        "commissionAsset": market.instrument.quote,
        "marginAsset": market.instrument.quote,
        "time": fill.time_ms,
        "positionSide": str(fill.position_side),
        "maker": fill.maker,
        "buyer": fill.side is Side.BUY,
    }


def conditional_reply(exchange: Exchange, order: ConditionalOrder) -> Json:
    """A conditional order as /algoOrder and its relatives return it."""
    terms = order.terms
    market = exchange.market(terms.symbol)
    quantity = ZERO if terms.quantity is None else terms.quantity
    trailing = terms.conditional_type.trailing
    trigger = ZERO if trailing or terms.trigger_price is None else terms.trigger_price
    real = order.order
    return {
        "algoId": order.conditional_id,
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": str(terms.conditional_type),
        "symbol": terms.symbol,
        "side": str(terms.side),
        "positionSide": str(terms.position_side),
        "timeInForce": "GTE_GTC" if terms.expires_with_position else time_in_force_wire(terms.time_in_force),
        "quantity": on_step(market, quantity),
        "algoStatus": str(order.reported_status),
        "actualOrderId": str(real.order_id) if real else "",
        "actualPrice": on_tick(market, real.average_price if real else ZERO),
        "actualQty": on_step(market, real.filled_quantity if real else ZERO),
        "executedQty": on_step(market, real.filled_quantity if real else ZERO),
        "avgPrice": on_tick(market, real.average_price if real else ZERO),
        "triggerPrice": on_tick(market, trigger),
        "price": on_tick(market, ZERO if terms.price is None else terms.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": self_trade_wire(terms.self_trade),
        "workingType": WORKING_TYPES[terms.trigger_by],
        "priceMatch": "NONE",
        "closePosition": terms.close_position,
        "priceProtect": terms.price_protect,
        "reduceOnly": terms.reduce_only,
        "activatePrice": on_tick(market, terms.trigger_price) if trailing and terms.trigger_price else None,
        "callbackRate": plain(terms.callback_percent) if terms.callback_percent is not None else None,
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": 0,
        "failureReason": order.failure,
    }


def time_in_force_wire(time_in_force: TimeInForce) -> str:
    """A time in force as the venue spells it."""
    return _TIME_IN_FORCE.get(time_in_force, str(time_in_force))


def self_trade_wire(self_trade: SelfTrade) -> str:
    """A self-trade rule as the venue spells it."""
    return _SELF_TRADE.get(self_trade, str(self_trade))
