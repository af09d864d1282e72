"""Keeps what a kill needs of a venue's budget out of the bots' reach: works the reserve out, publishes, says it.

What is kept follows the book: the more is open, the more it takes to close. The gates enforce it; without this loop the
last reserve stands, and without any a fifth of every limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from proxy.budget.meter import Meter
from proxy.budget.published import LIMITS_DEFAULT, Budget, Counter, Limit
from proxy.budget.silence import Way
from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.store.client import STORE_TROUBLE
from proxy.store.warden_store import WardenStore
from proxy.venues.binance.route import BUDGET_HOST
from proxy.venues.binance.usage import KILL_PRICES
from rules.account import Account
from rules.instrument import Instrument
from rules.kill.budget import cost_of_killing, exceeds, reserve
from rules.kill.settings import Reserve

log = logging.getLogger("perpguard.accounts")

LIMITS_EVERY_S: Final = 600.0
LIMITS_AGAIN_S: Final = 5.0
PUBLISH_EVERY_S: Final = 1.0
SHARE_EVERY_S: Final = 0.25


@dataclass(slots=True)
class VenueTime:
    """The venue's time as this process knows it: the host's until the clock of the venue has been measured."""

    host: Callable[[], datetime]
    offset: timedelta = field(default_factory=timedelta)

    def adjust(self, offset_ms: int) -> None:
        """The venue's time less the host's."""
        self.offset = timedelta(milliseconds=offset_ms)

    def now(self) -> datetime:
        """The time."""
        return self.host() + self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One counter of the venue in its present window: what is used, what is granted, what of it is the kill's."""

    limit: str
    whose: str
    used: int
    granted: int
    reserve: int


@dataclass(frozen=True, slots=True)
class Spent:
    """A part of what bots may spend of a counter in its present window, 0 to 1 and above, and what of it the guard's
    own kills have spent."""

    share: float
    by_kills: float = 0.0


class BudgetKeeper:
    """Keeps the budget of one venue. ``addresses`` are those an account's kill may go out by."""

    def __init__(
        self,
        *,
        venue: str,
        meter: Meter,
        store: WardenStore,
        limits: Callable[[], Awaitable[dict[str, int]]],
        accounts: Callable[[], Iterable[Account]],
        instruments: Callable[[], Mapping[str, Instrument]],
        addresses: Callable[[str], Sequence[str]],
        settings: Callable[[], Reserve],
    ) -> None:
        self._venue = venue
        self._meter = meter
        self._store = store
        self._ask_limits = limits
        self._accounts = accounts
        self._instruments = instruments
        self._addresses = addresses
        self._settings = settings
        self._limits: Mapping[str, int] = LIMITS_DEFAULT
        self._too_narrow: frozenset[Counter] = frozenset()

    async def run(self) -> None:
        """For ever. Trouble with the venue or the store is waited out with what is known."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._follow_limits())
            loops.create_task(self._publish())
            loops.create_task(self._share())

    async def take_up(self) -> None:
        """Begin where an earlier warden ended: by the limits it had read, and what is used of them by now.

        By the usual limits a venue that grants more would look used up, and the first reads would wait for its next
        minute. Raises what the store raises.
        """
        published, seen = await self._store.share_budget(self._venue, "", {})
        if published is not None:
            self._meter.budget, self._limits = published, published.limits
        self._meter.told(seen)

    def budget(self) -> Budget:
        """The budget as it should be now, the version aside."""
        settings, costs = self._settings(), self._costs()
        limits = {counter: self._limits.get(counter.limit, LIMITS_DEFAULT[counter.limit]) for counter in costs}
        self._say(frozenset(each for each in costs if exceeds(costs[each], limits[each], settings)))
        return Budget(
            limits=dict(self._limits),
            reserves={each.field: reserve(costs[each], limits[each], settings) for each in sorted(costs)},
            share_min=settings.share_min,
        )

    def standings(self) -> list[Standing]:
        """Every counter that a kill would spend on, by the budget as it was published last."""
        budget = self._meter.budget
        return [
            Standing(
                limit=counter.limit.value,
                whose=counter.whose,
                used=self._meter.used(counter),
                granted=budget.limit(counter),
                reserve=budget.reserve(counter),
            )
            for counter in sorted(self._costs())
        ]

    def silences(self) -> dict[str, int]:
        """By source address, for how many seconds more the venue wants to hear nothing from it."""
        silences = self._meter.silences()
        return {way.address: each.left_s for way, each in silences if way == Way(BUDGET_HOST, way.address)}

    def spent(self) -> Spent:
        """What is used of what bots may spend, by the counter of which it is most."""
        shares = self._meter.shares()
        most = max(shares, key=lambda counter: shares[counter], default="")
        return Spent(share=shares.get(most, 0.0), by_kills=self._meter.shares_of_kills().get(most, 0.0))

    def _costs(self) -> dict[Counter, list[int]]:
        """By counter, what the kill of every account that spends on it would cost."""
        costs: dict[Counter, list[int]] = {}
        for account in self._accounts():
            cost = cost_of_killing(account, self._instruments(), KILL_PRICES)
            for address in self._addresses(account.name):
                costs.setdefault(Counter(Limit.WEIGHT_1M, address), []).append(cost.weight)
            costs[Counter(Limit.ORDERS_10S, account.name)] = [cost.orders]
            costs[Counter(Limit.ORDERS_1M, account.name)] = [cost.orders]
        return costs

    def _say(self, too_narrow: frozenset[Counter]) -> None:
        for counter in sorted(too_narrow - self._too_narrow):
            log.warning(
                "killing what is open at %s would cost more of %s than may be kept; give accounts their own egress",
                self._venue,
                counter.field,
            )
        self._too_narrow = too_narrow

    async def _follow_limits(self) -> None:
        while True:
            pause = LIMITS_EVERY_S
            try:
                self._limits = await self._ask_limits()
            except VenueThrottled as trouble:
                pause = max(LIMITS_AGAIN_S, trouble.retry_after)
                log.warning("the limits of %s: %s", self._venue, trouble)
            except VenueTrouble as trouble:
                pause = LIMITS_AGAIN_S
                log.warning("the limits of %s cannot be read: %s", self._venue, trouble)
            await asyncio.sleep(pause)

    async def _publish(self) -> None:
        while True:
            budget = self.budget()
            if replace(self._meter.budget, version=0) != budget:
                # A warden that takes over must not give its first budget the number of another's.
                self._meter.budget = replace(budget, version=time.time_ns())
            try:
                # Again and again: a store that was restarted has none.
                await self._store.publish_budget(self._venue, self._meter.budget)
            except STORE_TROUBLE as trouble:
                log.warning("the budget of %s cannot be published: %s", self._venue, type(trouble).__name__)
            await asyncio.sleep(PUBLISH_EVERY_S)

    async def _share(self) -> None:
        while True:
            try:
                known = str(self._meter.budget.version)
                _, seen = await self._store.share_budget(self._venue, known, self._meter.seen())
                self._meter.told(seen)
            except STORE_TROUBLE as trouble:
                log.debug("the use of the budget of %s was not shared: %s", self._venue, type(trouble).__name__)
            await asyncio.sleep(SHARE_EVERY_S)
