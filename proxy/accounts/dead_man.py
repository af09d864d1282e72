"""The dead-man timers of the bots of one account: one that runs out takes the bot's plain orders of its symbol along.

Like Binance's countdown it cancels what is open at that moment and closes nothing. Conditional orders stay: a
protective stop must not go while nobody watches the position. A timer that ran out stays in the store until its orders
are gone, through trouble with the venue and the death of this process; to run one twice does no harm.

What the store's clock does is held against no bot, as with its lease (``proxy.leases.watch``): put back, it lets no
timer run for longer than its countdown; and by how much it went on while nobody looked, timers run on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeVar

from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.timers import DeadManTimer, TimersFound
from rules.account import OpenOrder

log = logging.getLogger("perpguard.accounts")

T = TypeVar("T")

TICK_S: Final = 0.25
"""How late a timer may be found."""

AGAIN_S: Final = 1.0
"""After trouble with the venue or the store; far less than a lease."""

RUNS_MAX: Final = 16
"""Timers of one account that run at once; the others wait their turn in the store."""

CANCELS_AT_ONCE: Final = 5
"""For one timer. Binance lets a symbol have 200 open orders; a storm of cancels would cost the survey its budget."""

_NO_SUCH_SYMBOL: Final = -1121


class Venue(Protocol):
    """What is done at the venue."""

    async def plain_orders(self, symbol: str) -> tuple[OpenOrder, ...]:
        """Everybody's open plain orders of a symbol. Raises ``VenueTrouble``."""
        ...

    async def cancel_order(self, symbol: str, client_order_id: str) -> None:
        """Cancel one plain order; one that is gone is no trouble. Safe to repeat. Raises ``VenueTrouble``."""
        ...


class TimerStore(Protocol):
    """The part of the store that holds the timers. Its methods raise what the store client raises."""

    async def take_timers(
        self, account: str, *, held: Iterable[DeadManTimer], most: int, last_us: int, away: bool
    ) -> TimersFound:
        """Timers that ran out and are nobody's; those ``held`` stay the caller's. ``last_us`` is the store's clock at
        the last look, ``away`` whether no bot could arm its own since."""
        ...

    async def finish_timer(self, account: str, timer: DeadManTimer) -> None:
        """Forget a timer that ran out."""
        ...


class DeadMan:
    """Runs the timers of one account. ``owns`` says whether a bot has a client order id.

    ``cancelled`` is called when orders went, so that the account can be read again.
    """

    def __init__(
        self,
        *,
        account: str,
        venue: Venue,
        store: TimerStore,
        owns: Callable[[str, str], bool],
        record: Record,
        cancelled: Callable[[], None],
    ) -> None:
        self._account = account
        self._venue = venue
        self._store = store
        self._owns = owns
        self._record = record
        self._cancelled = cancelled
        self._held: set[DeadManTimer] = set()
        self._last_us = 0
        self._away = False

    def store_was_away(self) -> None:
        """No bot could arm its timer meanwhile: the next look gives all that are armed one more countdown."""
        self._away = True

    async def run(self) -> None:
        """Look for ever."""
        async with asyncio.TaskGroup() as runs:
            while True:
                try:
                    due = await self._look()
                except STORE_TROUBLE as trouble:
                    log.warning("dead-man timers of %s cannot be read: %s", self._account, type(trouble).__name__)
                    await asyncio.sleep(AGAIN_S)
                    continue
                for timer in due:
                    self._held.add(timer)
                    runs.create_task(self._ran_out(timer))
                await asyncio.sleep(TICK_S)

    async def _look(self) -> tuple[DeadManTimer, ...]:
        """The timers that are to be run from now on. Raises what the store client raises."""
        away, self._away = self._away, False  # What is said from here on is for the next look.
        try:
            found = await self._store.take_timers(
                self._account,
                held=tuple(self._held),
                most=RUNS_MAX - len(self._held),
                last_us=self._last_us,
                away=away,
            )
        except STORE_TROUBLE:
            self._away = self._away or away
            raise
        self._last_us = found.now_us
        if found.ran_on:
            why = "bots could not arm them, or the store's clock was set"
            log.warning("dead-man timers of %s run on (%d): %s", self._account, found.ran_on, why)
        return found.taken

    async def _ran_out(self, timer: DeadManTimer) -> None:
        """Cancel what the bot has open now; what it places while this goes on is not of this timer."""
        orders = await self._patiently(timer, lambda: self._own_orders(timer))
        log.warning("the dead-man timer of %s on %s ran out: %d orders go", timer.bot, timer.symbol, len(orders))
        detail = {"account": self._account, "bot": timer.bot, "symbol": timer.symbol, "orders": orders}
        await self._record("dead_man.ran_out", "warden", detail)
        slots = asyncio.Semaphore(CANCELS_AT_ONCE)
        async with asyncio.TaskGroup() as cancels:
            for name in orders:
                cancels.create_task(self._cancel(timer, name, slots))
        if orders:
            await self._record("dead_man.done", "warden", detail)
            self._cancelled()
        # From here its lease alone keeps it: armed and run out anew, it may be given to us again.
        self._held.discard(timer)
        await self._finish(timer)

    async def _own_orders(self, timer: DeadManTimer) -> list[str]:
        try:
            listed = await self._venue.plain_orders(timer.symbol)
        except VenueRefused as refusal:
            if refusal.code == _NO_SUCH_SYMBOL:  # Delisted since: nothing is left to cancel.
                return []
            raise
        return sorted(each.client_order_id for each in listed if self._owns(timer.bot, each.client_order_id))

    async def _cancel(self, timer: DeadManTimer, name: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            await self._patiently(timer, lambda: self._venue.cancel_order(timer.symbol, name))

    async def _patiently(self, timer: DeadManTimer, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the venue until it answers: a bot that is gone cannot do it instead."""
        while True:
            pause = AGAIN_S
            try:
                return await ask()
            except VenueTrouble as trouble:
                log.warning("the dead-man timer of %s on %s is tried again: %s", timer.bot, timer.symbol, trouble)
                if isinstance(trouble, VenueThrottled):
                    pause = max(pause, trouble.retry_after)
            await asyncio.sleep(pause)

    async def _finish(self, timer: DeadManTimer) -> None:
        while True:
            try:
                await self._store.finish_timer(self._account, timer)
                return
            except STORE_TROUBLE as trouble:
                log.warning("dead-man timers of %s cannot be written: %s", self._account, type(trouble).__name__)
            await asyncio.sleep(AGAIN_S)
