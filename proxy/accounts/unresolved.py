"""Orders nobody knows the fate of. The venue is asked by client id until it has answered.

"No such order" proves nothing for seconds after an error, so absence counts only after several misses over some time,
and the survey that follows reads the positions too. Until then the hold stays and counts in full.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from proxy.accounts.troubles import VenueThrottled, VenueTrouble
from proxy.accounts.venue_account import VenueAccount
from proxy.store.warden_store import AgedHold, WardenStore
from rules.snapshot import HeldOrder, HoldStatus

log = logging.getLogger("perpguard.accounts")

PENDING_AGE_MAX_S: Final = 30.0
"""Longer than any reply time-out: a hold still pending after this lost its gate, and counts as unknown."""

MISSES_MIN: Final = 5
MISSES_SPAN_US: Final = 10_000_000
QUESTIONS_MAX: Final = 20
"""Orders asked about in one survey, so that a storm of unknowns cannot eat the venue's budget."""


@dataclass(slots=True)
class _Misses:
    first_us: int
    count: int = 0


class Unresolved:
    """Remembers, across surveys, how often the venue did not know an order."""

    def __init__(self, hands: VenueAccount, store: WardenStore) -> None:
        self._hands = hands
        self._store = store
        self._misses: dict[str, _Misses] = {}

    async def ask(self, account: str, now_us: int) -> tuple[str, ...]:
        """Ids of the holds whose fate is now proven; the survey that begins after this call may release them.

        Raises ``VenueThrottled``. A question that failed proves nothing and is asked again.
        """
        open_holds = [
            aged
            for aged in await self._store.holds(account)
            if aged.hold.status is HoldStatus.UNKNOWN
            or (aged.hold.status is HoldStatus.PENDING and now_us - aged.at_us > PENDING_AGE_MAX_S * 1e6)
        ]
        for aged in open_holds:
            if aged.hold.status is HoldStatus.PENDING:
                await self._store.lose(account, aged.hold, datetime.fromtimestamp(now_us / 1e6, UTC))
        ids = {aged.hold.hold_id for aged in open_holds}
        self._misses = {hold_id: misses for hold_id, misses in self._misses.items() if hold_id in ids}
        return tuple(
            [aged.hold.hold_id for aged in open_holds[:QUESTIONS_MAX] if await self._proven(account, aged, now_us)]
        )

    def forget(self, resolved: tuple[str, ...]) -> None:
        """The holds are gone."""
        for hold_id in resolved:
            self._misses.pop(hold_id, None)
            log.info("hold %s resolved", hold_id)

    async def _proven(self, account: str, aged: AgedHold, now_us: int) -> bool:
        """Whether every order of a hold was found at the venue, or is proven not to exist."""
        try:
            found = [await self._found(order) for order in aged.hold.orders]
        except VenueThrottled:
            raise
        except VenueTrouble as trouble:
            log.warning("asking about hold %s failed: %s", aged.hold.hold_id, trouble)
            return False
        if all(found):
            return True
        misses = self._misses.setdefault(aged.hold.hold_id, _Misses(now_us))
        misses.count += 1
        if misses.count < MISSES_MIN or now_us - misses.first_us < MISSES_SPAN_US:
            return False
        absent = [order for order, there in zip(aged.hold.orders, found, strict=True) if not there]
        await self._store.forget_unreported(
            account, aged.hold.hold_id, frozenset(order.client_order_id for order in absent)
        )
        return True

    async def _found(self, order: HeldOrder) -> bool:
        if order.replaces is not None or not order.client_order_id:
            # An amend changes an order that is there or not: the survey itself shows its size.
            return True
        for conditional in (False, True):
            if await self._hands.order_by_client_id(order.symbol, order.client_order_id, conditional) is not None:
                return True
        return False
