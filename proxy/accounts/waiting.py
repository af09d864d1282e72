"""Conditional orders whose end nobody told of: any of them may have become a plain order that the venue named. Pure.

An event says what became of one. Where that event was lost, the venue knows it by the conditional order's own id, or,
where not even its beginning was heard, by the name it was sent under. What was sent is told by the audit; while the
store is away, by the gates' journals alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.exchange.events import AlgoEvent
from proxy.recent import Recent
from rules.account import HeldOrder, OpenOrder
from rules.model import OrderType

WAITING_MAX: Final = 10_000
"""Conditional orders remembered; Binance lets an account have 200 open ones."""

SENT_S: Final = 30.0
"""How long one that was sent, and that the venue does not know, may still turn up there."""

GONE_S: Final = 600.0
"""How long one that the venue lists no more is asked about: what it became shows in the same survey, or soon."""

_GONE: Final = frozenset({"CANCELED", "EXPIRED", "REJECTED"})
CONDITIONAL: Final = frozenset(each.value for each in OrderType if each.is_conditional)
"""The order types of these, as the audit writes them."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A conditional order by its name, and by the venue's id, which is "" until the venue has told of it."""

    symbol: str
    client_order_id: str
    order_id: str = ""


def is_conditional(command: Mapping[str, Any]) -> bool:
    """Whether a command, as the audit writes it, places a conditional order."""
    return command.get("type") == "PlaceOrder" and command.get("order_type") in CONDITIONAL


class WaitingOrders:
    """Those of one account. Times are the caller's seconds."""

    def __init__(self) -> None:
        # Those that the venue listed, or told of, the last time it could.
        self._there: Recent[Waiting, None] = Recent(WAITING_MAX)
        # Those that it listed once, and since when it does not.
        self._gone: Recent[Waiting, float] = Recent(WAITING_MAX)
        self._sent: Recent[Waiting, float] = Recent(WAITING_MAX)
        # Those that nobody but a gate's journal has told of, and nobody has asked about: when they were written down.
        self._written: Recent[Waiting, float] = Recent(WAITING_MAX)

    def sent(self, commands: Iterable[Mapping[str, Any]], at: float) -> None:
        """The guard is about to send these commands, as its audit writes them."""
        for command in commands:
            if is_conditional(command):
                self._sent.put(Waiting(str(command.get("symbol")), str(command.get("client_order_id"))), at)

    def held(self, orders: Iterable[HeldOrder], at: float) -> None:
        """The store holds exposure for these."""
        for order in orders:
            if order.conditional:
                self._sent.put(Waiting(order.symbol, order.client_order_id), at)

    def written(self, orders: Iterable[tuple[Waiting, float]]) -> None:
        """Gates wrote down, at these times, that they were about to send these, oldest first."""
        heard_of = {(order.symbol, order.client_order_id) for order in (*self._there, *self._gone, *self._sent)}
        for order, at in orders:
            if (order.symbol, order.client_order_id) not in heard_of:
                self._written.put(order, at)

    def refused(self, commands: Iterable[Mapping[str, Any]]) -> None:
        """The guard did not send these after all."""
        for command in commands:
            self._forget(str(command.get("symbol")), str(command.get("client_order_id")))

    def saw(self, event: AlgoEvent) -> None:
        """The stream told this."""
        order = Waiting(event.symbol, event.client_order_id, event.algo_id)
        if event.actual_order_id is not None or event.status in _GONE:
            self.over(order)
        else:
            self._is_there(order)

    def surveyed(self, orders: Iterable[OpenOrder], at: float) -> None:
        """The venue lists these, and no others."""
        listed = {
            Waiting(order.symbol, order.client_order_id, order.order_id)
            for order in orders
            if order.order_type.is_conditional
        }
        for order in self._there:
            if order not in listed:
                self._there.drop(order)
                self._gone.put(order, at)
        for order in self._gone:
            if at - (self._gone.get(order) or 0.0) > GONE_S:
                self._gone.drop(order)
        for order in listed:
            self._is_there(order)

    def gone(self, symbols: Collection[str]) -> list[Waiting]:
        """Those of these symbols that the venue listed once and does not list now: something became of each. And those
        that were written down, and of which nobody heard what became. The newest first of either."""
        found = (*reversed(tuple(self._gone)), *reversed(tuple(self._written)))
        return [order for order in found if order.symbol in symbols]

    def other(self, symbols: Collection[str]) -> list[Waiting]:
        """All others of these symbols, those first that were sent and never heard of."""
        return [order for order in (*self._sent, *self._there) if order.symbol in symbols]

    def still_there(self, order: Waiting) -> None:
        """The venue says that it waits."""
        self._asked(order)
        if order.order_id:
            self._is_there(order)

    def unknown(self, order: Waiting, at: float) -> None:
        """The venue knows no such order. One that was just sent may still turn up."""
        self._asked(order)
        sent_at = self._sent.get(order)
        if order.order_id or (sent_at is not None and at - sent_at > SENT_S):
            self.over(order)

    def over(self, order: Waiting) -> None:
        """What became of it is known."""
        self._there.drop(order)
        self._gone.drop(order)
        self._forget(order.symbol, order.client_order_id)

    def _is_there(self, order: Waiting) -> None:
        self._there.put(order, None)
        self._gone.drop(order)
        self._forget(order.symbol, order.client_order_id)

    def _asked(self, order: Waiting) -> None:
        """The venue was asked about it, and nothing has become of it yet: from now on it is like any that was sent."""
        written_at = self._written.get(order)
        if written_at is not None:
            self._written.drop(order)
            self._sent.put(order, written_at)

    def _forget(self, symbol: str, client_order_id: str) -> None:
        """It is known by the venue's id, or not at all."""
        named = Waiting(symbol, client_order_id)
        self._sent.drop(named)
        self._written.drop(named)
