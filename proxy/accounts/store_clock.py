"""The store's clock as an account's keeper reads it: where it goes back, the times that it gave are doubted.

A hold that seems to be made later than now would be kept for as long as the clock went back, and an order that was
filled would seem older than its hold, and so another's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from proxy.store import under_way
from proxy.store.warden_store import AgedHold, WardenStore

log = logging.getLogger("perpguard.accounts")

BACK_MIN_US: Final = 1_000_000
"""Less is nothing that a hold is judged by."""


class StoreClock:
    """Of one account. ``turned_back`` hears when it went back, and what it shows since."""

    def __init__(self, account: str, store: WardenStore, turned_back: Callable[[int], None]) -> None:
        self._account = account
        self._store = store
        self._turned_back = turned_back
        self._last_us = 0
        self._doubted: Sequence[AgedHold] = ()
        self._over_at = 0.0

    @property
    def is_doubted(self) -> bool:
        """Whether there are holds whose times are wrong and whose requests may be under way still."""
        return bool(self._doubted)

    async def now_us(self) -> int:
        """The store's time in microseconds. Raises what the store client raises.

        Where it went back, the times of the holds that are there are forgotten, once nothing of them is under way.
        """
        now_us = await self._store.now_us()
        if now_us < self._last_us - BACK_MIN_US:
            back_s = (self._last_us - now_us) / 1e6
            log.warning("the store's clock went back by %.0f s; holds of %s are timed anew", back_s, self._account)
            self._doubted = await self._store.holds(self._account)
            self._over_at = time.monotonic() + under_way.UNDER_WAY_MAX_S
            self._turned_back(now_us)
        self._last_us = now_us
        if self._doubted and time.monotonic() >= self._over_at:
            await self._store.forget_times(self._account, self._doubted)
            self._doubted = ()
        return now_us
