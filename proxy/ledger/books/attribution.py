"""Whose order brought an execution about, by the name the order was sent with. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from proxy.exchange.events import LIQUIDATION_PREFIXES
from proxy.venues.binance.client_ids import is_guards


class Origin(StrEnum):
    """Who sent an order. UNKNOWN: the venue does not tell the order's name any more."""

    BOT = "bot"
    GUARD = "guard"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


_FORCED = dict(zip(LIQUIDATION_PREFIXES, (Origin.LIQUIDATION, Origin.ADL, Origin.SETTLEMENT), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBy:
    """An order's name and whose it is. ``bot`` is empty for what no bot sent, and what the guard did for no one bot."""

    symbol: str
    order_id: str
    client_order_id: str
    bot: str
    origin: Origin


def attributed(symbol: str, order_id: str, client_order_id: str | None, owner: Callable[[str], str]) -> NamedBy:
    """An order by its name, ``None`` where nobody knows it. ``owner`` names the bot behind a name, "" for none."""
    if client_order_id is None:
        return NamedBy(symbol=symbol, order_id=order_id, client_order_id="", bot="", origin=Origin.UNKNOWN)
    bot = owner(client_order_id)
    origin = next((kind for prefix, kind in _FORCED.items() if client_order_id.startswith(prefix)), None)
    if origin is None:
        origin = Origin.GUARD if is_guards(client_order_id) else Origin.BOT if bot else Origin.OUTSIDE
    return NamedBy(symbol=symbol, order_id=order_id, client_order_id=client_order_id, bot=bot, origin=origin)
