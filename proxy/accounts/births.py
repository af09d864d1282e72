"""Asks the venue what became of conditional orders, where no event told: a plain order may be born of one of a bot's.

Without that such an order, which the venue names, looks like one that nobody sent, and its fills like nobody's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.accounts.waiting import Waiting, WaitingOrders
from proxy.exchange.calls import together
from proxy.exchange.payloads import PlacedOrder
from proxy.exchange.troubles import VenueThrottled, VenueTrouble

log = logging.getLogger("perpguard.accounts")

AT_ONCE: Final = 10
QUESTIONS_MAX: Final = 10
"""Orders asked about in one look of which the venue says that they wait, so that a storm of strange orders cannot eat
its budget."""

GONE_MAX: Final = 5 * QUESTIONS_MAX
"""Orders asked about in one look that it does not list any more, the newest: most bots move their stops all day."""

ASK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A conditional order became a plain one. The ids are the venue's, the name the conditional order's."""

    symbol: str
    client_order_id: str
    conditional_id: str
    order_id: str


class Venue(Protocol):
    """The venue's answers about single orders. All raise ``VenueTrouble``."""

    async def conditional_by_id(self, order_id: str) -> PlacedOrder | None:
        """One conditional order in whatever state; ``None`` when the venue knows none."""
        ...

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        """One order by the client's id, in whatever state; ``None`` when the venue knows none."""
        ...


class Births:
    """Those of one account. ``learned`` is told of every one that was asked for and found."""

    def __init__(self, account: str, venue: Venue, learned: Callable[[Birth], None]) -> None:
        self.waiting = WaitingOrders()
        self._account = account
        self._venue = venue
        self._learned = learned
        self._asked_at = float("-inf")
        self._rests_until = float("-inf")

    async def look(self, symbols: Collection[str], at: float) -> None:
        """Ask about conditional orders of these symbols, where strange plain ones were seen: what is not listed any
        more, and, now and then, what was never heard of or may have triggered just now. Never raises."""
        if at < self._rests_until:
            return
        asked = self.waiting.gone(symbols)[:GONE_MAX]
        if at - self._asked_at >= ASK_EVERY_S:
            others = self.waiting.other(symbols)[:QUESTIONS_MAX]
            if others:
                self._asked_at = at
                asked += others
        for first in range(0, len(asked), AT_ONCE):
            try:
                answered = await together(*(self._became(order, at) for order in asked[first : first + AT_ONCE]))
            except VenueThrottled as trouble:
                self._rests_until = at + trouble.retry_after
                log.warning("conditional orders of %s cannot be looked up: %s", self._account, trouble)
                return
            if not all(answered):
                self._rests_until = at + ASK_EVERY_S
            if not any(answered):
                return  # The venue is away: to ask it about the rest would only keep the watch from its other work.

    async def _became(self, order: Waiting, at: float) -> bool:
        """Whether the venue answered. Raises ``VenueThrottled``; any other trouble is this one question's."""
        try:
            if order.order_id:
                found = await self._venue.conditional_by_id(order.order_id)
            else:
                found = await self._venue.order_by_client_id(order.symbol, order.client_order_id, True)
        except VenueThrottled:
            raise
        except VenueTrouble as trouble:
            log.warning("conditional orders of %s cannot be looked up: %s", self._account, trouble)
            return False
        if found is None:
            self.waiting.unknown(order, at)
        elif found.became:
            self.waiting.over(order)
            self._learned(
                Birth(
                    symbol=order.symbol,
                    client_order_id=order.client_order_id,
                    conditional_id=found.order.order_id,
                    order_id=found.became,
                )
            )
        elif found.order.leaves_quantity is None or found.order.leaves_quantity:
            self.waiting.still_there(order)
        else:
            self.waiting.over(order)
        return True
