"""The store's clock as an account's keeper reads it: where it goes back, the times that it gave are doubted.

A hold that seems to be made later than now would be kept for as long as the clock went back, and an order that was
filled would seem older than its hold, and so another's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from proxy import under_way
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

    def heed(self, holds: Sequence[AgedHold], now_us: int) -> None:
        """Doubt the times of the account's holds where the clock went back: since it was heeded last, or, where one of
        them seems to be made later than now, before this warden was there to see it.

        ``holds`` were read before the store's clock showed ``now_us``.
        """
        known = {(aged.hold.hold_id, aged.at_us) for aged in self._doubted}
        new = [aged.at_us for aged in holds if (aged.hold.hold_id, aged.at_us) not in known]
        back_us = max((self._last_us, *new)) - now_us
        self._last_us = now_us
        if back_us <= BACK_MIN_US:
            return
        log.warning("the store's clock went back by %.0f s; holds of %s are timed anew", back_us / 1e6, self._account)
        self._doubted = holds
        self._over_at = time.monotonic() + under_way.UNDER_WAY_MAX_S
        self._turned_back(now_us)

    async def forget_doubted(self) -> None:
        """Forget the times that are doubted, once nothing of their holds can be under way. Raises what the store client
        raises."""
        if self._doubted and time.monotonic() >= self._over_at:
            await self._store.forget_times(self._account, self._doubted)
            self._doubted = ()
