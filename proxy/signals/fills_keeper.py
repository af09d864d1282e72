"""Holds an account's fills against the cost stated when their orders arrived, and says when they get worse.

Arrival is the first the private stream tells of an order; its middle is that of the quotes read last, at most seconds
before. An order that is amended before it took anything arrives with its amendment. Maker fills cost no slippage and do
not count, nor does what the venue itself sends (liquidations). An order whose symbol was not measured, or whose quotes
are too old, is not compared. All of it begins anew with the warden.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from proxy.exchange.events import Event, OrderEvent
from proxy.record import Record
from proxy.signals.book_walk import Slippage
from proxy.signals.fills import FillsWatch
from rules.model import Side
from rules.snapshot import Market

log = logging.getLogger("perpguard.signals")

LOOK_EVERY_S: Final = 1.0


class FillsKeeper:
    """One account's. ``slippage`` states what an order would cost now; ``record`` writes an event into the audit."""

    def __init__(
        self,
        *,
        account: str,
        markets: Callable[[], Mapping[str, Market]],
        slippage: Callable[[str, Side, Decimal], Slippage | None],
        record: Record,
    ) -> None:
        self._account = account
        self._markets = markets
        self._slippage = slippage
        self._record = record
        self._told = False
        self.watch = FillsWatch()

    def heard(self, event: Event) -> None:
        """The private stream told an event."""
        if not isinstance(event, OrderEvent) or event.is_forced:
            return
        # An order id is the venue's own and one symbol's.
        order = f"{event.symbol} {event.order_id}"
        if event.execution == "AMENDMENT":
            self.watch.amended(order)
        if event.execution in ("NEW", "AMENDMENT", "TRADE") and not self.watch.awaits(order):
            self._arrived(order, event)
        if event.execution == "TRADE" and not event.maker:
            self.watch.filled(order, event.last_quantity, event.last_price)
        if not event.is_open:
            found = self.watch.ended(order)
            if found is not None and found.is_worse:
                log.info(
                    "%s: an order of %s cost %.1f bps, stated was at most %.1f in nine of ten",
                    self._account,
                    found.symbol,
                    found.cost_bps,
                    found.stated_q90_bps,
                )

    async def run(self) -> None:
        """Tell of a turn for the worse, and of its end, once each."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Tell what has changed since the last look."""
        watch = self.watch
        if watch.is_worse == self._told:
            return
        self._told = watch.is_worse
        detail = {
            "account": self._account,
            "exceeded": watch.exceeded,
            "of": watch.compared,
            "chance": f"{watch.chance:.2g}",
        }
        if watch.is_worse:
            log.warning(
                "fills of %s are getting worse: %d of the last %d cost more than the 90 %% stated",
                self._account,
                watch.exceeded,
                watch.compared,
            )
        await self._record("fills_worse" if watch.is_worse else "fills_as_stated", "perpguard", detail)

    def _arrived(self, order: str, event: OrderEvent) -> None:
        market = self._markets().get(event.symbol)
        if market is None or market.bid_price is None or market.ask_price is None:
            return
        stated = self._slippage(event.symbol, event.side, event.quantity)
        if stated is not None and stated.book_bps is not None:
            middle = (market.bid_price + market.ask_price) / 2
            self.watch.arrived(order, event.symbol, event.side, middle, stated.q90_bps)
