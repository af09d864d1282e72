"""One account beside a store that lost what it knew: what is waited for before anything is published there again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from proxy import under_way
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.store_clock import StoreClock
from proxy.accounts.unresolved import Unresolved
from proxy.store.warden_store import EpochLost, WardenStore

log = logging.getLogger("perpguard.accounts")


class StoreLoss:
    """Whether the store lost what it knew, and is not filled anew yet. ``turned`` hears of every wait, and how long."""

    def __init__(
        self,
        account: str,
        store: WardenStore,
        books: Bookkeeper,
        unresolved: Unresolved,
        clock: StoreClock,
        turned: Callable[[float], None],
    ) -> None:
        self._account = account
        self._store = store
        self._books = books
        self._unresolved = unresolved
        self._clock = clock
        self._turned = turned
        self._times = 0
        self.stands = False

    def came(self) -> None:
        """The store says that its epoch is gone: of a loss that is known already, or of the first."""
        self.stands = True

    def came_again(self) -> None:
        """It may have lost what it knew just now, whatever is being waited for."""
        self.stands = True
        self._times += 1

    def check(self) -> None:
        """Raises ``EpochLost`` while it stands. Another account's epoch may be there: under it all would be believed,
        before this account's old requests are over."""
        if self.stands:
            raise EpochLost

    async def refill(self) -> None:
        """Nothing is published before every old request is over.

        The holds that are there may be copies of another server's, timed by its clock. Where the store is lost once
        more meanwhile, it stays lost: what was read and waited for is of the one before. Raises what the store client
        raises.
        """
        times = self._times
        self._books.forget()
        await self._clock.begin_anew()
        holds = await self._store.holds(self._account)
        wait_s = under_way.UNDER_WAY_MAX_S
        log.warning("the store lost its epoch; surveying %s anew after %s s", self._account, wait_s)
        self._turned(wait_s)
        await asyncio.sleep(wait_s)
        if self._times != times:
            return
        await self._store.forget_times(self._account, holds)
        self._unresolved.begin_anew()
        if self._times != times:
            return
        await self._store.begin_epoch()
        self.stands = self._times != times
