"""Keeps the store's picture of one account equal to the venue's, and lets holds go when the venue has been seen.

Only this file turns holds into open orders and positions. A full survey every 15 s is the judge of truth; symbols
that just changed are surveyed at once, within a weight budget. An order nobody knows the fate of is asked about until
the venue has answered, never guessed at.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from redis.exceptions import RedisError

from proxy.accounts.troubles import VenueThrottled, VenueTrouble
from proxy.accounts.unresolved import Unresolved
from proxy.accounts.venue_account import VenueAccount
from proxy.store.warden_store import EpochLost, WardenStore
from rules.snapshot import Account

log = logging.getLogger("perpguard.accounts")

QUICK_SURVEYS_PER_MINUTE: Final = 40
"""Each costs about 12 weight a symbol (orders 1, conditional 1, positions 5, balance 5) of 2,400 a minute."""

SETTLE_LAG_S: Final = 0.25
"""How far a venue's reads may trail its own acknowledgements. A hold goes only with a survey begun this much later."""

EXPECTED_MAX: Final = 10_000
"""Requests whose outcome may still come; the full survey covers whatever is forgotten."""

REPLY_TIMEOUT_S: Final = 10.0
"""No request the gates sent before a store was lost can still be under way after this long."""


class AccountKeeper:
    """Surveys one account. ``expect`` and ``happened`` are how the warden says that a symbol moved."""

    def __init__(
        self,
        *,
        desk: str,
        hands: VenueAccount,
        store: WardenStore,
        now: Callable[[], datetime],
        survey_every_s: float,
    ) -> None:
        self._desk = desk
        self._hands = hands
        self._store = store
        self._now = now
        self._survey_every_s = survey_every_s
        self._changed: dict[str, float] = {}
        self._expected: dict[str, set[str]] = {}
        self._due = 0.0
        self._wake = asyncio.Event()
        self._account: Account | None = None
        self._quick = _Budget(QUICK_SURVEYS_PER_MINUTE)
        self._unresolved = Unresolved(hands, store)

    @property
    def name(self) -> str:
        """The account's name."""
        return self._hands.name

    @property
    def venue(self) -> str:
        """The venue the account is at."""
        return self._hands.venue

    @property
    def account(self) -> Account | None:
        """The account as last published, for the console."""
        return self._account

    def expect(self, request_id: str, symbol: str) -> None:
        """A request that names ``symbol`` was judged; its outcome may follow. Bounded: the oldest is forgotten."""
        self._expected.setdefault(request_id, set()).add(symbol)
        while len(self._expected) > EXPECTED_MAX:
            self._expected.pop(next(iter(self._expected)))

    def happened(self, request_id: str, *, changed: bool) -> None:
        """The outcome of a request: if it may have ``changed`` the venue, its symbols are surveyed at once."""
        symbols = self._expected.pop(request_id, set())
        if changed and symbols:
            self._changed |= dict.fromkeys(symbols, time.monotonic())
            self._wake.set()

    def survey_soon(self) -> None:
        """Survey the whole account without waiting for its time."""
        self._due = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Survey for ever. Trouble with the venue or the store is waited out; gates refuse entries meanwhile."""
        while True:
            pause = 0.0
            try:
                if time.monotonic() >= self._due:
                    await self.survey()
                    self._due = time.monotonic() + self._survey_every_s
                elif (symbols := self._settled_symbols()) and self._quick.take():
                    await self._survey_symbols(symbols)
            except EpochLost:
                await self._refill()
                self._due = 0.0
            except VenueThrottled as trouble:
                log.warning("survey of %s: %s", self.name, trouble)
                pause = trouble.retry_after
            except (VenueTrouble, RedisError, OSError, TimeoutError) as trouble:
                log.warning("survey of %s failed: %s", self.name, trouble)
                pause = 1.0
            await asyncio.sleep(pause)
            await self._wait()

    async def survey(self) -> None:
        """Read the whole account and publish it.

        Raises ``VenueTrouble``, ``EpochLost`` or what the store client raises.
        """
        for symbol in self._settled_symbols():
            del self._changed[symbol]
        began_us = await self._store.now_us()
        resolved = await self._unresolved.ask(self.name, began_us)
        version = await self._store.account_version(self.name) + 1
        account = await self._hands.account(version, self._now())
        await self._publish(account, began_us, None, resolved)

    def _settled_symbols(self) -> frozenset[str]:
        """Changed symbols whose last change is old enough to be read back."""
        before = time.monotonic() - SETTLE_LAG_S
        return frozenset(symbol for symbol, at in self._changed.items() if at <= before)

    async def _survey_symbols(self, symbols: frozenset[str]) -> None:
        for symbol in symbols:
            del self._changed[symbol]
        base = self._account
        if base is None:
            return
        began_us = await self._store.now_us()
        # The account as a whole is no fresher for having read two symbols: its age is that of the last full survey.
        account = await self._hands.symbol_state(symbols, base, base.version + 1, base.as_of)
        await self._publish(account, began_us, symbols, ())

    async def _publish(
        self, account: Account, began_us: int, symbols: frozenset[str] | None, resolved: tuple[str, ...]
    ) -> None:
        done = await self._store.publish_account(
            account, began_us=began_us - int(SETTLE_LAG_S * 1e6), symbols=symbols, resolved=resolved, desk=self._desk
        )
        if done.accepted:
            self._account = account
            self._unresolved.forget(resolved)
            await self._store.forget_spent(account.name)

    async def _refill(self) -> None:
        """The store lost what it knew, holds included. Nothing is published before every old request is over."""
        log.warning("the store lost its epoch; surveying %s anew after %s s", self.name, REPLY_TIMEOUT_S)
        self._account = None
        await asyncio.sleep(REPLY_TIMEOUT_S)
        await self._store.begin_epoch()

    async def _wait(self) -> None:
        """Until a full survey is due, or a changed symbol may be read and the budget allows it."""
        self._wake.clear()
        now = time.monotonic()
        until = self._due
        if self._changed:
            ready = min(self._changed.values()) + SETTLE_LAG_S if self._quick.available() else now + 1.0
            until = min(until, ready)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - now)):
                await self._wake.wait()


class _Budget:
    """A token bucket in monotonic time."""

    def __init__(self, per_minute: int) -> None:
        self._capacity = per_minute
        self._tokens = float(per_minute)
        self._at = time.monotonic()

    def available(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._capacity / 60)
        self._at = now
        return self._tokens >= 1

    def take(self) -> bool:
        if not self.available():
            return False
        self._tokens -= 1
        return True
