"""One account's holds as its keeper looks at them: when they were made, and what became of those nobody knows of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.accounts.store_clock import StoreClock, StoreTime
from proxy.accounts.store_loss import StoreLoss
from proxy.accounts.unresolved import Answer, Unresolved
from proxy.store.warden_store import AgedHold, WardenStore


class HeldOrders:
    """``clock_set`` hears when the store's clock was set, and what it shows since, in microseconds."""

    def __init__(
        self,
        account: str,
        store: WardenStore,
        unresolved: Unresolved,
        clock: StoreClock,
        loss: StoreLoss,
        clock_set: Callable[[int], None],
    ) -> None:
        self._account = account
        self._store = store
        self._unresolved = unresolved
        self._clock = clock
        self._loss = loss
        self._clock_set = clock_set

    async def timed(self) -> tuple[Sequence[AgedHold], int]:
        """The holds, and the store's time in microseconds after they were read. Where its clock was set, their times
        are doubted, and forgotten once nothing of them can be under way. Raises what the store client raises."""
        holds, shown = await self._looked()
        return holds, shown.us

    async def begun(self) -> StoreTime:
        """The store's time as a survey begins; the holds are looked at as by ``timed``. Raises what the store client
        raises."""
        return (await self._looked())[1]

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

    async def _looked(self) -> tuple[Sequence[AgedHold], StoreTime]:
        if not self._loss.stands:  # Else they are waited for anew, and forgotten with the others.
            await self._clock.forget_doubted()
        holds = await self._store.holds(self._account)
        shown = await self._clock.read()
        if self._clock.heed(holds, shown):
            self._unresolved.begin_anew()
            self._clock_set(shown.us)
        return holds, shown
