"""The store's clock as an account's keeper reads it: where it was set, back or forward, the times of holds are doubted.

Set back, a hold that seems to be made later than now would be kept for as long, and an order that was filled would seem
older than its hold, and so another's. Set forward, a hold whose request is under way would seem old. By how much the
clock should have gone on, the steady clock of this host tells, read before and after each question: a warden that stood
still, and a store that took long to answer, are no clocks that were set.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy import under_way
from proxy.clock import steady_s
from proxy.store.warden_store import AgedHold, WardenStore

log = logging.getLogger("perpguard.accounts")

STEP_MIN_US: Final = 1_000_000
"""Less is nothing that a hold is judged by; and by less do the clocks of two hosts drift between two looks."""

TRIP_MAX_S: Final = 0.5
"""Where the store takes longer to tell its time, it is known too badly when it showed that."""


@dataclass(frozen=True, slots=True)
class StoreTime:
    """What the store's clock showed, in microseconds, between two moments of our steady clock (``steady_s``)."""

    us: int
    before_s: float
    after_s: float

    @property
    def is_exact(self) -> bool:
        """Whether it is known well enough when it showed that."""
        return self.after_s - self.before_s <= TRIP_MAX_S

    def earlier(self, by_s: float) -> StoreTime:
        """What it showed, or would have, so much earlier."""
        return StoreTime(self.us - round(by_s * 1e6), self.before_s - by_s, self.after_s - by_s)

    def step_us(self, last: StoreTime) -> int:
        """By how much it was set since ``last``, in microseconds: negative for back. As much as is proven, whenever
        between their moments the two were shown."""
        shown_us = self.us - last.us
        least_us = round((self.before_s - last.after_s) * 1e6)
        most_us = round((self.after_s - last.before_s) * 1e6)
        return min(0, shown_us - least_us) + max(0, shown_us - most_us)


class StoreClock:
    """Of one account."""

    def __init__(self, account: str, store: WardenStore) -> None:
        self._account = account
        self._store = store
        self._last: StoreTime | None = None
        self._is_exact = True
        self._doubted: Sequence[AgedHold] = ()
        self._over_at: float | None = None

    @property
    def is_doubted(self) -> bool:
        """Whether holds may be there whose times are wrong and whose requests may be under way still; or nobody knows
        well enough what the clock shows."""
        return self._over_at is not None or not self._is_exact

    async def read(self) -> StoreTime:
        """What it shows. Raises what the store client raises."""
        before_s = steady_s()
        us = await self._store.now_us()
        return StoreTime(us, before_s, steady_s())

    async def begin_anew(self) -> None:
        """It may be another server's than before. Who calls this waits until no request of before can be under way, and
        forgets the times of every hold; whether the clock is set meanwhile, is seen. Raises what the store client
        raises."""
        self._last = await self.read()
        self._doubted, self._over_at = (), None

    def heed(self, holds: Sequence[AgedHold], shown: StoreTime) -> bool:
        """Doubt the times of the account's holds where the clock was set: since it was heeded last, or, where one of
        them seems to be made later than now, before this warden was there to see it. Whether it was.

        ``holds`` were read before the store's clock was.
        """
        known = {(aged.hold.hold_id, aged.at_us) for aged in self._doubted}
        new = [aged.at_us for aged in holds if (aged.hold.hold_id, aged.at_us) not in known]
        since_last_us = shown.step_us(self._last) if self._last is not None else 0
        step_us = max(since_last_us, min(0, shown.us - max(new, default=0)), key=abs)
        was_set = abs(step_us) > STEP_MIN_US
        self._is_exact = shown.is_exact
        if was_set or shown.is_exact or self._last is None:  # Else the step might hide in how long the store took.
            self._last = shown
        if not was_set:
            return False
        way, step_s = "back" if step_us < 0 else "forward", abs(step_us) / 1e6
        log.warning("the store's clock went %s by %.0f s; holds of %s are timed anew", way, step_s, self._account)
        self._doubted = holds
        self._over_at = time.monotonic() + under_way.UNDER_WAY_MAX_S
        return True

    async def forget_doubted(self) -> None:
        """Forget the times that are doubted, once nothing of their holds can be under way. Raises what the store client
        raises."""
        over_at = self._over_at
        if over_at is None or time.monotonic() < over_at:
            return
        await self._store.forget_times(self._account, self._doubted)
        if self._over_at == over_at:  # Else it was set once more meanwhile.
            self._doubted, self._over_at = (), None
