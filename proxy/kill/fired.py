"""Which plain orders a bot's conditional ones became: the venue may have named them anew. Decides nothing.

What the venue has once said is remembered. That it does not say it of an order is not: its list may be late, so it is
asked again, though not with every reading of a round that follows upon another at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from proxy.exchange.troubles import VenueRefused, VenueTrouble
from proxy.exchange.way_out import NO_SUCH_PATH
from proxy.kill.bot_way_out import BORN_PAGES_MAX, BORN_ROWS_MAX, BotWayOut
from proxy.recent import Recent
from proxy.venues.binance.client_ids import inward
from rules.kill.legs import RestingOrder

REMEMBERED_MAX: Final = 10_000
"""Plain orders of which is remembered what they were born of, or when that was last asked in vain."""

AGAIN_AFTER_S: Final = 2.0
"""Shorter than calm readings are apart, so that each of those rests on an answer of its own."""

AT_ONCE: Final = 10
"""Symbols asked about at the same time."""

_Order = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What the venue does not say of triggered orders: this time, or at this address ever. As a reading tells it."""

    unread: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


class FiredOrders:
    """Of one bot on one account, by its ``tag``. ``clock`` is in seconds and never steps."""

    def __init__(self, way: BotWayOut, tag: str, clock: Callable[[], float]) -> None:
        self._way = way
        self._tag = tag
        self._clock = clock
        self._own: Recent[_Order, bool] = Recent(REMEMBERED_MAX)
        self._asked_at: Recent[_Order, float] = Recent(REMEMBERED_MAX)
        self._slots = asyncio.Semaphore(AT_ONCE)

    def own(self, order: RestingOrder) -> bool:
        """Whether the venue has said that an order was a conditional one of the bot's."""
        return self._own.get(_key(order)) is True

    async def learn(self, orders: Iterable[RestingOrder]) -> Unsaid:
        """Ask what these orders were, as far as it is not known. Raises nothing."""
        wanted: dict[str, set[str]] = {}
        for order in orders:
            if self._own.get(_key(order)) is None:
                wanted.setdefault(order.symbol, set()).add(order.order_id)
        due = {symbol: ids for symbol, ids in wanted.items() if self._is_due(symbol, ids)}
        told = await asyncio.gather(*(self._ask(symbol, due[symbol]) for symbol in sorted(due)))
        return Unsaid(
            unread=tuple(what for each in told for what in each.unread),
            unlisted=tuple(what for each in told for what in each.unlisted),
        )

    def _is_due(self, symbol: str, ids: Iterable[str]) -> bool:
        asked = (self._asked_at.get((symbol, order_id)) for order_id in ids)
        return any(at is None or self._clock() - at >= AGAIN_AFTER_S for at in asked)

    async def _ask(self, symbol: str, ids: set[str]) -> Unsaid:
        try:
            async with self._slots:
                asked_at = self._clock()
                triggered = await self._way.triggered(symbol, ids)
        except VenueTrouble as trouble:
            told = f"triggered orders of {symbol}: {trouble}"
            if isinstance(trouble, VenueRefused) and trouble.code in NO_SUCH_PATH:
                return Unsaid(unlisted=(told,))
            return Unsaid(unread=(told,))
        missing = ids - triggered.named.keys()
        for order_id in ids - missing:
            self._own.put((symbol, order_id), inward(triggered.named[order_id], self._tag) is not None)
        if missing and not triggered.all_read:
            most = BORN_PAGES_MAX * BORN_ROWS_MAX
            return Unsaid(unread=(f"triggered orders of {symbol}: more than the last {most} conditional ones",))
        for order_id in missing:
            self._asked_at.put((symbol, order_id), asked_at)
        return Unsaid()


def _key(order: RestingOrder) -> _Order:
    return order.symbol, order.order_id
