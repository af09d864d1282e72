"""Which orders are the venue's own doing: liquidation, auto-deleveraging, delisting. Pure.

Anyone may name an order like the venue's, but the venue only ever closes. So each is held against the position that its
own event, or its place in the venue's list, met: events are told together, and what came after it, a second liquidation
or a bot's new entry, says nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Protocol

from proxy.exchange.events import LIQUIDATION_PREFIXES, OrderEvent
from proxy.exchange.survey import OrderKey
from proxy.recent import Recent
from rules.account import OpenOrder
from rules.model import PositionSide, Side

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
    """Those of one account. All that rest on a side of a leg together close no more than there is of it: of several
    that would each fit, what is beyond that is anybody's."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        # How much each may execute, as it was judged.
        self._forced: Recent[OrderKey, Decimal] = Recent(FORCED_MAX)
        self._left: dict[tuple[str, PositionSide, Side], dict[OrderKey, Decimal]] = {}

    def __contains__(self, key: OrderKey) -> bool:
        return key in self._forced

    def judge(self, order: OrderEvent | OpenOrder) -> None:
        """Is it the venue's? To be asked before what this tells of it is counted. One of the past is an ``OpenOrder``,
        and is judged by what it filled. One that grew is judged anew."""
        if not order.client_order_id.startswith(LIQUIDATION_PREFIXES):
            return
        key, quantity, left = (order.symbol, order.order_id, False), order.filled_quantity, Decimal(0)
        if isinstance(order, OrderEvent):
            quantity = order.quantity
            left = quantity - order.filled_quantity if order.is_open else left
        beside = self._left.setdefault((order.symbol, order.position_side, order.side), {})
        beside.pop(key, None)
        judged = self._forced.get(key)
        if judged is None or quantity > judged:
            if not self._closes(order, quantity + sum(beside.values())):
                self._forced.drop(key)
                return
            self._forced.put(key, quantity)
        if left:
            beside[key] = left

    def standing(self, keys: Iterable[OrderKey]) -> None:
        """The venue lists these orders and no others: one whose end was never told rests no more."""
        listed = frozenset(keys)
        for beside in self._left.values():
            for gone in beside.keys() - listed:
                del beside[gone]

    def _closes(self, order: OrderEvent | OpenOrder, quantity: Decimal) -> bool:
        # What the order itself has been counted for already is put back: this may be told late.
        filled = order.side.sign * self._counted.filled_by(order.symbol, order.order_id)
        position = self._counted.leg(order.symbol, order.position_side) - filled
        return position * order.side.sign < 0 and quantity <= abs(position)
