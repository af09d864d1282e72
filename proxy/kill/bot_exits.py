"""What the guard's own bots leave at the exchange after a kill has ended flat: stops that a bot keeps in place.

The gates let exits through of what is stopped, so such an order is no stranger's. It can open nothing, and where
nothing is open it can close nothing either: it only has to be gone before the scope trades again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.kill.hands import AccountHands, Reading
from proxy.venues.binance.client_ids import owner
from rules.kill.events import CancelStep
from rules.kill.legs import OrderKind, RestingOrder


def exits_of_bots(reading: Reading, tags: Mapping[str, str]) -> dict[RestingOrder, str]:
    """The orders of a reading that can open nothing and bear the tag of a bot of the account, with its name."""
    shown = (*reading.plain_orders, *reading.conditional_orders)
    named = ((order, owner(order.client_order_id, tags)) for order in shown if order in reading.exits)
    return {order: bot for order, bot in named if bot}


async def cancel_exits(hand: AccountHands, reading: Reading, orders: Iterable[RestingOrder]) -> None:
    """Cancel these orders of a reading that shows no others. Raises a ``VenueTrouble``."""
    for step in _cancels(reading, frozenset(orders)):
        await hand.cancel(step)


def _cancels(reading: Reading, wanted: frozenset[RestingOrder]) -> list[CancelStep]:
    found: dict[tuple[str, OrderKind], tuple[str, ...]] = {}
    for kind, orders in (
        (OrderKind.PLAIN, reading.plain_orders),
        (OrderKind.CONDITIONAL, reading.conditional_orders),
    ):
        for order in orders:
            if order in wanted:
                found[order.symbol, kind] = (*found.get((order.symbol, kind), ()), order.order_id)
    return [CancelStep(symbol=symbol, kind=kind, order_ids=named) for (symbol, kind), named in found.items()]
