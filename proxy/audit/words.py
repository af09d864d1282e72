"""Commands as a person should see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(command: Mapping[str, Any]) -> str:
    """A command in one line: ``BUY 3 BTCUSDT MARKET``, ``cancel order 42 of BTCUSDT``."""
    name = str(command.get("type", "?"))
    symbol = command.get("symbol") or "any symbol"
    match name:
        case "PlaceOrder":
            return _placed(command)
        case "AmendOrder":
            named = f"order {_order_name(command)}"
            return f"amend {named} to {command.get('side')} {command.get('quantity')} {symbol}{_priced(command)}"
        case "CancelOrder":
            return f"cancel {_conditional(command)}order {_order_name(command)} of {symbol}"
        case "CancelAll":
            return f"cancel all {_conditional(command)}orders of {symbol}"
        case "SetLeverage":
            return f"set leverage of {symbol} to {command.get('leverage')}"
        case "SetMarginMode":
            return f"set margin mode of {symbol} to {command.get('margin_mode')}"
        case "SetPositionMode":
            return f"set position mode to {'hedge' if command.get('hedged') else 'one-way'}"
        case "SetMultiAssetMode":
            return f"turn multi-asset margin {'on' if command.get('enabled') else 'off'}"
        case "AdjustIsolatedMargin":
            return f"adjust isolated margin of {symbol} {command.get('position_side')} by {command.get('amount')}"
        case "ArmDeadMan":
            return f"arm dead-man timer of {symbol} at {command.get('countdown_ms')} ms"
        case _:
            return f"{name} {symbol}"


def _placed(command: Mapping[str, Any]) -> str:
    quantity = "whole position" if command.get("close_position") else command.get("quantity")
    words = [command.get("side"), quantity, command.get("symbol"), command.get("order_type")]
    trigger = f" trigger {command['trigger_price']}" if command.get("trigger_price") is not None else ""
    leg = command.get("position_side")
    hedged = f" {leg}" if leg in ("LONG", "SHORT") else ""
    reducing = " reduce-only" if command.get("reduce_only") else ""
    return " ".join(str(word) for word in words) + _priced(command) + trigger + hedged + reducing


def _priced(command: Mapping[str, Any]) -> str:
    price = command.get("price") or command.get("price_match")
    return f" @ {price}" if price is not None else ""


def _order_name(command: Mapping[str, Any]) -> str:
    return str(command.get("order_id") or command.get("client_order_id") or "?")


def _conditional(command: Mapping[str, Any]) -> str:
    return "conditional " if command.get("conditional") else ""
