"""What a kill needs of a venue, and ``VenueAccount`` fitted to it. Decides nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.accounts.payloads import Book, OrderRef
from proxy.accounts.troubles import VenueTrouble
from proxy.accounts.venue_account import VenueAccount
from rules.instrument import Instrument
from rules.kill.events import CancelStep, CloseStep, OpenLeg, RestingOrder

_LIMITS_WAIT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One survey of the venue: orders read before positions."""

    plain_orders: tuple[RestingOrder, ...]
    conditional_orders: tuple[RestingOrder, ...]
    positions: tuple[OpenLeg, ...]


class AccountHands(Protocol):
    """One account, to be read, cancelled and closed. Every method may raise a ``VenueTrouble``."""

    @property
    def name(self) -> str:
        """The account's name in the guard."""
        ...

    async def survey(self) -> Reading:
        """What the venue shows now."""
        ...

    async def cancel(self, step: CancelStep) -> None:
        """Cancel the orders of one kind of one symbol."""
        ...

    async def close(self, step: CloseStep, client_order_id: str) -> None:
        """Send one reduce-only market order, once."""
        ...


class VenueHands:
    """The kill's own ``VenueAccount``, never shared with the warden's feeds: its pool is free when it is needed."""

    def __init__(self, venue: VenueAccount) -> None:
        self._venue = venue
        self._instruments: dict[str, Instrument] = {}

    @property
    def name(self) -> str:
        """The account's name in the guard."""
        return self._venue.name

    async def survey(self) -> Reading:
        """What the venue shows now, with the limits of its market orders as far as they could be had."""
        limits = asyncio.create_task(self._load_limits())
        try:
            book = await self._venue.book()
            await limits
        finally:
            limits.cancel()
        return self._reading(book)

    async def cancel(self, step: CancelStep) -> None:
        """Cancel the orders of one kind of one symbol."""
        await self._venue.cancel_all(step.symbol, step.conditional)

    async def close(self, step: CloseStep, client_order_id: str) -> None:
        """Send one reduce-only market order, once."""
        leg = step.leg
        await self._venue.close_position(leg.symbol, leg.position_side, step.side, step.quantity, client_order_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._venue.aclose()

    async def _load_limits(self) -> None:
        """Slices need the venue's maximum, but a listing that cannot be read must not delay the way out."""
        if self._instruments:
            return
        try:
            async with asyncio.timeout(_LIMITS_WAIT_SECONDS):
                self._instruments = await self._venue.instruments()
        except (VenueTrouble, TimeoutError):
            return  # The next survey tries again; until then the whole position is sent as one order.

    def _reading(self, book: Book) -> Reading:
        legs = []
        for position in book.positions:
            limits = self._instruments.get(position.symbol)
            leg = OpenLeg(
                symbol=position.symbol,
                position_side=position.position_side,
                quantity=position.quantity,
                step_size=limits.market_step_size if limits else None,
                quantity_min=limits.market_quantity_min if limits else None,
                quantity_max=limits.market_quantity_max if limits else None,
            )
            legs.append(leg)
        return Reading(
            plain_orders=tuple(map(_resting, book.plain)),
            conditional_orders=tuple(map(_resting, book.conditional)),
            positions=tuple(legs),
        )


def _resting(order: OrderRef) -> RestingOrder:
    return RestingOrder(symbol=order.symbol, order_id=order.order_id, client_order_id=order.client_order_id)
