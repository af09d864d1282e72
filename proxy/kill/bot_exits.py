"""What the guard's own bots leave at the exchange after a kill has ended flat: stops that a bot keeps in place.

The gates let exits through of what is stopped, so such an order is no stranger's. It can open nothing, and where
nothing is open it can close nothing either: it only has to be gone before the scope trades again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from proxy.kill.hands import Reading
from proxy.venues.binance.client_ids import owner
from rules.kill.events import CancelStep
from rules.kill.legs import OrderKind, RestingOrder


def exits_of_bots(reading: Reading, tags: Mapping[str, str]) -> dict[RestingOrder, str]:
    """The orders of a reading that can open nothing and bear the tag of a bot of the account, with its name."""
    shown = (*reading.plain_orders, *reading.conditional_orders)
    named = ((order, owner(order.client_order_id, tags)) for order in shown if order in reading.exits)
    return {order: bot for order, bot in named if bot}


def exit_cancels(reading: Reading, wanted: Container[RestingOrder]) -> dict[CancelStep, tuple[RestingOrder, ...]]:
    """The steps that cancel these orders of a reading that shows no others, and what each takes away."""
    found: dict[tuple[str, OrderKind], tuple[RestingOrder, ...]] = {}
    for kind, orders in (
        (OrderKind.PLAIN, reading.plain_orders),
        (OrderKind.CONDITIONAL, reading.conditional_orders),
    ):
        for order in orders:
            if order in wanted:
                found[order.symbol, kind] = (*found.get((order.symbol, kind), ()), order)
    return {
        CancelStep(symbol=symbol, kind=kind, order_ids=tuple(order.order_id for order in orders)): orders
        for (symbol, kind), orders in found.items()
    }
