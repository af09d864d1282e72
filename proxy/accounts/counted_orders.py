"""How much of every order is in the shares, and what a fill that nobody heard of was filled at. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from proxy.accounts.proportions import trimmed
from proxy.exchange.events import OrderEvent
from proxy.recent import Recent
from rules.account import OpenOrder

FINISHED_MAX: Final = 10_000
"""Finished orders whose late or repeated events are still recognised."""

PRICE_STEP: Final = Decimal("1e-18")
"""Twelve digits more than any quantity moves: rounding an average stays far below the eighth digit of money."""

PlainOrderKey = tuple[str, str]
"""Symbol and the venue's id of a plain order: Binance numbers those of each symbol by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How much of an order is in the shares, and for how much money; ``None`` where an earlier warden counted it."""

    quantity: Decimal = Decimal(0)
    value: Decimal | None = Decimal(0)

    def then(self, more: Decimal, price: Decimal) -> Counted:
        """With a further fill."""
        value = None if self.value is None else self.value + more * price
        return Counted(quantity=self.quantity + more, value=value)


_NOTHING: Final = Counted()


class CountedOrders:
    """The orders of one account."""

    def __init__(self) -> None:
        self._open: dict[PlainOrderKey, Counted] = {}
        self._finished: Recent[PlainOrderKey, Counted] = Recent(FINISHED_MAX)

    def of(self, key: PlainOrderKey) -> Counted:
        """What is counted of an order, nothing of one that was never heard of."""
        return self._open.get(key) or self._finished.get(key) or _NOTHING

    def restore(self, open_orders: Iterable[OpenOrder]) -> None:
        """Begin with these orders, as far as they are filled, and no others."""
        self._open = {
            key_of(order): Counted(quantity=order.filled_quantity, value=None)
            for order in open_orders
            if order.filled_quantity
        }

    def remember(self, key: PlainOrderKey, counted: Counted, *, still_open: bool) -> None:
        """An order that is finished stays so, whatever is told late."""
        if still_open and key not in self._finished:
            self._open[key] = counted
        else:
            self._open.pop(key, None)
            self._finished.put(key, counted)

    def finish_all_but(self, keys: Collection[PlainOrderKey]) -> None:
        """Every other order is over."""
        for key in [key for key in self._open if key not in keys]:
            self.remember(key, self._open[key], still_open=False)


def key_of(order: OpenOrder | OrderEvent) -> PlainOrderKey:
    """What an order is known by."""
    return order.symbol, order.order_id


def price_of(event: OrderEvent, seen: Counted, more: Decimal) -> Decimal | None:
    """What the ``more`` that an event brings was filled at: at its last execution's price.

    An event that is no execution (the end of an order that filled unheard) has none. Then it is what the order's
    average leaves for the part that was missed, the average itself, or the order's limit, which is no better than what
    it filled at; ``None`` where nothing is known.
    """
    if event.last_price or event.average_price is None:
        return event.last_price or event.price
    if seen.value is None:
        return event.average_price
    left = (event.average_price * event.filled_quantity - seen.value) / more
    # The average is rounded, and what was counted may have been: no price comes of that where the rest is small.
    return trimmed(left.quantize(PRICE_STEP)) if left > 0 else event.average_price
