"""What the engine tells of an account, as the frames of a user-data stream.

Shapes: Binance USD-M "User Data Streams" (ORDER_TRADE_UPDATE, TRADE_LITE, ACCOUNT_UPDATE, ACCOUNT_CONFIG_UPDATE,
ALGO_UPDATE, MARGIN_CALL), November 2026. `T` is the matching engine's time and `E` the event's; here both are engine
time, so events of one step share them, as events of one millisecond do on the venue.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.binance.call import Json, money, on_step, on_tick, plain
from sandbox.binance.order_replies import WORKING_TYPES, self_trade_wire, time_in_force_wire
from sandbox.engine.events import (
    AccountChanged,
    Cause,
    ConditionalChanged,
    Event,
    Execution,
    LeverageChanged,
    MarginCalled,
    MultiAssetsChanged,
    OrderChanged,
)
from sandbox.engine.exchange import Exchange
from sandbox.engine.margin import exposure, maintenance_margin, unrealised
from sandbox.engine.model import ZERO, Position

LISTEN_KEY_EXPIRED = "listenKeyExpired"

_EXECUTIONS = {
    Execution.NEW: "NEW",
    Execution.AMENDED: "AMENDMENT",
    Execution.TRADE: "TRADE",
    Execution.FORCED: "CALCULATED",
    Execution.CANCELED: "CANCELED",
    Execution.EXPIRED: "EXPIRED",
}
_REASONS = {
    Cause.ORDER: "ORDER",
    Cause.FUNDING: "FUNDING_FEE",
    Cause.MARGIN_TRANSFER: "MARGIN_TRANSFER",
    Cause.MARGIN_MODE: "MARGIN_TYPE_CHANGE",
    Cause.INSURANCE_CLEAR: "INSURANCE_CLEAR",
    Cause.TRANSFER: "ASSET_TRANSFER",
}


def user_frames(exchange: Exchange, event: Event) -> list[Json]:
    """The frames that tell of one event, in the order they are sent.

    Call it when the event happens: what an event does not carry (mark prices, order notionals) is read now.
    """
    match event:
        case OrderChanged():
            return _order_frames(exchange, event)
        case AccountChanged():
            return [_account_frame(exchange, event)]
        case ConditionalChanged():
            return [_conditional_frame(exchange, event)]
        case LeverageChanged():
            return [_frame("ACCOUNT_CONFIG_UPDATE", event, ac={"s": event.symbol, "l": event.leverage})]
        case MultiAssetsChanged():
            return [_frame("ACCOUNT_CONFIG_UPDATE", event, ai={"j": event.multi_assets})]
        case MarginCalled():
            return [_margin_call_frame(exchange, event)]
        case _:
            raise AssertionError(event)


def expired_frame(now_ms: int, key: str) -> Json:
    """The last frame of a stream whose key has run out."""
    return {"e": LISTEN_KEY_EXPIRED, "E": now_ms, "listenKey": key}


def _frame(name: str, event: Event, **content: object) -> Json:
    return {"e": name, "E": event.time_ms, "T": event.time_ms, **content}


def _order_frames(exchange: Exchange, event: OrderChanged) -> list[Json]:
    order, fill = event.order, event.fill
    market = exchange.market(order.symbol)
    held = exposure(exchange, exchange.accounts[order.account], order.symbol, order.position_side)
    update: Json = {
        "s": order.symbol,
        "c": order.client_order_id,
        "S": str(order.side),
        "o": str(order.order_type),
        "f": time_in_force_wire(order.time_in_force),
        "q": on_step(market, order.quantity),
        "p": on_tick(market, order.price),
        "ap": format(order.average_price.quantize(market.instrument.tick / 100), "f"),
        "sp": "0",
        "x": _EXECUTIONS[event.execution],
        "X": str(order.status),
        "i": order.order_id,
        "l": on_step(market, fill.quantity if fill else ZERO),
        "z": on_step(market, order.filled_quantity),
        "L": on_tick(market, fill.price if fill else ZERO),
        "N": market.instrument.quote,
        "n": money(fill.commission) if fill else "0",
        "T": event.time_ms,
        "t": fill.trade_id if fill else 0,
        "b": plain(held.bids),
        "a": plain(held.asks),
        "m": fill is not None and fill.maker,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": str(order.order_type),
        "ps": str(order.position_side),
        "cp": order.close_position,
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": money(fill.realised) if fill else "0",
        "V": self_trade_wire(order.self_trade),
        "pm": "NONE",
        "gtd": order.good_till_ms,
        "er": "0",
    }
    frames = [_frame("ORDER_TRADE_UPDATE", event, o=update)]
    if event.execution is Execution.TRADE:
        brief = {name: update[name] for name in ("s", "q", "p", "m", "c", "S", "L", "l", "t", "i")}
        frames.insert(0, _frame("TRADE_LITE", event, **brief))
    return frames


def _account_frame(exchange: Exchange, event: AccountChanged) -> Json:
    balance = {
        "a": "USDT",
        "wb": money(event.wallet),
        "cw": money(event.cross_wallet),
        "bc": money(event.change) if event.change else "0",
    }
    account = exchange.accounts[event.account]
    legs = [
        {
            "s": leg.symbol,
            "pa": on_step(exchange.market(leg.symbol), leg.quantity),
            "ep": plain(leg.entry_price),
            "bep": plain(leg.break_even_price.quantize(Decimal("1e-10"))),
            "cr": money(leg.realised),
            "up": money(unrealised(exchange, leg)),
            "mt": "isolated" if account.isolated(leg.symbol) else "cross",
            "iw": money(leg.isolated_wallet) if account.isolated(leg.symbol) else "0",
            "ps": str(leg.position_side),
            "ma": "USDT",
        }
        for leg in event.legs
    ]
    return _frame("ACCOUNT_UPDATE", event, a={"m": _REASONS[event.cause], "B": [balance], "P": legs})


def _conditional_frame(exchange: Exchange, event: ConditionalChanged) -> Json:
    order = event.order
    terms, real = order.terms, order.order
    market = exchange.market(terms.symbol)
    update: Json = {
        "caid": order.client_order_id,
        "aid": order.conditional_id,
        "at": "CONDITIONAL",
        "o": str(terms.conditional_type),
        "s": terms.symbol,
        "S": str(terms.side),
        "ps": str(terms.position_side),
        "f": "GTE_GTC" if terms.expires_with_position else time_in_force_wire(terms.time_in_force),
        "q": on_step(market, terms.quantity or ZERO),
        "X": str(order.reported_status),
        "ai": str(real.order_id) if real else "",
        "ap": on_tick(market, real.average_price if real else ZERO),
        "aq": on_step(market, real.filled_quantity if real else ZERO),
        "act": str(real.order_type) if real else "0",
        "tp": on_tick(market, terms.trigger_price or ZERO),
        "p": on_tick(market, terms.price or ZERO),
        "V": self_trade_wire(terms.self_trade),
        "wt": WORKING_TYPES[terms.trigger_by],
        "pm": "NONE",
        "cp": terms.close_position,
        "pP": terms.price_protect,
        "R": terms.reduce_only,
        "tt": order.triggered_ms,
        "gtd": 0,
        "rm": order.failure,
    }
    if terms.conditional_type.trailing:
        update["AP"] = update["tp"]
        update["cr"] = plain(terms.callback_percent or ZERO)
    return _frame("ALGO_UPDATE", event, o=update)


def _margin_call_frame(exchange: Exchange, event: MarginCalled) -> Json:
    legs = [_called_leg(exchange, event.account, leg) for leg in event.legs]
    return {"e": "MARGIN_CALL", "E": event.time_ms, "cw": money(event.cross_wallet), "p": legs}


def _called_leg(exchange: Exchange, account: str, leg: Position) -> Json:
    market = exchange.market(leg.symbol)
    isolated = exchange.accounts[account].isolated(leg.symbol)
    return {
        "s": leg.symbol,
        "ps": str(leg.position_side),
        "pa": on_step(market, leg.quantity),
        "mt": "ISOLATED" if isolated else "CROSSED",
        "iw": money(leg.isolated_wallet) if isolated else "0",
        "mp": money(market.mark_price),
        "up": money(unrealised(exchange, leg)),
        "mm": money(maintenance_margin(exchange, leg)),
    }
