"""Which orders are the venue's own doing: liquidation, auto-deleveraging, delisting. Pure.

Anyone may name an order like the venue's, but the venue only ever closes. So each is held against the position that its
own event, or its place in the venue's list, met: events are told together, and what came after it, a second liquidation
or a bot's new entry, says nothing of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Protocol

from proxy.exchange.events import LIQUIDATION_PREFIXES, OrderEvent
from proxy.exchange.survey import OrderKey
from proxy.recent import Recent
from rules.account import OpenOrder
from rules.model import PositionSide

FORCED_MAX: Final = 50_000
"""The venue's orders that are remembered."""


class Counted(Protocol):
    """The positions as the events so far add up to them."""

    def leg(self, symbol: str, position_side: PositionSide) -> Decimal:
        """The signed position of a leg."""
        ...

    def filled_by(self, symbol: str, order_id: str) -> Decimal:
        """How much of an order is counted."""
        ...


class ForcedOrders:
    """Those of one account."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._forced: Recent[OrderKey, None] = Recent(FORCED_MAX)

    def __contains__(self, key: OrderKey) -> bool:
        return key in self._forced

    def judge(self, order: OrderEvent | OpenOrder) -> None:
        """Is it the venue's? To be asked before what this tells of it is counted. One of the past is an ``OpenOrder``,
        and is judged by what it filled."""
        if order.client_order_id.startswith(LIQUIDATION_PREFIXES) and self._closes(order):
            self._forced.put((order.symbol, order.order_id, False), None)

    def _closes(self, order: OrderEvent | OpenOrder) -> bool:
        quantity = order.quantity if isinstance(order, OrderEvent) else order.filled_quantity
        # What the order itself has been counted for already is put back: this may be told late.
        filled = order.side.sign * self._counted.filled_by(order.symbol, order.order_id)
        position = self._counted.leg(order.symbol, order.position_side) - filled
        return position * order.side.sign < 0 and quantity <= abs(position)
