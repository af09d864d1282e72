"""One bot's part of an account that others trade too: its orders, and its share of each position. Decides nothing.

What is read is cut down to what is the bot's before the machine sees it, so that the kill of one bot is any other kill:
flat is when nothing of the bot's is left. A close bears the bot's tag, so that its fill is booked on the bot's share
and on nobody else's; what a close may still do before the share shows it is taken off, so that two closes in a row
never sell what is another bot's. That goes for closes of earlier jobs too, and of a process that died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Final

from proxy.exchange.troubles import VenueRefused
from proxy.exchange.venue_account import VenueAccount
from proxy.exchange.way_out_payloads import CloseReport
from proxy.kill.bot_way_out import BotWayOut
from proxy.kill.earlier_closes import earlier_parts
from proxy.kill.fired import FiredOrders
from proxy.kill.hands import Reading, VenueHands
from proxy.kill.journal import Journal
from proxy.kill.own_closes import OwnCloses, OwnShare
from proxy.venues.binance.client_ids import inward, owner
from rules.kill.events import CancelStep, CloseStep, Fee, Fill
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder

CANCELS_AT_ONCE: Final = 5
_NOT_KNOWN: Final = "positions: whose is whose is not known yet"


class BotHands(VenueHands):
    """The kill's hands on an account, kept to one bot's part. ``tag`` is what its client order ids begin with.

    ``tags`` are those of all bots of the account, as far as they are known: what bears one needs no looking up.
    """

    def __init__(
        self,
        venue: VenueAccount,
        *,
        tag: str,
        share: OwnShare,
        tags: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(venue)
        self._bot_way = BotWayOut(venue.calls)
        self._way = self._bot_way
        self._tag = tag
        self._tags = tags
        self._share = share
        clock = clock or asyncio.get_running_loop().time
        self._closes = OwnCloses(share, self._bot_way.order, clock)
        self._fired = FiredOrders(self._bot_way, tag, clock)

    @property
    def share(self) -> OwnShare:
        """What is known of the bot's shares."""
        return self._share

    def recall(self, journals: Iterable[Journal], now: datetime) -> None:
        """Take up what these jobs of the bot's kill on this account have closed, oldest first: whoever ran them may
        have died before the shares showed it."""
        self._closes.recall(earlier_parts(journals, self._tag), now)

    async def survey(self, *, orders: bool = True) -> Reading:
        """What the venue shows now of the bot's. While nobody knows whose a position is, none is told of as read."""
        await self._closes.look_up()
        reading = await super().survey(orders=orders)
        reading, plain = await self._own_plain(reading)
        own = {
            OrderKind.PLAIN: plain,
            OrderKind.CONDITIONAL: self._own(reading.conditional_orders),
            OrderKind.ALGO: self._own(reading.algo_orders),
        }
        known = all(self._knows(leg) for leg in reading.positions)
        # The orders need no share to be told apart: they go first in any case.
        not_known = () if known else (_NOT_KNOWN,)
        legs = [part for leg in reading.positions if known and (part := self._part(leg)).quantity]
        self._closable = not known or any(leg.closable for leg in legs)
        return replace(
            reading,
            plain_orders=own[OrderKind.PLAIN],
            conditional_orders=own[OrderKind.CONDITIONAL],
            algo_orders=own[OrderKind.ALGO],
            exits=reading.exits.intersection(chain(*own.values())),
            positions=tuple(legs),
            unread=(*reading.unread, *not_known),
        )

    async def cancel(self, step: CancelStep) -> None:
        """Cancel the orders that are named, one by one: all are tried, and the first trouble is raised."""
        if step.kind is OrderKind.ALGO:
            await super().cancel(step)
            return
        slots = asyncio.Semaphore(CANCELS_AT_ONCE)
        plain = step.kind is OrderKind.PLAIN
        cancel = self._bot_way.cancel_one_plain if plain else self._bot_way.cancel_one_conditional

        async def one(order_id: str) -> None:
            async with slots:
                await cancel(step.symbol, order_id)

        for outcome in await asyncio.gather(*map(one, step.order_ids), return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def close(self, step: CloseStep, client_order_id: str) -> CloseReport:
        """Close a part of the bot's share, once, under the bot's own tag."""
        close = self._closes.sending(step, f"{self._tag}{client_order_id}")
        try:
            report = await super().close(step, close.name)
        except VenueRefused:
            close.without_effect()
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

    async def _own_plain(self, reading: Reading) -> tuple[Reading, tuple[RestingOrder, ...]]:
        """The bot's plain orders, also those that its conditional ones became: the venue may have named them anew.

        Where the venue does not say what became of those, the reading says that this was not read, or is not listed.
        """
        named, tags = set(self._own(reading.plain_orders)), self._tags()
        others = [order for order in reading.plain_orders if order not in named]
        unsaid = await self._fired.learn(order for order in others if not owner(order.client_order_id, tags))
        reading = replace(
            reading,
            unread=(*reading.unread, *unsaid.unread),
            unlisted=(*reading.unlisted, *unsaid.unlisted),
        )
        return reading, tuple(order for order in reading.plain_orders if order in named or self._fired.own(order))

    def _knows(self, leg: OpenLeg) -> bool:
        """Whether it is known what of a leg is the bot's."""
        return self._closes.known(leg) and self._share.quantity(leg.symbol, leg.position_side) is not None

    def _part(self, leg: OpenLeg) -> OpenLeg:
        """The leg as far as it is the bot's to close: at most its share, at most what is there, never the other way.

        A share against the net position cannot be closed by a reduce-only order: others' netting already has.
        """
        share = self._share.quantity(leg.symbol, leg.position_side)
        if share is None or share * leg.quantity <= 0:
            return replace(leg, quantity=Decimal(0))
        left = max(Decimal(0), abs(share) - self._closes.not_shown(leg, abs(share)))
        part = min(left, abs(leg.quantity)).copy_sign(leg.quantity)
        return replace(leg, quantity=part, whole=part == leg.quantity)
