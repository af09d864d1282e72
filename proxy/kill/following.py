"""A press whose accounts may have had something on the wire: each is killed once more when its own is over.

An account waits for its own first kill and for its own wire, and for no other account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from proxy.kill.continued import renewed
from proxy.kill.in_flight import InFlight, followed
from proxy.kill.report import AccountReport, KillReport
from proxy.kill.runner import Clock
from proxy.store.warden_store import WardenStore
from rules.kill.events import Phase

OnceMore = Callable[[AccountReport], Coroutine[Any, Any, KillReport]]
"""Kills an account once more, which goes on with its first kill; answers what both came to."""


class Following:
    """What was on the wire at one press, ``sent``, followed since the loop's time ``pressed``, and the second kills.

    ``_firsts`` are the accounts that ended flat, or as good as that, and may still get something; ``_over_at`` says
    since when nothing of an account is on the wire; ``_seconds`` are the second kills that are not in the report yet.
    What it still has when its body ends is cancelled.
    """

    def __init__(
        self, store: WardenStore, sent: InFlight, pressed: float, accounts: Sequence[str], once_more: OnceMore
    ) -> None:
        self._sent = sent
        self._accounts = accounts
        self._once_more = once_more
        self._clock = Clock()
        self._firsts: dict[str, AccountReport] = {}
        self._over_at: dict[str, datetime] = {}
        self._seconds: dict[str, asyncio.Task[KillReport]] = {}
        self._wire = asyncio.create_task(self._follow(store, pressed))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, trouble: BaseException | None, at: TracebackType | None
    ) -> None:
        tasks = (self._wire, *self._seconds.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ended(self, first: AccountReport) -> None:
        """The first kill of an account has ended. One that is open is pursued; dust is as good as flat."""
        if first.phase is not Phase.DEGRADED and (not self._sent.known or first.account in self._sent.accounts):
            self._firsts[first.account] = first
            self._look(first.account)

    async def told(self, report: KillReport) -> KillReport:
        """The report of the first kills with what the second ones came to: when all is over, or as soon as an account
        is open, for that must not wait to be told."""
        report = self._renewed(report)
        while self._firsts and report.phase is not Phase.DEGRADED and (pending := self._pending()):
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            report = self._renewed(report)
        return report

    @property
    def left(self) -> tuple[AccountReport, ...]:
        """The first kills of accounts that still wait for the wire, or whose second kill is not in the report."""
        return tuple(
            first for account, first in self._firsts.items() if account not in self._over_at or account in self._seconds
        )

    def handed_over(self, account: str) -> asyncio.Task[KillReport] | None:
        """The second kill of an account, which is the caller's from now on; ``None`` where it has not begun."""
        return self._seconds.pop(account, None)

    @property
    def found(self) -> InFlight | None:
        """What became of what was on the wire, once the body has ended; ``None`` where it was not followed so far."""
        return None if self._wire.cancelled() else self._wire.result()

    async def _follow(self, store: WardenStore, pressed: float) -> InFlight:
        found = await followed(store, self._sent, pressed, self._over)
        for account in self._accounts:
            self._over(account)
        return found

    def _over(self, account: str) -> None:
        if account not in self._over_at:
            self._over_at[account] = self._clock.now()
            self._look(account)

    def _look(self, account: str) -> None:
        """Begin the second kill once the first has ended and the wire is over, unless the first read after that."""
        first, over_at = self._firsts.get(account), self._over_at.get(account)
        if first is not None and over_at is not None and not first.read_after(over_at):
            self._seconds[account] = asyncio.create_task(self._once_more(first))

    def _pending(self) -> set[asyncio.Task[Any]]:
        return {task for task in (self._wire, *self._seconds.values()) if not task.done()}

    def _renewed(self, report: KillReport) -> KillReport:
        for account in [account for account, second in self._seconds.items() if second.done()]:
            report = renewed(report, self._seconds.pop(account).result())
        return report
