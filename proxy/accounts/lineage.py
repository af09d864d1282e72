"""Which client order id stands behind a plain order: its own, or that of the conditional order it grew out of. Pure."""

from __future__ import annotations

from typing import Final

from proxy.exchange.events import AlgoEvent, OrderEvent
from proxy.recent import Recent
from rules.account import OpenOrder

BORN_MAX: Final = 10_000
"""Triggered orders remembered; the oldest is forgotten, long after it filled."""


class Lineage:
    """Remembers what conditional orders turned into; the venue may give the plain order a client id of its own."""

    def __init__(self) -> None:
        # By symbol too: the venue numbers the orders of each symbol by themselves.
        self._born: Recent[tuple[str, str], str] = Recent(BORN_MAX)

    def learn(self, event: AlgoEvent) -> None:
        """A conditional order may have become a plain one."""
        if event.actual_order_id is not None:
            self.born(event.symbol, event.actual_order_id, event.client_order_id)

    def born(self, symbol: str, order_id: str, conditional_name: str) -> None:
        """A conditional order of this name became this plain order."""
        self._born.put((symbol, order_id), conditional_name)

    def name(self, order: OrderEvent | OpenOrder) -> str:
        """The client order id somebody chose, be it for this plain order or for the one it grew out of."""
        return self._born.get((order.symbol, order.order_id)) or order.client_order_id
