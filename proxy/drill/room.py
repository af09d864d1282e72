"""Room for a rehearsal on the live accounts beside what the guard asks of the exchange by the same addresses.

What it reads is charged as bots' reads are: never to what is kept for the kill, and nothing while the exchange demands
silence. Before its first reading it waits for a minute of the exchange's that has room for all of them, for the prices
and surveys that the warden reads until the minute ends, and for more where more was asked so far: prices that are not
read grow old, and entries are refused for it. What bots and the warden's other loops will ask nobody knows before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from aiohttp import TraceConfig

from proxy.accounts.markets import QUOTES_EVERY_S
from proxy.budget.meter import Meter, Payer
from proxy.budget.published import Counter, Limit
from proxy.clock import milliseconds, utc_now
from proxy.drill.practice import Say
from proxy.exchange.metering import metering
from proxy.host_id import host_id
from proxy.settings import Settings
from proxy.store.client import STORE_TROUBLE
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import ExchangeKey
from proxy.venues.binance.usage import KILL_PRICES, weight_of

WAIT_S_MAX: Final = 150.0
"""Two of the exchange's minutes begin in it. The job may take another, and the console ends a drill after five."""

READINGS: Final = 5
"""Whole ones of an account: at first, after the cancels, and three calm ones. After closes positions alone are read."""

SHARE_OF_OTHERS_MAX: Final = 0.8
"""No more than this part of what the rehearsal leaves of a minute is kept for others in it: where an address is too
narrow for all of them, there is room when a minute begins."""

_PACE_AFTER: Final = 1 / 6
"""Of less of a minute nobody can tell at what pace the whole of it is used."""

_SETTLED_S: Final = 0.3
"""What is sent so soon after a minute began, by our clock, the exchange may have counted in the one before."""


class NoRoom(Exception):
    """No minute of the exchange's had room for it; the text says what to do."""


class Room:
    """One venue's. ``rehearsed`` are the accounts to be read, ``known`` all that the guard follows, in its order."""

    def __init__(
        self,
        venue: str,
        rehearsed: Sequence[ExchangeKey],
        known: Sequence[ExchangeKey],
        settings: Settings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._venue = venue
        self._now = now
        self._meter = Meter(now, others=settings.gate_workers, machine=host_id())
        readings = READINGS * KILL_PRICES.survey + KILL_PRICES.listing
        self._rehearsal = _by_address(venue, rehearsed, settings, readings)
        self._guard = _by_address(venue, known, settings, _SURVEY * 60 / settings.survey_every_s)
        first = next(each for each in known if each.venue == venue)
        prices = 60 * (_MARKS / settings.markets_every_s + _QUOTES / QUOTES_EVERY_S)
        self._guard[settings.egress.get(first.account, "")] += prices

    def trace(self, account: str) -> Callable[[str], TraceConfig]:
        """What charges an account's requests as bots' reads, by source address."""
        return lambda address: metering(self._meter, Payer(account, address), spares_the_kill=True)

    async def wait(self, store: WardenStore, say: Say) -> None:
        """Come back as soon as there is room, at once where no guard has the desk of ``store``. Raises ``NoRoom`` where
        there is none within ``WAIT_S_MAX``, or never can be."""
        waited_s = 0.0
        while await self._hears_a_guard(store) and not all(map(self._fits, self._rehearsal)):
            left_s = 60 - milliseconds(self._now()) % 60_000 / 1000 + _SETTLED_S
            if waited_s + left_s > WAIT_S_MAX or min(map(self._left, self._rehearsal)) < 0:
                raise NoRoom(
                    f"after {waited_s:.0f} s of waiting the exchange's budget of requests has no room for it beside "
                    "the kill's part, prices and surveys: try when bots are quiet, or one --account after another"
                )
            if not waited_s:
                say(
                    "waiting for the exchange's next minute: what is left of this one is needed by the kill, "
                    "prices and surveys"
                )
            await asyncio.sleep(left_s)
            waited_s += left_s
        if waited_s:
            say(f"waited {waited_s:.0f} s")

    async def _hears_a_guard(self, store: WardenStore) -> bool:
        """Take up what of the budget is used and kept. False where nobody says: then nobody trades who needs prices."""
        try:
            budget, seen = await store.share_budget(self._venue, "", {})
        except STORE_TROUBLE:
            return False
        if budget is None:
            return False
        self._meter.budget = budget
        self._meter.told(seen)
        return True

    def _left(self, address: str) -> float:
        """What the kill's part and the rehearsal leave of a whole minute."""
        counter, budget = Counter(Limit.WEIGHT_1M, address), self._meter.budget
        return budget.limit(counter) - budget.reserve(counter) - self._rehearsal[address]

    def _fits(self, address: str) -> bool:
        used, left = self._meter.used(Counter(Limit.WEIGHT_1M, address)), self._left(address)
        passed = milliseconds(self._now()) % 60_000 / 60_000
        a_minute = max(self._guard[address], used / passed if passed >= _PACE_AFTER else 0.0)
        return used + min(a_minute, left * SHARE_OF_OTHERS_MAX) * (1 - passed) <= left


def _by_address(venue: str, keys: Sequence[ExchangeKey], settings: Settings, weight: float) -> dict[str, float]:
    """So much weight for each account of the venue, by the source address that it is read by."""
    found: dict[str, float] = {}
    for key in keys:
        if key.venue == venue:
            address = settings.egress.get(key.account, "")
            found[address] = found.get(address, 0.0) + weight
    return found


def _weight(*paths: str) -> int:
    return sum(weight_of("GET", f"/fapi/{path}", symbol=False) for path in paths)


_MARKS: Final = _weight("v1/premiumIndex")
_QUOTES: Final = _weight("v1/ticker/bookTicker", "v2/ticker/price")
_SURVEY: Final = _weight("v1/openAlgoOrders", "v1/openOrders", "v3/positionRisk", "v1/accountConfig", "v3/account")
"""What ``proxy.exchange.venue_account`` asks for prices and for the whole of an account."""
