"""One bot's part of an account that others trade too: its orders, and its share of each position. Decides nothing.

What is read is cut down to what is the bot's before the machine sees it, so that the kill of one bot is any other kill:
flat is when nothing of the bot's is left. A close bears the bot's tag, so that its fill is booked on the bot's share
and on nobody else's; what a close may still do before the share shows it is taken off, so that two closes in a row
never sell what is another bot's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from proxy.accounts.troubles import VenueRefused, VenueUnavailable
from proxy.accounts.venue_account import VenueAccount
from proxy.accounts.way_out_payloads import CloseReport
from proxy.kill.hands import Reading, VenueHands
from proxy.venues.binance.client_ids import inward
from rules.kill.events import CancelStep, CloseStep, Fee, Fill
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.model import PositionSide

CANCELS_AT_ONCE: Final = 5
LATE_S: Final = 5.0
"""How long a close that the venue does not know may still turn up (docs/venues.md)."""

_OVER: Final = ("FILLED", "EXPIRED", "CANCELED", "REJECTED", "EXPIRED_IN_MATCH")
"""Binance's words for an order that fills no more."""


class OwnShare(Protocol):
    """What is known of a bot's shares of one account."""

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """The bot's signed part of a leg; ``None`` while the shares cannot be trusted."""
        ...

    def counted(self, order_id: str) -> Decimal:
        """How much of an order's fill is in the shares already."""
        ...


@dataclass(slots=True, kw_only=True)
class _Close:
    """A close of ours whose end is not known, or not in the shares yet. ``moves`` is what it may still take away."""

    leg: OpenLeg
    name: str
    quantity: Decimal
    sent_at: float
    order_id: str = ""
    ended: bool = False

    def heard(self, report: CloseReport) -> None:
        """What the venue says of it."""
        self.order_id = report.order_id
        self.ended = report.status in _OVER
        if self.ended:
            self.quantity = report.filled_quantity

    def moves(self, share: OwnShare) -> Decimal:
        return max(Decimal(0), self.quantity - (share.counted(self.order_id) if self.order_id else Decimal(0)))


class BotHands(VenueHands):
    """The kill's hands on an account, kept to one bot's part. ``tag`` is what its client order ids begin with."""

    def __init__(
        self, venue: VenueAccount, *, tag: str, share: OwnShare, clock: Callable[[], float] | None = None
    ) -> None:
        super().__init__(venue)
        self._tag = tag
        self._share = share
        self._clock = clock or asyncio.get_running_loop().time
        self._closes: list[_Close] = []
        self._orders: dict[tuple[str, OrderKind], tuple[str, ...]] = {}

    async def survey(self, *, orders: bool = True) -> Reading:
        """What the venue shows now of the bot's. VenueUnavailable while nobody knows whose a position is."""
        await asyncio.gather(*(self._look_up(close) for close in tuple(self._closes)))
        reading = await super().survey(orders=orders)
        own = {
            OrderKind.PLAIN: self._own(reading.plain_orders),
            OrderKind.CONDITIONAL: self._own(reading.conditional_orders),
            OrderKind.ALGO: self._own(reading.algo_orders),
        }
        if orders:
            self._orders = _named(own)
        known = all(self._share.quantity(leg.symbol, leg.position_side) is not None for leg in reading.positions)
        if not known and not self._orders:
            raise VenueUnavailable("whose position is whose is not known yet")
        # The orders need no share to be told apart: they go first in any case.
        legs = [part for leg in reading.positions if known and (part := self._part(leg)).quantity]
        return replace(
            reading,
            plain_orders=own[OrderKind.PLAIN],
            conditional_orders=own[OrderKind.CONDITIONAL],
            algo_orders=own[OrderKind.ALGO],
            positions=tuple(legs),
        )

    async def cancel(self, step: CancelStep) -> None:
        """Cancel the bot's orders of one kind of one symbol, those of the last reading, one by one."""
        if step.kind is OrderKind.ALGO:
            await super().cancel(step)
            return
        slots = asyncio.Semaphore(CANCELS_AT_ONCE)
        cancel = self._venue.cancel_order if step.kind is OrderKind.PLAIN else self._venue.cancel_conditional

        async def one(name: str) -> None:
            async with slots:
                await cancel(step.symbol, name)

        async with asyncio.TaskGroup() as group:
            for name in self._orders.get((step.symbol, step.kind), ()):
                group.create_task(one(name))

    async def close(self, step: CloseStep, client_order_id: str) -> CloseReport:
        """Close a part of the bot's share, once, under the bot's own tag."""
        close = _Close(
            leg=step.leg, name=f"{self._tag}{client_order_id}", quantity=step.quantity, sent_at=self._clock()
        )
        self._closes.append(close)
        try:
            report = await super().close(step, close.name)
        except VenueRefused:
            self._closes.remove(close)
            raise
        close.heard(report)
        return report

    async def tally(
        self, closes: Sequence[tuple[CloseStep, str]], symbols: Sequence[str], since: datetime
    ) -> tuple[tuple[Fill, ...], tuple[Fee, ...]]:
        """What became of closes, under the names the job knows them by, and what was charged on symbols."""
        fills, fees = await super().tally([(step, f"{self._tag}{name}") for step, name in closes], symbols, since)
        ours = (replace(fill, client_order_id=fill.client_order_id.removeprefix(self._tag)) for fill in fills)
        return tuple(ours), fees

    def _own(self, orders: tuple[RestingOrder, ...]) -> tuple[RestingOrder, ...]:
        return tuple(order for order in orders if inward(order.client_order_id, self._tag) is not None)

    def _part(self, leg: OpenLeg) -> OpenLeg:
        """The leg as far as it is the bot's to close: at most its share, at most what is there, never the other way.

        A share against the net position cannot be closed by a reduce-only order: others' netting already has.
        """
        share = self._share.quantity(leg.symbol, leg.position_side)
        if share is None or share * leg.quantity <= 0:
            return replace(leg, quantity=Decimal(0))
        ours = [close for close in self._closes if close.leg.key == leg.key]
        left = max(Decimal(0), abs(share) - sum((close.moves(self._share) for close in ours), Decimal(0)))
        return replace(leg, quantity=min(left, abs(leg.quantity)).copy_sign(leg.quantity))

    async def _look_up(self, close: _Close) -> None:
        """What became of a close: how much of it filled, for as long as the shares have not counted it."""
        if close.ended:
            if not close.moves(self._share):
                self._closes.remove(close)
            return
        report = await self._way.order(close.leg.symbol, close.name)
        if report is not None:
            close.heard(report)
        elif self._clock() - close.sent_at > LATE_S:
            self._closes.remove(close)


def _named(own: dict[OrderKind, tuple[RestingOrder, ...]]) -> dict[tuple[str, OrderKind], tuple[str, ...]]:
    found: dict[tuple[str, OrderKind], tuple[str, ...]] = {}
    for kind, orders in own.items():
        for order in orders:
            found[order.symbol, kind] = (*found.get((order.symbol, kind), ()), order.client_order_id)
    return found
