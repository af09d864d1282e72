"""Commands in Binance's spelling: fixed order, plain decimals, defaults left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, assert_never

from proxy.venues.binance.values import plain
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    MarginMode,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    TriggerBy,
)

Spelled = tuple[tuple[str, str], ...]
"""Parameters in the order they are sent."""

WORKING_TYPES: Final = {TriggerBy.MARK: "MARK_PRICE", TriggerBy.LAST: "CONTRACT_PRICE"}
MARGIN_TYPES: Final = {MarginMode.CROSS: "CROSSED", MarginMode.ISOLATED: "ISOLATED"}


def spell(command: Command) -> Spelled:
    """One command as the parameters of its own route."""
    match command:
        case PlaceOrder():
            return spell_algo_order(command) if command.order_type.is_conditional else spell_plain_order(command)
        case AmendOrder():
            return _amend(command)
        case CancelOrder():
            return _cancel(command)
        case CancelAll(symbol=symbol):
            return (("symbol", symbol),)
        case SetLeverage(symbol=symbol, leverage=leverage):
            return ("symbol", symbol), ("leverage", plain(leverage))
        case SetMarginMode(symbol=symbol, margin_mode=mode):
            return ("symbol", symbol), ("marginType", MARGIN_TYPES[mode])
        case SetPositionMode(hedged=hedged):
            return (("dualSidePosition", _flag(hedged)),)
        case SetMultiAssetMode(enabled=enabled):
            return (("multiAssetsMargin", _flag(enabled)),)
        case AdjustIsolatedMargin():
            return _position_margin(command)
        case ArmDeadMan(symbol=symbol, countdown_ms=countdown):
            return ("symbol", symbol), ("countdownTime", str(countdown))
        case _:
            assert_never(command)


def spell_plain_order(order: PlaceOrder) -> Spelled:
    """A LIMIT or MARKET order."""
    return _sent(
        ("symbol", order.symbol),
        ("side", order.side),
        ("type", order.order_type),
        ("positionSide", _leg(order.position_side)),
        ("timeInForce", order.time_in_force),
        ("quantity", _number(order.quantity)),
        ("price", _number(order.price)),
        ("priceMatch", order.price_match),
        ("reduceOnly", _optional_flag(order.reduce_only)),
        ("goodTillDate", _whole(order.good_till_ms)),
        ("selfTradePreventionMode", order.self_trade_prevention),
        ("newOrderRespType", order.response_type),
        ("newClientOrderId", order.client_order_id),
    )


def spell_algo_order(order: PlaceOrder) -> Spelled:
    """A conditional order of the algo service."""
    protect = _optional_flag(order.price_protect)
    return _sent(
        ("algoType", "CONDITIONAL"),
        ("symbol", order.symbol),
        ("side", order.side),
        ("type", order.order_type),
        ("positionSide", _leg(order.position_side)),
        ("timeInForce", order.time_in_force),
        ("quantity", _number(order.quantity)),
        ("price", _number(order.price)),
        ("priceMatch", order.price_match),
        ("triggerPrice", _number(order.trigger_price)),
        ("workingType", None if order.trigger_by is None else WORKING_TYPES[order.trigger_by]),
        ("activatePrice", _number(order.activate_price)),
        ("callbackRate", _number(order.callback_rate)),
        ("closePosition", "true" if order.close_position else None),
        # Documented in capitals, unlike every other flag.
        ("priceProtect", None if protect is None else protect.upper()),
        ("reduceOnly", _optional_flag(order.reduce_only)),
        ("goodTillDate", _whole(order.good_till_ms)),
        ("selfTradePreventionMode", order.self_trade_prevention),
        ("newOrderRespType", order.response_type),
        ("clientAlgoId", order.client_order_id),
    )


def spell_batch(commands: Sequence[Command]) -> Spelled:
    """Orders or amends of one ``batchOrders`` call. All values are strings, as the documentation shows them."""
    entries = [dict(spell(command)) for command in commands]
    return (("batchOrders", json.dumps(entries, separators=(",", ":"))),)


def spell_batch_cancel(commands: Sequence[Command]) -> Spelled:
    """Cancels of one symbol, all by the venue's id or all by the client's."""
    cancels = [command for command in commands if isinstance(command, CancelOrder)]
    symbols = {cancel.symbol for cancel in cancels}
    order_ids = [cancel.order_id for cancel in cancels if cancel.order_id is not None]
    client_ids = [cancel.client_order_id for cancel in cancels if cancel.order_id is None]
    assert len(cancels) == len(commands), "only cancels go in a batch of cancels"  # noqa: S101
    assert len(symbols) == 1 and None not in symbols, "a batch of cancels has one symbol"  # noqa: S101
    assert not (order_ids and client_ids), "Binance takes one list or the other"  # noqa: S101
    symbol = str(cancels[0].symbol)
    if order_ids:
        return ("symbol", symbol), ("orderIdList", f"[{','.join(order_ids)}]")
    return ("symbol", symbol), ("origClientOrderIdList", json.dumps(client_ids, separators=(",", ":")))


def _amend(amend: AmendOrder) -> Spelled:
    return _sent(
        ("symbol", amend.symbol),
        ("side", amend.side),
        ("orderId", amend.order_id),
        ("origClientOrderId", None if amend.order_id is not None else amend.client_order_id),
        ("quantity", _number(amend.quantity)),
        ("price", _number(amend.price)),
        ("priceMatch", amend.price_match),
    )


def _cancel(cancel: CancelOrder) -> Spelled:
    id_name, client_name = ("algoId", "clientAlgoId") if cancel.conditional else ("orderId", "origClientOrderId")
    return _sent(
        # The algo service finds an order by its id alone; ccxt names the symbol all the same, and it is accepted.
        ("symbol", cancel.symbol),
        (id_name, cancel.order_id),
        (client_name, None if cancel.order_id is not None else cancel.client_order_id),
    )


def _position_margin(margin: AdjustIsolatedMargin) -> Spelled:
    return _sent(
        ("symbol", margin.symbol),
        ("positionSide", _leg(margin.position_side)),
        ("amount", _number(margin.amount.copy_abs())),
        ("type", "1" if margin.amount > 0 else "2"),
    )


def _sent(*parameters: tuple[str, str | None]) -> Spelled:
    return tuple((name, str(value)) for name, value in parameters if value is not None)


def _leg(position_side: PositionSide) -> str | None:
    return None if position_side is PositionSide.BOTH else position_side


def _number(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _whole(value: int | None) -> str | None:
    return None if value is None else str(value)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _optional_flag(value: bool | None) -> str | None:
    return None if value is None else _flag(value)
