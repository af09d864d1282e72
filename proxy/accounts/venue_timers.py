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
from dataclasses import dataclass, replace
from typing import Final, Protocol

from proxy.budget.pace import Pace
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from rules.account import Account
from rules.kill.dead_man import may_stand, refresh_s, relies_on_stops
from rules.kill.settings import KillSettings
from rules.policy import Policy

log = logging.getLogger("perpguard.accounts")

TICK_S: Final = 0.5
CALLS_PER_MINUTE: Final = 60
"""Binance charges 10 weight a call: at most a quarter of an address's 2,400 a minute for one account's timers."""

CALLS_AT_ONCE: Final = 4
AGAIN_S: Final = 1.0
"""After trouble with the venue."""

REFUSED_AGAIN: Final = 1 / 6
"""After a refusal, as a part of the countdown that still runs: a timer has two thirds left, which is four tries."""

_NO_SUCH_SYMBOL: Final = -1121


class CancelTimer(Protocol):
    """A venue's dead-man timer. Binance has one for each symbol; of a venue that has one for the account, arming it
    for any symbol arms it."""

    async def arm_timer(self, symbol: str, countdown_s: int) -> None:
        """Let the venue cancel the symbol's resting orders in ``countdown_s`` unless armed again; 0 disarms.

        Safe to repeat. Raises ``VenueTrouble``.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timer:
    """What may stand on a symbol at the venue.

    ``armed_at`` is when it was last armed for certain, with ``countdown_s``; minus infinity where nobody knows whether
    it ever was. At ``gone_at`` it has run out, even if a request without an answer was carried out.
    """

    armed_at: float = float("-inf")
    countdown_s: int
    gone_at: float

    @property
    def is_certain(self) -> bool:
        """Whether the venue has said that it stands."""
        return self.armed_at > float("-inf")

    def is_due(self, now: float, settings: KillSettings) -> bool:
        """Whether to arm it anew. Another countdown goes out at once: a third of it may be all of the running one."""
        return self.countdown_s != settings.dead_man.countdown_s or now - self.armed_at >= refresh_s(settings)

    def perhaps_until(self, moment: float) -> _Timer:
        """The same, when a request that nobody answered may have set it."""
        return replace(self, gone_at=max(self.gone_at, moment))


class VenueTimers:
    """The timers of one account. ``book`` is the account as it is known now, ``watched`` whether a watchdog on another
    host is on watch, ``in_maintenance`` whether the venue is down, as announced, for a symbol."""

    def __init__(
        self,
        *,
        account: str,
        timer: CancelTimer,
        book: Callable[[], Account | None],
        policy: Callable[[], Policy],
        watched: Callable[[], bool],
        in_maintenance: Callable[[str], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._timer = timer
        self._book = book
        self._policy = policy
        self._watched = watched
        self._in_maintenance = in_maintenance
        self._monotonic = monotonic
        self._calls = Pace(CALLS_PER_MINUTE, monotonic)
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._active_at: dict[str, float] = {}
        self._timers: dict[str, _Timer] = {}
        self._taken_up = False
        self._not_before: dict[str, float] = {}
        self._paused_until = 0.0
        self._crowded = False
        self._said = ""

    @property
    def paused_until(self) -> float:
        """Until when (monotonic seconds) the venue is left alone."""
        return self._paused_until

    @property
    def armed(self) -> tuple[str, ...]:
        """Symbols with a timer, as far as the venue has said so."""
        return tuple(sorted(symbol for symbol, timer in self._timers.items() if timer.is_certain))

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
        now, settings = self._monotonic(), self._policy().kill
        self._not_before = {symbol: at for symbol, at in self._not_before.items() if at > now}
        unwanted = sorted(self._timers.keys() - set(wanted))
        due = [each for each in wanted if each not in self._timers or self._timers[each].is_due(now, settings)]
        timers = [*((symbol, 0) for symbol in unwanted), *((symbol, self._countdown_s) for symbol in due)]
        await self._set([each for each in timers if each[0] not in self._not_before])

    async def leave(self) -> None:
        """The guard is stopped on purpose, and a watchdog will not flatten: no timer may take a position's stop."""
        account = self._book()
        if account is not None:
            await self._set([(symbol, 0) for symbol in sorted(self._timers) if relies_on_stops(symbol, account)])

    @property
    def _countdown_s(self) -> int:
        return self._policy().kill.dead_man.countdown_s

    def _note_active(self, account: Account) -> None:
        now = self._monotonic()
        resting = {order.symbol for order in account.open_orders if not order.order_type.is_conditional}
        if not self._taken_up and self._policy().kill.dead_man.enabled:
            # Which timers an earlier warden left is not known: each may stand until it has been set or taken away.
            held = {leg.symbol for leg in account.positions} | {order.symbol for order in account.open_orders}
            perhaps = _Timer(countdown_s=self._countdown_s, gone_at=now + self._countdown_s)
            self._timers = dict.fromkeys(held, perhaps)
        self._taken_up = True
        self._active_at |= dict.fromkeys(resting, now)
        quiet = now - refresh_s(self._policy().kill)
        self._active_at = {symbol: at for symbol, at in self._active_at.items() if at >= quiet}

    def _wanted(self, account: Account) -> list[str]:
        settings = self._policy().kill
        if not settings.dead_man.enabled or settings.dead_man.paused:
            return []
        watched = self._watched()
        allowed = [
            each
            for each in self._active_at
            if may_stand(each, account, settings, watched_from_elsewhere=watched) and not self._in_maintenance(each)
        ]
        return self._within_budget(allowed)

    def _within_budget(self, symbols: Iterable[str]) -> list[str]:
        """Those that can be armed again and again in time; a timer that cannot would cancel living orders."""
        ranked = sorted(symbols, key=lambda each: (each not in self._timers, each))
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
            sent_at, before = self._monotonic(), self._timers.get(symbol)
            if countdown_s:
                # From here on it may stand, whatever becomes of the answer, and has to be taken away when unwanted.
                sent = _Timer(countdown_s=countdown_s, gone_at=sent_at + countdown_s)
                self._timers[symbol] = (before or sent).perhaps_until(sent.gone_at)
            try:
                await self._timer.arm_timer(symbol, countdown_s)
            except VenueRefused as refusal:
                self._refused(symbol, before, refusal)
                self._failed(symbol, refusal)
                return
            except VenueTrouble as trouble:
                if countdown_s:
                    self._timers[symbol] = self._timers[symbol].perhaps_until(self._monotonic() + countdown_s)
                pause_s = trouble.retry_after if isinstance(trouble, VenueThrottled) else AGAIN_S
                self._paused_until = self._monotonic() + pause_s
                self._failed(symbol, trouble)
                return
        self._said = ""
        if countdown_s == 0:
            self._timers.pop(symbol, None)
            log.info("the venue's dead-man timer on %s of %s is off", symbol, self._account)
        else:
            if before is None or not before.is_certain or before.countdown_s != countdown_s:
                log.info("the venue's dead-man timer on %s of %s stands at %d s", symbol, self._account, countdown_s)
            gone_at = self._monotonic() + countdown_s
            self._timers[symbol] = _Timer(armed_at=sent_at, countdown_s=countdown_s, gone_at=gone_at)

    def _refused(self, symbol: str, before: _Timer | None, refusal: VenueRefused) -> None:
        """A refusal has had no effect: what stood ``before`` runs on, and may run out under a position's stop."""
        now = self._monotonic()
        # A symbol that is delisted has no timer, and nothing rests there.
        if before is None or refusal.code == _NO_SUCH_SYMBOL or now >= before.gone_at:
            self._timers.pop(symbol, None)
            self._not_before[symbol] = now + refresh_s(self._policy().kill)
        else:
            self._timers[symbol] = before
            self._not_before[symbol] = now + before.countdown_s * REFUSED_AGAIN

    def _failed(self, symbol: str, trouble: VenueTrouble) -> None:
        if str(trouble) != self._said:
            self._said = str(trouble)
            log.warning("the venue's dead-man timer on %s of %s cannot be set: %s", symbol, self._account, trouble)
