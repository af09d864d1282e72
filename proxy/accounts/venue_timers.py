"""Keeps the venue's own dead-man timers armed on one account, so that orders die when the guard's machine does.

A timer stands on every symbol with resting plain orders, or with entries on their way, where ``rules.kill.dead_man``
says that it may; a symbol that has gone quiet loses its timer. It is armed anew after a third of its countdown, so two
refreshes may fail before it runs out. Bots' own countdowns never reach the venue (``proxy.accounts.dead_man``): a
symbol has one timer there, and this is it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from proxy.accounts.budget import Budget
from proxy.accounts.troubles import VenueRefused, VenueThrottled, VenueTrouble
from rules.kill.dead_man import may_stand, refresh_s, relies_on_stops
from rules.policy import Policy
from rules.snapshot import Account

log = logging.getLogger("perpguard.accounts")

TICK_S: Final = 0.5
CALLS_PER_MINUTE: Final = 60
"""Binance charges 10 weight a call: at most a quarter of an address's 2,400 a minute for one account's timers."""

CALLS_AT_ONCE: Final = 4
AGAIN_S: Final = 1.0
"""After trouble with the venue."""


class CancelTimer(Protocol):
    """A venue's dead-man timer. Binance has one for each symbol; of a venue that has one for the account, arming it
    for any symbol arms it."""

    async def arm_timer(self, symbol: str, countdown_s: int) -> None:
        """Let the venue cancel the symbol's resting orders in ``countdown_s`` unless armed again; 0 disarms.

        Safe to repeat. Raises ``VenueTrouble``.
        """
        ...


class VenueTimers:
    """The timers of one account. ``book`` is the account as it is known now, ``watched`` whether a watchdog on another
    host is on watch."""

    def __init__(
        self,
        *,
        account: str,
        timer: CancelTimer,
        book: Callable[[], Account | None],
        policy: Callable[[], Policy],
        watched: Callable[[], bool],
        in_maintenance: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._timer = timer
        self._book = book
        self._policy = policy
        self._watched = watched
        self._in_maintenance = in_maintenance
        self._monotonic = monotonic
        self._calls = Budget(CALLS_PER_MINUTE, monotonic)
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._active_at: dict[str, float] = {}
        self._armed_at: dict[str, float] = {}
        self._taken_up = False
        self._refused_at: dict[str, float] = {}
        self._paused_until = 0.0
        self._crowded = False
        self._said = ""

    @property
    def paused_until(self) -> float:
        """Until when (monotonic seconds) the venue is left alone."""
        return self._paused_until

    @property
    def armed(self) -> tuple[str, ...]:
        """Symbols with a timer."""
        return tuple(sorted(self._armed_at))

    def intended(self, symbol: str) -> None:
        """An order of the symbol is on its way: its timer stands before it rests."""
        self._active_at[symbol] = self._monotonic()

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(TICK_S)
            account = self._book()
            if account is not None and self._monotonic() >= self._paused_until:
                await self.turn(account)

    async def turn(self, account: Account) -> None:
        """Arm what should stand and is due, disarm what should not."""
        self._note_active(account)
        wanted = self._wanted(account)
        now, every_s = self._monotonic(), refresh_s(self._policy().kill)
        self._refused_at = {symbol: at for symbol, at in self._refused_at.items() if now - at < every_s}
        due = [symbol for symbol in wanted if now - self._armed_at.get(symbol, float("-inf")) >= every_s]
        due = [symbol for symbol in due if symbol not in self._refused_at]
        unwanted = sorted(self._armed_at.keys() - set(wanted))
        await self._set([*((symbol, 0) for symbol in unwanted), *((each, self._countdown_s) for each in due)])

    async def leave(self) -> None:
        """The guard is stopped on purpose, and a watchdog will not flatten: no timer may take a position's stop."""
        account = self._book()
        if account is not None:
            await self._set([(symbol, 0) for symbol in self.armed if relies_on_stops(symbol, account)])

    @property
    def _countdown_s(self) -> int:
        return self._policy().kill.dead_man.countdown_s

    def _note_active(self, account: Account) -> None:
        now = self._monotonic()
        resting = {order.symbol for order in account.open_orders if not order.order_type.is_conditional}
        if not self._taken_up and self._policy().kill.dead_man.enabled:
            # Which timers an earlier warden left is not known: each may stand until it has been set or taken away.
            held = {leg.symbol for leg in account.positions} | {order.symbol for order in account.open_orders}
            self._armed_at = dict.fromkeys(held, float("-inf"))
        self._taken_up = True
        self._active_at |= dict.fromkeys(resting, now)
        quiet = now - refresh_s(self._policy().kill)
        self._active_at = {symbol: at for symbol, at in self._active_at.items() if at >= quiet}

    def _wanted(self, account: Account) -> list[str]:
        settings = self._policy().kill
        if not settings.dead_man.enabled or settings.dead_man.paused or self._in_maintenance():
            return []
        watched = self._watched()
        allowed = [
            each for each in self._active_at if may_stand(each, account, settings, watched_from_elsewhere=watched)
        ]
        return self._within_budget(allowed)

    def _within_budget(self, symbols: Iterable[str]) -> list[str]:
        """Those that can be armed again and again in time; a timer that cannot would cancel living orders."""
        ranked = sorted(symbols, key=lambda each: (each not in self._armed_at, each))
        room = int(CALLS_PER_MINUTE * refresh_s(self._policy().kill) / 60)
        crowded = len(ranked) > room
        if crowded and not self._crowded:
            log.warning("%s has resting orders on %d symbols, dead-man timers on %d", self._account, len(ranked), room)
        self._crowded = crowded
        return ranked[:room]

    async def _set(self, timers: list[tuple[str, int]]) -> None:
        async with asyncio.TaskGroup() as calls:
            for symbol, countdown_s in timers:
                calls.create_task(self._set_one(symbol, countdown_s))

    async def _set_one(self, symbol: str, countdown_s: int) -> None:
        async with self._slots:
            if countdown_s and not self._calls.take():
                return  # The next turn comes in time: a third of the countdown is for that.
            sent_at = self._monotonic()
            try:
                await self._timer.arm_timer(symbol, countdown_s)
            except VenueRefused as refusal:
                # Such as a symbol that is delisted: it has no timer, and nothing rests there.
                self._armed_at.pop(symbol, None)
                self._refused_at[symbol] = sent_at
                self._failed(symbol, refusal)
                return
            except VenueTrouble as trouble:
                pause_s = trouble.retry_after if isinstance(trouble, VenueThrottled) else AGAIN_S
                self._paused_until = self._monotonic() + pause_s
                self._failed(symbol, trouble)
                return
        self._said = ""
        if countdown_s == 0:
            self._armed_at.pop(symbol, None)
            log.info("the venue's dead-man timer on %s of %s is off", symbol, self._account)
        else:
            if symbol not in self._armed_at:
                log.info("the venue's dead-man timer on %s of %s stands at %d s", symbol, self._account, countdown_s)
            self._armed_at[symbol] = sent_at

    def _failed(self, symbol: str, trouble: VenueTrouble) -> None:
        if str(trouble) != self._said:
            self._said = str(trouble)
            log.warning("the venue's dead-man timer on %s of %s cannot be set: %s", symbol, self._account, trouble)
