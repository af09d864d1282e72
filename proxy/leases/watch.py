"""Judges bots' leases: reduce-only, then their orders cancelled, then flat, as the policy says, and each step once.

The leases live in the store. What the store loses is not held against a bot: a lease that is gone without having been
given back, and every lease after an outage of the store, runs for one more whole time to live before anything follows.
Nor is a machine that stood still: the store's clock is read all the time, also while steps are taken, and by how much
it has gone on unwatched, leases run on that had not run out by the last look, and for ten seconds at least. So a dead
bot's lease runs out, unless the machine stands still again before those are over, time after time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from proxy.exchange.troubles import VenueThrottled, VenueTrouble, VenueUnreached
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.grace import STOOD_STILL_S, THAWED_S
from proxy.store.leases import Lease, Leases
from proxy.store.timers import DeadManTimer
from rules.account import Account, OpenOrder
from rules.intent import order_only_shrinks
from rules.kill import settings as kill_settings
from rules.kill.lease import Step, due_steps

log = logging.getLogger("perpguard.leases")

LOOK_EVERY_S: Final = 0.5
_US: Final = 1_000_000


class Store(Protocol):
    """Where the leases are. Its methods raise what the store client raises."""

    async def read(self) -> Leases:
        """Every lease, and the time."""
        ...

    async def now_us(self) -> int:
        """The time."""
        ...

    async def change(self, before: Lease | None, after: Lease) -> bool:
        """Write a lease if it still is as it was read."""
        ...

    async def forget_released(self, field: str) -> None:
        """The mark of a lease that was given back has been seen."""
        ...

    async def run_out(self, account: str, timers: list[DeadManTimer]) -> None:
        """Cancel a bot's plain orders of these symbols, through every trouble."""
        ...


