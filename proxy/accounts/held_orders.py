"""One account's holds as its keeper looks at them: when they were made, and what became of those nobody knows of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.accounts.store_clock import StoreClock
from proxy.accounts.store_loss import StoreLoss
from proxy.accounts.unresolved import Answer, Unresolved
from proxy.store.warden_store import AgedHold, WardenStore


class HeldOrders:
    """``turned_back`` hears when the store's clock went back, and what it shows since, in microseconds."""

    def __init__(
        self,
        account: str,
        store: WardenStore,
        unresolved: Unresolved,
        loss: StoreLoss,
        turned_back: Callable[[int], None],
    ) -> None:
        self._account = account
        self._store = store
        self._unresolved = unresolved
        self._loss = loss
        self._turned_back = turned_back
        self._clock = StoreClock(account, store, self._doubt)

    async def timed(self) -> tuple[Sequence[AgedHold], int]:
        """The holds, and the store's time in microseconds after they were read. Where its clock went back, their times
        are doubted, and forgotten once nothing of them can be under way. Raises what the store client raises."""
        if not self._loss.stands:  # Else they are waited for anew, and forgotten with the others.
            await self._clock.forget_doubted()
        holds = await self._store.holds(self._account)
        now_us = await self._store.now_us()
        self._clock.heed(holds, now_us)
        return holds, now_us

    async def asked(self, now_us: int) -> Answer:
        """What the venue says of holds of unknown fate; nothing while their times are doubted: what was filled would be
        missed. Raises ``VenueThrottled`` and what the store client raises."""
        return Answer() if self._clock.is_doubted else await self._unresolved.ask(self._account, now_us)

    async def covered(self, resolved: Sequence[str], symbols: frozenset[str]) -> tuple[str, ...]:
        """Those of the resolved holds whose every symbol was surveyed. Raises what the store client raises."""
        if not resolved:
            return ()
        holds = {aged.hold.hold_id: aged.hold for aged in await self._store.holds(self._account)}
        return tuple(
            hold_id
            for hold_id in resolved
            if hold_id in holds and all(order.symbol in symbols for order in holds[hold_id].orders)
        )

    def forget(self, resolved: Sequence[str]) -> None:
        """The holds are gone."""
        self._unresolved.forget(resolved)

    def _doubt(self, now_us: int) -> None:
        self._unresolved.begin_anew()
        self._turned_back(now_us)