class Hands(Protocol):
    """What can be done to a bot. ``reduce`` and ``flatten`` raise what the store client raises."""

    async def reduce(self, bot: str, reason: str) -> None:
        """Let nothing of the bot in that adds risk, until a person lets it go on."""
        ...

    async def cancel_conditional(self, account: str, order: OpenOrder) -> None:
        """Cancel one conditional order. Raises ``VenueTrouble``."""
        ...

    async def flatten(self, bot: str, reason: str) -> None:
        """Close the bot's own part of what it trades."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """One lease for people. ``left_s`` is negative when it ran out; ``step`` is what has followed."""

    bot: str
    account: str
    ttl_s: float
    left_s: float
    step: str


class LeaseWatch:
    """The leases of one desk. ``books`` are the accounts as they are known now."""

    def __init__(
        self,
        *,
        store: Store,
        hands: Hands,
        books: Callable[[str], Account | None],
        policy: Callable[[], kill_settings.Lease],
        record: Record,
    ) -> None:
        self._store = store
        self._hands = hands
        self._books = books
        self._policy = policy
        self._record = record
        self._known: Mapping[str, Lease] = {}
        self._now_us = 0
        self._heard_us: int | None = None
        self._unwatched_us = 0
        self._away = False

    def states(self) -> tuple[LeaseState, ...]:
        """Every lease as it was last read."""
        return tuple(
            LeaseState(
                bot=lease.bot,
                account=lease.account,
                ttl_s=lease.ttl_us / _US,
                left_s=(lease.until_us - self._now_us) / _US,
                step=Step(lease.steps).name.lower() if lease.steps else "",
            )
            for _, lease in sorted(self._known.items())
        )

    async def run(self) -> None:
        """For ever. A look takes as long as the venue takes to cancel; the clock is watched meanwhile."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._for_ever(self.look))
            loops.create_task(self._for_ever(self.keep_time))

    async def _for_ever(self, turn: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await turn()
            except STORE_TROUBLE as trouble:
                if not self._away:
                    log.warning("leases cannot be read: %s; they run on when they can", type(trouble).__name__)
                self.store_was_away()
            await asyncio.sleep(LOOK_EVERY_S)

    def store_was_away(self) -> None:
        """No bot could renew meanwhile: the next look gives every lease that still ran one more time to live."""
        self._away = True

    async def keep_time(self) -> None:
        """See whether the store's clock went on while nobody watched. Raises what the store client raises."""
        self._hear(await self._store.now_us())

    def _hear(self, now_us: int) -> None:
        stood_us = now_us - self._heard_us if self._heard_us is not None else 0
        self._heard_us = now_us
        if stood_us > STOOD_STILL_S * _US:
            log.warning("nobody watched leases for %.1f s; they run on by as much", stood_us / _US)
            self._unwatched_us += stood_us

    async def look(self) -> None:
        """Read the leases, give grace where the store is to blame, take the steps that are due."""
        leases = await self._store.read()
        self._hear(leases.now_us)
        # What is said from here on is for the next look.
        away, self._away, unwatched_us, self._unwatched_us = self._away, False, self._unwatched_us, 0
        held = {**leases.held, **await self._forgiven(leases, away=away, unwatched_us=unwatched_us)}
        for field in leases.released:
            await self._store.forget_released(field)
        self._known, self._now_us = held, leases.now_us
        for lease in held.values():
            await self._judge(lease, (leases.now_us - lease.until_us) / _US)

    async def _forgiven(self, leases: Leases, *, away: bool, unwatched_us: int) -> dict[str, Lease]:
        """Leases that run for one time to live from now: those the store lost, after an outage all of them, and those
        that a clock put back would keep for longer. And those that run on because nobody watched."""
        lost = {
            field: lease
            for field, lease in self._known.items()
            if field not in leases.held and field not in leases.released
        }
        if lost:
            log.warning("the store had lost %d leases; they run for one more time to live", len(lost))
        forgiven = {}
        now_us = leases.now_us
        for field, lease in {**leases.held, **lost}.items():
            if lease.steps:  # It had run out before; what followed stands.
                continue
            longer = lease
            if away or field in lost or lease.outlasts_its_time(now_us):
                longer = lease.with_grace(now_us)
            elif unwatched_us and lease.until_us > self._now_us:  # Else it had run out by the last look, and stands.
                longer = lease.later_by(unwatched_us, now_us, min(lease.ttl_us, int(THAWED_S * _US)))
            if longer == leases.held.get(field) or await self._store.change(leases.held.get(field), longer):
                forgiven[field] = longer
        return forgiven

    async def _judge(self, lease: Lease, overdue_s: float) -> None:
        """Take what is due. Each step is written down when it is done; one that failed is due again."""
        current = lease
        for step in due_steps(self._policy(), overdue_s, lease.steps):
            if not await self._take(current, step, overdue_s):
                continue  # Orders that cannot be cancelled yet keep no position open: the kill cancels for itself.
            after = replace(current, steps=int(step))
            if not await self._store.change(current, after):
                return  # It was renewed just now; what was done stands until a person lifts it.
            current = after

    async def _take(self, lease: Lease, step: Step, overdue_s: float) -> bool:
        reason = f"LEASE_LAPSED: its lease of {lease.ttl_us // _US} s ran out {overdue_s:.0f} s ago"
        done = await self._do(lease, step, reason)
        if done:
            log.error("the lease of %s on %s ran out: %s", lease.bot, lease.account, step.name.lower())
            detail = {"bot": lease.bot, "account": lease.account, "step": step.name.lower(), "reason": reason}
            await self._record("lease.lapsed", "warden", detail)
        return done

    async def _do(self, lease: Lease, step: Step, reason: str) -> bool:
        match step:
            case Step.REDUCE:
                await self._hands.reduce(lease.bot, reason)
                return True
            case Step.CANCEL:
                return await self._cancel(lease)
            case Step.FLATTEN:
                await self._hands.flatten(lease.bot, reason)
                return True

    async def _cancel(self, lease: Lease) -> bool:
        """Cancel what can still open: plain orders, and conditional ones that do not only protect.

        One that cannot be cancelled holds up no other; false when there was any.
        """
        book = self._books(lease.account)
        if book is None:
            return False
        own = [order for order in book.open_orders if order.bot == lease.bot]
        symbols = sorted({order.symbol for order in own if not order.order_type.is_conditional})
        await self._store.run_out(lease.account, [DeadManTimer(lease.bot, symbol) for symbol in symbols])
        done = True
        for order in own:
            if order.order_type.is_conditional and not order_only_shrinks(order):
                try:
                    await self._hands.cancel_conditional(lease.account, order)
                except VenueTrouble as trouble:
                    done = False
                    log.warning("a conditional order of %s cannot be cancelled yet: %s", lease.bot, trouble)
                    if isinstance(trouble, VenueThrottled | VenueUnreached):
                        break  # That is the venue's and not the order's: the others would fare no better.
        return done
